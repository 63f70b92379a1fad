//! How a process is told to end, and how it tells that it did.

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::Notify;

use crate::StopReason;

/// What a process is asked for. The last one counts, and a stronger one is not taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Request {
    /// To go on.
    None,
    /// To finish what it holds, its locked work included, and to end.
    Finish,
    /// To end with the transaction in flight.
    Stop,
    /// The same, since its server is deleted.
    Kill,
}

/// The process's end. Dropped before it [ended](Self::ended), its task was ended from outside.
pub(crate) struct Control(Arc<Shared>);

/// The handles' end.
#[derive(Clone)]
pub(crate) struct Remote(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Tells those who wait for the end.
    over: Notify,
}

struct State {
    request: Request,
    ended: Option<StopReason>,
    /// The process, if it waits.
    process: Option<Waker>,
}

pub(crate) fn control() -> (Control, Remote) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            request: Request::None,
            ended: None,
            process: None,
        }),
        over: Notify::new(),
    });
    (Control(Arc::clone(&shared)), Remote(shared))
}

impl Control {
    pub(crate) fn requested(&self) -> Request {
        self.0.state().request
    }

    /// Ready when more is requested than `so_far`.
    pub(crate) fn poll_more_requested(&self, cx: &mut Context<'_>, so_far: Request) -> Poll<()> {
        let mut state = self.0.state();
        if state.request > so_far {
            return Poll::Ready(());
        }
        match &mut state.process {
            Some(process) => process.clone_from(cx.waker()),
            process => *process = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    pub(crate) fn ended(self, reason: StopReason) {
        self.0.end(reason);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let reason = StopReason::Failed("its task was ended from outside".to_owned());
        self.0.end(reason);
    }
}

impl Remote {
    pub(crate) fn request(&self, request: Request) {
        let process = {
            let mut state = self.0.state();
            if request <= state.request {
                return;
            }
            state.request = request;
            state.process.take()
        };
        if let Some(process) = process {
            process.wake();
        }
    }

    /// Waits until the process has ended, and says why.
    pub(crate) async fn ended(&self) -> StopReason {
        loop {
            let mut over = pin!(self.0.over.notified());
            // An end between the next two lines counts.
            over.as_mut().enable();
            let ended = self.0.state().ended.clone();
            if let Some(reason) = ended {
                return reason;
            }
            over.await;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first reason stays.
    fn end(&self, reason: StopReason) {
        self.state().ended.get_or_insert(reason);
        self.over.notify_waiters();
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("Remote")
            .field("request", &state.request)
            .field("ended", &state.ended)
            .finish_non_exhaustive()
    }
}
