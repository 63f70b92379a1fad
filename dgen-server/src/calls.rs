//! The calls that wait in this OS process, by name: so that a reply to one next door needs no detour
//! through the store.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dgen_backend::Database;
use tokio::sync::oneshot;

use crate::{message::From, reply::Answer};

/// One for each opened database.
#[derive(Default)]
pub(crate) struct Calls {
    process: OnceLock<[u8; 16]>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    made: AtomicU64,
}

/// A call that waits for its reply. Dropping it ends the wait.
pub(crate) struct WaitingCall {
    calls: Arc<Calls>,
    pub(crate) from: From,
    pub(crate) answer: oneshot::Receiver<Answer>,
}

impl Calls {
    pub(crate) fn of(db: &Database) -> Arc<Self> {
        let calls = db.extension::<Self>();
        calls.process.get_or_init(|| db.env().random());
        calls
    }

    /// A random name of this OS process.
    pub(crate) fn process(&self) -> &[u8; 16] {
        self.process
            .get()
            .expect("they are made by `of`, which names the process")
    }

    /// The name of a new call of this OS process.
    pub(crate) fn new_call(&self) -> From {
        From {
            process: *self.process(),
            call: self.made.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Waits here for the reply to a call.
    pub(crate) fn wait_for_call(self: &Arc<Self>, from: From) -> WaitingCall {
        let (send, answer) = oneshot::channel();
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(from.call, send);
        WaitingCall {
            calls: Arc::clone(self),
            from,
            answer,
        }
    }

    /// Whether `from` waits in this OS process.
    pub(crate) fn is_waiting_here(&self, from: &From) -> bool {
        from.process == *self.process()
            && self
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(&from.call)
    }

    /// Hands the answer to whoever waits for it here; if nobody does any more, it is dropped.
    pub(crate) fn answer(&self, from: &From, answer: Answer) {
        let waiting = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&from.call);
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        let mut calls = self
            .calls
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        calls.remove(&self.from.call);
    }
}

impl fmt::Debug for WaitingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaitingCall").field(&self.from).finish()
    }
}
