//! A database that counts the rows that ranges return: what a read costs, whatever the store.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Database, Error, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    env::Env,
};
use dgen_testkit::Forward;

/// Counts the rows that are read through it. A clone is the same count.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowsRead(Arc<AtomicUsize>);

impl RowsRead {
    /// The rows since this was last called.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// `db`, and the rows that are read of it.
pub(crate) fn counted(db: Database) -> (Database, RowsRead) {
    let rows_read = RowsRead::default();
    let backend = Counting {
        db,
        rows_read: rows_read.clone(),
    };
    (Database::new(backend), rows_read)
}

#[derive(Debug)]
struct Counting {
    db: Database,
    rows_read: RowsRead,
}

struct CountingTransaction {
    inner: Forward,
    rows_read: RowsRead,
}

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(CountingTransaction {
            inner: Forward(self.db.begin()?),
            rows_read: self.rows_read.clone(),
        }))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn can_lose_commit_answer(&self) -> bool {
        false
    }
}

impl BackendTransaction for CountingTransaction {
    fn read_version(&self) -> Read<u64> {
        self.inner.read_version()
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.inner.get(key, isolation)
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        let rows_read = self.rows_read.clone();
        self.inner.get_range(read, isolation).map(move |page| {
            rows_read.0.fetch_add(page.rows.len(), Ordering::Relaxed);
            Ok(page)
        })
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
        self.inner.commit()
    }

    fn cancel(&self) {
        self.inner.cancel();
    }
}
