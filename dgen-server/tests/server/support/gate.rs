//! A database whose commits wait at a gate.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use dgen_backend::{
    Database, Error, Read,
    backend::{Backend, BackendTransaction},
    env::Env,
};
use dgen_server::Tenant;
use dgen_testkit::{Forward, Intercept, Intercepted};
use tokio::sync::{Semaphore, watch};

/// The gate: open, until it is shut.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    /// How many commits have come.
    came: Arc<AtomicU64>,
    /// How many of those may pass.
    admitted: watch::Sender<u64>,
    arrived: Arc<Semaphore>,
}

impl Gate {
    /// Lets no commit through that comes from now on.
    pub(crate) fn shut(&self) {
        self.admitted
            .send_replace(self.came.load(Ordering::Relaxed));
    }

    /// Lets those through that wait, and all that come.
    pub(crate) fn open(&self) {
        self.admitted.send_replace(u64::MAX);
    }

    /// Lets the one through that has waited longest at the shut gate.
    pub(crate) fn let_one_through(&self) {
        self.admitted.send_modify(|admitted| *admitted += 1);
    }

    /// Resolves when one commit more has come to the shut gate.
    pub(crate) async fn arrived(&self) {
        let arrived = self.arrived.acquire().await;
        arrived.expect("the gate stays").forget();
    }
}

/// `here`, as another OS process would have it, with a gate before its commits of writes.
pub(crate) fn gated(here: &Tenant) -> (Tenant, Gate) {
    let gate = Gate {
        came: Arc::default(),
        admitted: watch::Sender::new(u64::MAX),
        arrived: Arc::new(Semaphore::new(0)),
    };
    let db = Database::new(Gated {
        db: here.database().clone(),
        gate: gate.clone(),
    });
    (Tenant::new(db, here.subspace().clone()), gate)
}

#[derive(Debug)]
struct Gated {
    db: Database,
    gate: Gate,
}

struct GatedTransaction {
    inner: Forward,
    gate: Gate,
}

impl Backend for Gated {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(GatedTransaction {
            inner: Forward(self.db.begin()?),
            gate: self.gate.clone(),
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    /// True, if there is a store with faults behind it.
    fn can_lose_commit_answer(&self) -> bool {
        true
    }
}

impl Intercept for GatedTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn commit(&self) -> Read<()> {
        let tx = self.inner.0.clone();
        if !tx.has_writes() {
            return tx.commit();
        }
        let place = self.gate.came.fetch_add(1, Ordering::Relaxed);
        let mut admitted = self.gate.admitted.subscribe();
        if place < *admitted.borrow() {
            return tx.commit();
        }
        self.gate.arrived.add_permits(1);
        Read::pending(async move {
            let passes = admitted
                .wait_for(|admitted| place < *admitted)
                .await
                .is_ok();
            assert!(passes, "the gate stays as long as what is behind it");
            tx.commit().await
        })
    }
}
