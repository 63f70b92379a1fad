//! What every transaction of an open store shares.

use std::sync::{Arc, Mutex, PoisonError};

use dgen_backend::{CommitVersionstamp, Error, Read, env::Env};
use tokio::sync::oneshot;

use crate::{
    commit::{Committer, Request, Waiting},
    published::{Current, closed_by_owner},
    watches::Watches,
};

/// An open store.
pub(crate) struct Shared {
    pub(crate) current: Arc<Current>,
    pub(crate) watches: Arc<Watches>,
    pub(crate) env: Env,
    path: CommitPath,
}

/// How a commit reaches the committer; gone once the store is closed.
pub(crate) enum CommitPath {
    /// On threads of its own, which flush.
    Threads(Arc<Committer>),
    /// In the caller: nothing is flushed.
    Inline(Mutex<Option<Box<Committer>>>),
}

impl Shared {
    pub(crate) fn new(
        current: Arc<Current>,
        watches: Arc<Watches>,
        env: Env,
        path: CommitPath,
    ) -> Self {
        Self {
            current,
            watches,
            env,
            path,
        }
    }

    /// Commits `request`; tells `waiting` its versionstamp.
    pub(crate) fn commit(
        &self,
        request: Request,
        waiting: Vec<oneshot::Sender<CommitVersionstamp>>,
    ) -> Read<()> {
        let tell = move |stamp: CommitVersionstamp| {
            for waiting in waiting {
                // Whoever asked may be gone.
                let _ = waiting.send(stamp);
            }
        };
        match &self.path {
            CommitPath::Inline(committer) => {
                let committer = committer.lock().unwrap_or_else(PoisonError::into_inner);
                let outcome = match &*committer {
                    Some(committer) => committer.commit_one(request),
                    None => Err(self.closed()),
                };
                Read::ready(outcome.map(tell))
            }
            CommitPath::Threads(committer) => {
                let (done, outcome) = oneshot::channel();
                if !committer.intake.submit(Waiting { request, done }) {
                    return Read::ready(Err(self.closed()));
                }
                Read::pending(async move {
                    match outcome.await {
                        Ok(answered) => answered.outcome.map(tell),
                        Err(_) => Err(Error::CommitUnknown {
                            reason: "the store closed before it answered".to_owned(),
                        }),
                    }
                })
            }
        }
    }

    /// Takes no more commits. Those on their way are finished; then the committer closes the store.
    pub(crate) fn close(&self) {
        match &self.path {
            CommitPath::Threads(committer) => committer.intake.close(),
            CommitPath::Inline(committer) => {
                let committer = committer
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(committer) = committer {
                    committer.close(&closed_by_owner());
                }
            }
        }
    }

    fn closed(&self) -> Error {
        self.current.newest().err().unwrap_or_else(closed_by_owner)
    }
}
