//! A database whose transactions grow too old with their reads, as they do where each takes long.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use dgen_backend::{
    Database, Error, RangePage, RangeRead, Read,
    backend::{Backend, BackendTransaction, Isolation},
    env::Env,
};
use dgen_testkit::{Forward, Intercept, Intercepted};

/// `db`, with at most `reads_max` reads in a transaction. At more of them the commit is refused too.
pub(crate) fn aging(db: Database, reads_max: usize) -> (Database, Refusals) {
    let refusals = Refusals::default();
    let aging = Aging {
        db,
        reads_max,
        refusals: refusals.clone(),
    };
    (Database::new(aging), refusals)
}

/// How many transactions were too old.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusals(Arc<AtomicUsize>);

impl Refusals {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Aging {
    db: Database,
    reads_max: usize,
    refusals: Refusals,
}

struct AgingTransaction {
    inner: Forward,
    reads: AtomicUsize,
    reads_max: usize,
    refusals: Refusals,
}

impl AgingTransaction {
    /// `read`, which takes its time.
    fn slow<T>(&self, read: Read<T>) -> Read<T> {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        if reads == self.reads_max + 1 {
            self.refusals.0.fetch_add(1, Ordering::Relaxed);
        }
        if reads > self.reads_max {
            return Read::ready(Err(Error::TransactionTooOld));
        }
        read
    }
}

impl Backend for Aging {
    fn name(&self) -> &'static str {
        "aging"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(AgingTransaction {
            inner: Forward(self.db.begin()?),
            reads: AtomicUsize::new(0),
            reads_max: self.reads_max,
            refusals: self.refusals.clone(),
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn can_lose_commit_answer(&self) -> bool {
        self.db.can_lose_commit_answer()
    }
}

impl Intercept for AgingTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.slow(self.inner.get(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        self.slow(self.inner.get_range(read, isolation))
    }

    fn commit(&self) -> Read<()> {
        if self.reads.load(Ordering::Relaxed) > self.reads_max {
            return Read::ready(Err(Error::TransactionTooOld));
        }
        self.inner.commit()
    }
}
