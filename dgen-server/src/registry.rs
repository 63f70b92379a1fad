//! The servers that this OS process consumes, and the calls that it waits for: so that a message to
//! a server next door, and the reply to it, need no detour through the store.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dgen_backend::Database;
use tokio::sync::oneshot;

use crate::{
    Server, address::Address, control::Remote, mailbox::Mailbox, message::From, reply::Answer,
};

/// One for each opened database.
#[derive(Default)]
pub(crate) struct Registry {
    process: OnceLock<[u8; 16]>,
    /// By the prefix of the server's keys. The values are `Mailbox<S>`.
    mailboxes: Mutex<HashMap<Vec<u8>, Vec<Registered>>>,
    calls: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    calls_made: AtomicU64,
    processes_made: AtomicU64,
}

struct Registered {
    number: u64,
    mailbox: Arc<dyn Any + Send + Sync>,
    /// The server's name and id.
    server: String,
    remote: Remote,
}

/// A process's place in the registry. Dropping it takes the process out.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    prefix: Vec<u8>,
    number: u64,
}

/// A call that waits for its reply. Dropping it ends the wait.
pub(crate) struct WaitingCall {
    registry: Arc<Registry>,
    pub(crate) from: From,
    pub(crate) answer: oneshot::Receiver<Answer>,
}

impl Registry {
    pub(crate) fn of(db: &Database) -> Arc<Self> {
        let registry = db.extension::<Self>();
        registry.process.get_or_init(|| db.env().random());
        registry
    }

    /// A random name of this OS process.
    pub(crate) fn process(&self) -> &[u8; 16] {
        self.process
            .get()
            .expect("a registry is made by `of`, which names the process")
    }

    pub(crate) fn register<S: Server>(
        self: &Arc<Self>,
        address: &Address,
        mailbox: Mailbox<S>,
        remote: &Remote,
    ) -> Registration {
        let prefix = address.keys.prefix();
        let number = self.processes_made.fetch_add(1, Ordering::Relaxed);
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mailboxes
            .entry(prefix.to_vec())
            .or_default()
            .push(Registered {
                number,
                mailbox: Arc::new(mailbox),
                server: address.to_string(),
                remote: remote.clone(),
            });
        Registration {
            registry: Arc::clone(self),
            prefix: prefix.to_vec(),
            number,
        }
    }

    /// The mailbox of a process here that consumes the server, if there is one: of the one with
    /// number `preferred`, if that is there.
    pub(crate) fn mailbox<S: Server>(
        &self,
        prefix: &[u8],
        preferred: Option<u64>,
    ) -> Option<Mailbox<S>> {
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let registered = mailboxes.get(prefix)?;
        let own = registered
            .iter()
            .filter(|registered| preferred == Some(registered.number));
        own.chain(registered)
            .find_map(|registered| registered.mailbox.downcast_ref::<Mailbox<S>>())
            .cloned()
    }

    /// The processes here of servers whose keys begin with `prefix`, and the servers' names.
    pub(crate) fn remotes(&self, prefix: &[u8]) -> Vec<(String, Remote)> {
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let below = mailboxes
            .iter()
            .filter(|(server, _)| server.starts_with(prefix));
        below
            .flat_map(|(_, registered)| registered)
            .map(|one| (one.server.clone(), one.remote.clone()))
            .collect()
    }

    /// The name of a new call of this OS process.
    pub(crate) fn new_call(&self) -> From {
        From {
            process: *self.process(),
            call: self.calls_made.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Waits here for the reply to a call.
    pub(crate) fn wait_for_call(self: &Arc<Self>, from: From) -> WaitingCall {
        let (send, answer) = oneshot::channel();
        self.calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(from.call, send);
        WaitingCall {
            registry: Arc::clone(self),
            from,
            answer,
        }
    }

    /// Whether `from` waits in this OS process.
    pub(crate) fn is_waiting_here(&self, from: &From) -> bool {
        from.process == *self.process()
            && self
                .calls
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(&from.call)
    }

    /// Hands the answer to whoever waits for it here; if nobody does any more, it is dropped.
    pub(crate) fn answer(&self, from: &From, answer: Answer) {
        let waiting = self
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&from.call);
        if let Some(waiting) = waiting {
            let _ = waiting.send(answer);
        }
    }
}

impl Registration {
    /// Which process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut mailboxes = self
            .registry
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = mailboxes.get_mut(&self.prefix) {
            registered.retain(|registered| registered.number != self.number);
            if registered.is_empty() {
                mailboxes.remove(&self.prefix);
            }
        }
    }
}

impl fmt::Debug for WaitingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WaitingCall").field(&self.from).finish()
    }
}

impl Drop for WaitingCall {
    fn drop(&mut self) {
        let mut calls = self
            .registry
            .calls
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        calls.remove(&self.from.call);
    }
}
