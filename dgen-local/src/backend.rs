//! The embedded store as a backend.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use dgen_backend::{
    Error,
    backend::{Backend, BackendTransaction},
    env::Env,
};

use crate::{
    OpenError,
    commit::{Committer, fail},
    published::{Current, Published, closed_by_owner},
    shared::{CommitPath, Shared},
    store::{Base as _, RedbStore},
    transaction::LocalTransaction,
    watches::Watches,
};

/// The embedded backend: one store, on disk or in memory. Dropping the last
/// [`Database`](dgen_backend::Database) over it closes the store, and waits until that is done.
pub struct LocalBackend {
    shared: Arc<Shared>,
    /// Ends when all threads have ended, and the store is closed.
    closed: Mutex<Option<mpsc::Receiver<()>>>,
}

impl LocalBackend {
    /// A backend over an open store, whose commits and checkpoints are made on threads of its own.
    pub(crate) fn with_thread(
        store: RedbStore,
        env: Env,
        watches_max: usize,
        path: &Path,
    ) -> Result<Self, OpenError> {
        let current = current(&store, path)?;
        let watches = Arc::new(Watches::new(watches_max));
        let store = Arc::new(store);
        let committer = Arc::new(Committer::new(
            Arc::clone(&store),
            Arc::clone(&current),
            Arc::clone(&watches),
            env.clone(),
        ));
        let (is_closed, closed) = mpsc::channel();
        store.use_thread_beside();
        let checkpointer = Checkpointer {
            store: Arc::clone(&store),
            current: Arc::clone(&current),
            watches: Arc::clone(&watches),
            is_closed: is_closed.clone(),
        };
        let io_error = |error: io::Error| OpenError::from_io(path, error);
        env.spawn_thread("dgen-checkpoint", move || checkpointer.run())
            .map_err(io_error)?;
        for name in COMMIT_THREADS {
            committer.intake.enter();
            let (committer, is_closed) = (Arc::clone(&committer), is_closed.clone());
            let spawned = env.spawn_thread(name, {
                let committer = Arc::clone(&committer);
                move || {
                    committer.run();
                    drop(committer);
                    drop(is_closed);
                }
            });
            if let Err(error) = spawned {
                committer.intake.close();
                if committer.intake.leave() {
                    // The thread that writes checkpoints ends with the store.
                    committer.close(&closed_by_owner());
                }
                return Err(io_error(error));
            }
        }
        let path = CommitPath::Threads(committer);
        Ok(Self {
            shared: Arc::new(Shared::new(current, watches, env, path)),
            closed: Mutex::new(Some(closed)),
        })
    }

    /// A backend over a store that flushes nothing, whose commits are made by their callers.
    pub(crate) fn inline(
        store: RedbStore,
        env: Env,
        watches_max: usize,
        path: &Path,
    ) -> Result<Self, OpenError> {
        let current = current(&store, path)?;
        let watches = Arc::new(Watches::new(watches_max));
        let committer = Committer::new(
            Arc::new(store),
            Arc::clone(&current),
            Arc::clone(&watches),
            env.clone(),
        );
        let path = CommitPath::Inline(Mutex::new(Some(Box::new(committer))));
        Ok(Self {
            shared: Arc::new(Shared::new(current, watches, env, path)),
            closed: Mutex::new(None),
        })
    }
}

/// Two: while one flushes a group, the other collects the next.
const COMMIT_THREADS: [&str; 2] = ["dgen-commit", "dgen-commit-2"];

/// What the thread needs that writes checkpoints.
struct Checkpointer {
    store: Arc<RedbStore>,
    current: Arc<Current>,
    watches: Arc<Watches>,
    is_closed: mpsc::Sender<()>,
}

impl Checkpointer {
    fn run(self) {
        let Self {
            store,
            current,
            watches,
            is_closed,
        } = self;
        while let Some(written) = store.work_beside() {
            match written {
                Ok(snapshot) => current.refresh(Published { snapshot }),
                Err(error) => {
                    let what = "a checkpoint could not be written";
                    fail(&current, &watches, what, &error.into());
                }
            }
        }
        drop((store, current));
        // The last, so that whoever waits for it finds the store closed.
        drop(is_closed);
    }
}

fn current(store: &RedbStore, path: &Path) -> Result<Arc<Current>, OpenError> {
    let snapshot = store
        .snapshot()
        .map_err(|error| OpenError::from_store(path, error))?;
    let published = Published { snapshot };
    Ok(Arc::new(Current::new(published)))
}

impl Backend for LocalBackend {
    fn name(&self) -> &'static str {
        "local"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(LocalTransaction::new(Arc::clone(&self.shared))))
    }

    fn env(&self) -> &Env {
        &self.shared.env
    }

    /// A commit's answer is lost only with the store itself.
    fn can_lose_commit_answer(&self) -> bool {
        false
    }
}

impl Drop for LocalBackend {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(closed) = self
            .closed
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            // Nothing is ever sent: it ends with the thread.
            let _ = closed.recv();
        }
    }
}

impl fmt::Debug for LocalBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalBackend")
    }
}
