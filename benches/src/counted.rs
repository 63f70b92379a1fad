//! A database that counts the bytes of what is written through it: keys and values, as a
//! transaction hands them to its backend, without what the store adds.

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
use dgen_testkit::Forward;

/// Counts what `db` is asked to write.
pub(crate) fn count(db: Database) -> (Database, Written) {
    let written = Written::default();
    let counted = CountedBackend {
        db,
        written: written.clone(),
    };
    (Database::new(counted), written)
}

/// The bytes so far. A clone is the same count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written(Arc<AtomicU64>);

impl Written {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct CountedBackend {
    db: Database,
    written: Written,
}

struct CountedTransaction {
    inner: Forward,
    written: Written,
}

impl Backend for CountedBackend {
    fn name(&self) -> &'static str {
        "counted"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(CountedTransaction {
            inner: Forward(self.db.begin()?),
            written: self.written.clone(),
        }))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn can_lose_commit_answer(&self) -> bool {
        false
    }
}

impl BackendTransaction for CountedTransaction {
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
        let size_bytes = match mutation {
            Mutation::Set(a, b)
            | Mutation::SetVersionstampedKey(a, b)
            | Mutation::SetVersionstampedValue(a, b) => a.len() + b.len(),
            Mutation::Clear(key) => key.len(),
            Mutation::ClearRange(range) => range.begin.len() + range.end.len(),
            Mutation::Add(key, _) => key.len() + size_of::<i64>(),
        };
        self.written
            .0
            .fetch_add(size_bytes as u64, Ordering::Relaxed);
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
