//! The servers of the load, as a program has them: next door, and from elsewhere.

use std::{collections::BTreeMap, time::Duration};

use dgen_backend::Database;
use dgen_server::{StartOptions, Tenant};
use dgen_testkit::faults::{FaultyBackend, Rates};

use crate::desk::DeskHandle;

pub(crate) const LEFT: &str = "left";
pub(crate) const RIGHT: &str = "right";
/// Whose messages lock it.
pub(crate) const LOCKED: &str = "locked";
/// That keeps large things.
pub(crate) const VAULT: &str = "vault";
/// Whose messages fail. It ticks, too.
pub(crate) const GRAVE: &str = "grave";

pub(crate) const DESKS: [&str; 5] = [LEFT, RIGHT, LOCKED, VAULT, GRAVE];

/// The shortest lease, so that nobody waits long for the lock of one that was killed.
const LEASE: Duration = Duration::from_millis(30);

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The OS process that consumes the server: messages need no queue.
    Near,
    /// As if another OS process: messages go through the queue, and answers come back through the
    /// store.
    Far,
}

/// All desks, consumed here.
#[derive(Debug, Clone)]
pub(crate) struct World {
    tenant: Tenant,
    near: BTreeMap<&'static str, DeskHandle>,
    far: BTreeMap<&'static str, DeskHandle>,
}

impl World {
    pub(crate) async fn start(tenant: Tenant) -> Result<Self, String> {
        let elsewhere = elsewhere(&tenant);
        let mut near = BTreeMap::new();
        let mut far = BTreeMap::new();
        for id in DESKS {
            let options = StartOptions::default().lock_lease(LEASE);
            let options = match id {
                GRAVE => options.max_attempts(1),
                _ => options,
            };
            let desk = DeskHandle::start_with(&tenant, id, (), options).await;
            near.insert(
                id,
                desk.map_err(|error| format!("{id} does not start: {error}"))?,
            );
            far.insert(id, DeskHandle::client(&elsewhere, id));
        }
        Ok(Self { tenant, near, far })
    }

    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    pub(crate) fn desk(&self, way: Way, id: &str) -> &DeskHandle {
        let desks = match way {
            Way::Near => &self.near,
            Way::Far => &self.far,
        };
        desks.get(id).expect("all desks are started")
    }
}

/// The same store, as another OS process has it open.
fn elsewhere(here: &Tenant) -> Tenant {
    let db = FaultyBackend::new(here.database().clone(), 0, Rates::default());
    Tenant::new(Database::new(db), here.subspace().clone())
}
