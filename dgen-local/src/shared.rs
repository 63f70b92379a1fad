//! What every transaction of an open store shares.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

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
    /// On a thread of its own, which flushes.
    Thread(Mutex<Option<mpsc::Sender<Waiting>>>),
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

    /// Commits `request`.
    pub(crate) fn commit(&self, request: Request) -> Read<CommitVersionstamp> {
        match &self.path {
            CommitPath::Inline(committer) => {
                let mut committer = committer.lock().unwrap_or_else(PoisonError::into_inner);
                Read::ready(match &mut *committer {
                    Some(committer) => committer.commit_one(request),
                    None => Err(self.closed()),
                })
            }
            CommitPath::Thread(sender) => {
                let (done, outcome) = oneshot::channel();
                let sent = match &*sender.lock().unwrap_or_else(PoisonError::into_inner) {
                    Some(sender) => sender.send(Waiting { request, done }).is_ok(),
                    None => false,
                };
                if !sent {
                    return Read::ready(Err(self.closed()));
                }
                Read::pending(async move {
                    outcome.await.unwrap_or_else(|_| {
                        Err(Error::CommitUnknown {
                            reason: "the store closed before it answered".to_owned(),
                        })
                    })
                })
            }
        }
    }

    /// Takes no more commits. Those on their way are finished; then the committer closes the store.
    pub(crate) fn close(&self) {
        match &self.path {
            CommitPath::Thread(sender) => {
                drop(sender.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            CommitPath::Inline(committer) => {
                let committer = committer
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                if let Some(mut committer) = committer {
                    committer.close(&closed_by_owner());
                }
            }
        }
    }

    fn closed(&self) -> Error {
        self.current.newest().err().unwrap_or_else(closed_by_owner)
    }
}
