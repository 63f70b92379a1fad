//! A database that notes how commits end.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use dgen_backend::{
    Database, Error, Read,
    backend::{Backend, BackendTransaction},
    directory::Directories,
    env::Env,
};
use dgen_testkit::{Forward, Intercept, Intercepted};

/// What is noted. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcomes {
    unknown: Arc<AtomicU64>,
    is_last_unknown: Arc<AtomicBool>,
}

impl Outcomes {
    /// How many commits failed and may have happened all the same.
    pub(crate) fn unknown(&self) -> u64 {
        self.unknown.load(Ordering::Relaxed)
    }

    /// Whether the last commit that ended is one of these. Of a database with one transaction after
    /// the other.
    pub(crate) fn is_last_unknown(&self) -> bool {
        self.is_last_unknown.load(Ordering::Relaxed)
    }

    fn note(&self, outcome: &Result<(), Error>) {
        let is_unknown = outcome.as_ref().is_err_and(Error::maybe_executed);
        self.unknown
            .fetch_add(u64::from(is_unknown), Ordering::Relaxed);
        self.is_last_unknown.store(is_unknown, Ordering::Relaxed);
    }
}

/// `db` as a database of its own, as another OS process has it; `outcomes` tell how its commits end.
pub(crate) fn noted(db: &Database, outcomes: &Outcomes) -> Database {
    Database::new(Noted {
        db: db.clone(),
        outcomes: outcomes.clone(),
    })
}

#[derive(Debug)]
struct Noted {
    db: Database,
    outcomes: Outcomes,
}

struct NotedTransaction {
    inner: Forward,
    outcomes: Outcomes,
}

impl Backend for Noted {
    fn name(&self) -> &'static str {
        "noted"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(NotedTransaction {
            inner: Forward(self.db.begin()?),
            outcomes: self.outcomes.clone(),
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn directories(&self) -> Arc<dyn Directories> {
        self.db.directories()
    }
}

impl Intercept for NotedTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn commit(&self) -> Read<()> {
        let (commit, outcomes) = (self.inner.commit(), self.outcomes.clone());
        Read::pending(async move {
            let outcome = commit.await;
            outcomes.note(&outcome);
            outcome
        })
    }
}
