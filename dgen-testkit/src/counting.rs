//! A database that counts what is read and written through it, and how often somebody has to wait
//! for it: what an operation costs, whatever the store.
//!
//! A **round trip** of reads is what a caller waits for together. A transaction's first read begins
//! one, and so does each read that is asked for after an answer of the round trip before was
//! delivered: it may depend on that. A read that is dropped unanswered delivers nothing. Watches are
//! not counted: nobody waits for one to be set.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use dgen_backend::{
    Database, Error, RangePage, RangeRead, Read,
    backend::{Backend, BackendTransaction, Isolation, Mutation},
    env::Env,
};

use crate::{Forward, Intercept, Intercepted};

/// Counts of a database made by [`counted`]. A clone is the same counts.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    keys_read: Arc<AtomicU64>,
    rows_read: Arc<AtomicU64>,
    written_bytes: Arc<AtomicU64>,
    transactions: Arc<AtomicU64>,
    read_round_trips: Arc<AtomicU64>,
    commits: Arc<AtomicU64>,
    read_round_trips_of_commits: Arc<AtomicU64>,
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

    /// The transactions begun so far; each attempt is one.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// The round trips of reads so far.
    #[must_use]
    pub fn read_round_trips(&self) -> u64 {
        self.read_round_trips.load(Ordering::Relaxed)
    }

    /// The commits of transactions that wrote, whatever became of them. One that only read costs
    /// nothing to commit.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Those of [`read_round_trips`](Self::read_round_trips) that a transaction had made which then
    /// committed writes.
    #[must_use]
    pub fn read_round_trips_of_commits(&self) -> u64 {
        self.read_round_trips_of_commits.load(Ordering::Relaxed)
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
    trips: Arc<Trips>,
}

/// The round trips of one transaction.
#[derive(Default)]
struct Trips {
    begun: AtomicU64,
    /// The last one of which an answer was delivered.
    answered: AtomicU64,
}

impl CountingTransaction {
    /// `read` is being asked for.
    fn count<T: Send + 'static>(&self, read: Read<T>) -> Read<T> {
        let trips = Arc::clone(&self.trips);
        let mut trip = trips.begun.load(Ordering::Acquire);
        if trips.answered.load(Ordering::Acquire) == trip {
            trip += 1;
            trips.begun.store(trip, Ordering::Release);
            self.counts.read_round_trips.fetch_add(1, Ordering::Relaxed);
        }
        Read::pending(async move {
            let answer = read.await;
            trips.answered.fetch_max(trip, Ordering::AcqRel);
            answer
        })
    }
}

impl Backend for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        self.counts.transactions.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Intercepted(CountingTransaction {
            inner: Forward(self.db.begin()?),
            counts: self.counts.clone(),
            trips: Arc::default(),
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    /// Commit markers are counted too.
    fn can_lose_commit_answer(&self) -> bool {
        self.db.can_lose_commit_answer()
    }
}

impl Intercept for CountingTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn read_version(&self) -> Read<u64> {
        self.count(self.inner.read_version())
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.counts.keys_read.fetch_add(1, Ordering::Relaxed);
        self.count(self.inner.get(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        let rows_read = Arc::clone(&self.counts.rows_read);
        let page = self.inner.get_range(read, isolation).map(move |page| {
            rows_read.fetch_add(page.rows.len() as u64, Ordering::Relaxed);
            Ok(page)
        });
        self.count(page)
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

    fn commit(&self) -> Read<()> {
        if self.inner.0.has_writes() {
            let trips = self.trips.begun.load(Ordering::Acquire);
            let of_commits = &self.counts.read_round_trips_of_commits;
            of_commits.fetch_add(trips, Ordering::Relaxed);
            self.counts.commits.fetch_add(1, Ordering::Relaxed);
        }
        self.inner.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;

    /// SPEC F3: reads that are asked for together are one round trip, however they are awaited; one that
    /// is asked for after an answer came is another.
    #[tokio::test]
    async fn round_trips_are_counted() {
        let (db, counts) = counted(model::in_memory());
        let tx = db.begin().expect("a model is always open");
        let (version, a, b) = (tx.read_version(), tx.get(b"a"), tx.get(b"b"));
        let dropped = tx.snapshot().get(b"c");
        drop(dropped);
        assert_eq!(counts.read_round_trips(), 1);
        let (_, _) = (b.await, version.await);
        let c = tx.get(b"c");
        assert_eq!(counts.read_round_trips(), 2);
        // An answer of the first says nothing of the second.
        let (_, d) = (a.await, tx.get(b"d"));
        assert_eq!(counts.read_round_trips(), 2);
        let (_, _) = (d.await, c.await);
        assert!(tx.commit().await.is_ok());
        assert_eq!((counts.commits(), counts.transactions()), (0, 1));
    }

    /// SPEC F3: a commit counts if it writes, and then so do the reads before it.
    #[tokio::test]
    async fn commits_are_counted() {
        let (db, counts) = counted(model::in_memory());
        let written = db.transact(async |tx| tx.set(b"a", b"1")).await;
        assert!(written.is_ok());
        assert_eq!((counts.commits(), counts.read_round_trips()), (1, 0));
        let written = db.transact(async |tx| {
            let a = tx.get(b"a").await?;
            let b = tx.get(b"b").await?;
            tx.set(
                b"b",
                &[a.unwrap_or_default(), b.unwrap_or_default()].concat(),
            )
        });
        assert!(written.await.is_ok());
        let _read = db.transact(async |tx| tx.get(b"a").await).await;
        assert_eq!((counts.commits(), counts.transactions()), (2, 3));
        assert_eq!(counts.read_round_trips_of_commits(), 2);
        assert_eq!(counts.read_round_trips(), 3);
    }
}
