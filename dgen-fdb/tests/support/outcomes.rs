//! A database that notes how commits end.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Database, Error, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    directory::Directories,
    env::Env,
};
use dgen_testkit::Forward;

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
        Ok(Box::new(NotedTransaction {
            inner: Forward(self.db.begin()?),
            outcomes: self.outcomes.clone(),
        }))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn directories(&self) -> Arc<dyn Directories> {
        self.db.directories()
    }
}

impl BackendTransaction for NotedTransaction {
    fn read_version(&self) -> Read<u64> {
        self.inner.read_version()
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.inner.get(key, isolation)
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        self.inner.get_range(read, isolation)
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        self.inner.mutate(mutation)
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        self.inner.add_conflict(range, kind)
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        self.inner.watch(key)
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        self.inner.versionstamp()
    }

    fn commit(&self) -> Read<()> {
        let (commit, outcomes) = (self.inner.commit(), self.outcomes.clone());
        Read::pending(async move {
            let outcome = commit.await;
            outcomes.note(&outcome);
            outcome
        })
    }

    fn cancel(&self) {
        self.inner.cancel();
    }

    fn native(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.inner.native()
    }
}
