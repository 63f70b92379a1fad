//! A store as one of its users sees it whose commits are slow.

use dgen_backend::{
    Database, Error, Read, Tenant,
    backend::{Backend, BackendTransaction, Mutation},
    env::Env,
};
use dgen_testkit::{Forward, Intercept, Intercepted};
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
        Ok(Box::new(Intercepted(HeldUpTransaction {
            inner: Forward(self.db.begin()?),
            by: self.clone(),
            is_held_up: AtomicBool::new(false),
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn can_lose_commit_answer(&self) -> bool {
        self.db.can_lose_commit_answer()
    }
}

impl Intercept for HeldUpTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        if let Mutation::Set(key, _) | Mutation::Clear(key) = mutation
            && *key == *self.by.key
        {
            self.is_held_up.store(true, Ordering::Relaxed);
        }
        self.inner.mutate(mutation)
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
}
