//! A store as one of its users sees it whose commits are slow.

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Database, Error, KeyRange, RangePage, RangeRead, Read, Tenant, Watch,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    env::Env,
};
use dgen_testkit::Forward;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::probe::Probe;

/// Transactions that write one key note `at` a gate before they are committed, and wait there.
#[derive(Clone)]
struct HeldUp {
    db: Database,
    key: Arc<[u8]>,
    probe: Probe,
    gate: Arc<str>,
}

struct HeldUpTransaction {
    inner: Forward,
    by: HeldUp,
    is_held_up: AtomicBool,
}

/// `tenant`, where writes of `key` wait at `gate`, as another OS process would have it open.
pub(crate) fn held_up(tenant: &Tenant, key: Vec<u8>, probe: &Probe, gate: &str) -> Tenant {
    let db = Database::new(HeldUp {
        db: tenant.database().clone(),
        key: key.into(),
        probe: probe.clone(),
        gate: gate.into(),
    });
    Tenant::new(db, tenant.subspace().clone())
}

impl std::fmt::Debug for HeldUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeldUp")
    }
}

impl Backend for HeldUp {
    fn name(&self) -> &'static str {
        "held up"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(HeldUpTransaction {
            inner: Forward(self.db.begin()?),
            by: self.clone(),
            is_held_up: AtomicBool::new(false),
        }))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn can_lose_commit_answer(&self) -> bool {
        self.db.can_lose_commit_answer()
    }
}

impl BackendTransaction for HeldUpTransaction {
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
        if let Mutation::Set(key, _) | Mutation::Clear(key) = mutation
            && *key == *self.by.key
        {
            self.is_held_up.store(true, Ordering::Relaxed);
        }
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
        if !self.is_held_up.load(Ordering::Relaxed) {
            return self.inner.commit();
        }
        let (tx, by) = (self.inner.0.clone(), self.by.clone());
        Read::pending(async move {
            by.probe.note(format!("at {}", by.gate));
            by.probe.passed(&by.gate).await;
            tx.commit().await
        })
    }

    fn cancel(&self) {
        self.inner.cancel();
    }
}
