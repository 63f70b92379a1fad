//! A database that counts what is read and written through it: what an operation costs, whatever
//! the store.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Database, Error, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    env::Env,
};

use crate::Forward;

/// Counts of a database made by [`counted`]. A clone is the same counts.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    keys_read: Arc<AtomicU64>,
    rows_read: Arc<AtomicU64>,
    written_bytes: Arc<AtomicU64>,
}

impl Counts {
    /// The single keys asked for so far, whether or not they were there.
    #[must_use]
    pub fn keys_read(&self) -> u64 {
        self.keys_read.load(Ordering::Relaxed)
    }

    /// The rows that ranges returned so far.
    #[must_use]
    pub fn rows_read(&self) -> u64 {
        self.rows_read.load(Ordering::Relaxed)
    }

    /// The bytes of keys and values written so far, as transactions hand them to their backend,
    /// without what the store adds. Those of transactions that failed count too.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }
}

/// `db`, and the counts of what goes through the database returned.
///
/// # Examples
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (db, counts) = dgen_testkit::counting::counted(dgen_testkit::model::in_memory());
/// db.transact(async |tx| tx.set(b"key", b"value")).await?;
/// assert_eq!(counts.written_bytes(), 8);
/// # Ok::<(), dgen_backend::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn counted(db: Database) -> (Database, Counts) {
    let counts = Counts::default();
    let backend = Counting {
        db,
        counts: counts.clone(),
    };
    (Database::new(backend), counts)
}

#[derive(Debug)]
struct Counting {
    db: Database,
    counts: Counts,
}

struct CountingTransaction {
    inner: Forward,
    counts: Counts,
}

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(CountingTransaction {
            inner: Forward(self.db.begin()?),
            counts: self.counts.clone(),
        }))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    /// No commit markers, which would be counted.
    fn can_lose_commit_answer(&self) -> bool {
        false
    }
}

impl BackendTransaction for CountingTransaction {
    fn read_version(&self) -> Read<u64> {
        self.inner.read_version()
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.counts.keys_read.fetch_add(1, Ordering::Relaxed);
        self.inner.get(key, isolation)
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        let rows_read = Arc::clone(&self.counts.rows_read);
        self.inner.get_range(read, isolation).map(move |page| {
            rows_read.fetch_add(page.rows.len() as u64, Ordering::Relaxed);
            Ok(page)
        })
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        let size_bytes = match mutation {
            Mutation::Set(a, b)
            | Mutation::SetVersionstampedKey(a, b)
            | Mutation::SetVersionstampedValue(a, b) => a.len() + b.len(),
            Mutation::Clear(key) => key.len(),
            Mutation::ClearRange(range) => range.begin.len() + range.end.len(),
            Mutation::Add(key, _) => key.len() + size_of::<i64>(),
        };
        let written_bytes = &self.counts.written_bytes;
        written_bytes.fetch_add(size_bytes as u64, Ordering::Relaxed);
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
