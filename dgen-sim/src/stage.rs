//! A world, played in the simulator: a storm, in which clients send and things go wrong; then calm, in
//! which all must come to rest; then a long silence, after which nothing may be left behind.

mod calm;
mod clients;
mod machines;
mod troubles;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use dgen_backend::{Database, Tenant, tuple::Subspace};
use dgen_testkit::sim::{Machine, Sim};
use futures_util::future::{join, join_all};

use crate::{
    checks::Evidence,
    history::Record,
    scene,
    servers::{AnyHandle, LEASE, State},
    world::{Store, World},
};

/// A machine that died or stands still is back after this.
const BACK: Duration = Duration::from_secs(16);

/// A world that takes more turns hangs: most take some thousand.
const TURNS_MAX: u64 = 300_000;

/// The tenant of a world.
const TENANT: &str = "world";

/// What came of a world.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What did not hold.
    pub violations: Vec<String>,
    /// Two runs of one world have the same.
    pub trace_hash: u64,
    /// How many turns tasks had.
    pub turns: u64,
    /// How many messages were sent, those included that were sent in the calm.
    pub messages: usize,
    /// What clients saw.
    pub records: Vec<Record>,
}

impl World {
    /// Plays it, and looks at what came of it.
    #[must_use]
    pub fn play(&self) -> Verdict {
        let sim = Sim::builder(self.seed)
            .faults(self.rates)
            .hazards(self.hazards)
            .skew_max(self.skew_max)
            .steps_max(TURNS_MAX)
            .build();
        let stage = Arc::new(Stage::new(sim.clone(), self.clone()));
        let scene = scene::Set::new(sim.env());
        let played = catch_unwind(AssertUnwindSafe(|| {
            sim.run(async |_| stage.play(&scene).await)
        }));
        let mut violations = std::mem::take(&mut *lock(&stage.violations));
        match played {
            Ok((states, keys)) => {
                let evidence = stage.evidence(states, scene.runs(), keys);
                violations.extend(evidence.violations());
            }
            Err(panic) => violations.push(format!("it panicked: {}", words(&*panic))),
        }
        let records = lock(&stage.records).clone();
        Verdict {
            violations,
            trace_hash: sim.trace_hash(),
            turns: sim.steps(),
            messages: records.len(),
            records,
        }
    }
}

/// A world while it is played.
struct Stage {
    sim: Sim,
    world: World,
    store: Database,
    machines: Vec<Option<Machine>>,
    /// The order of all that clients do.
    moments: AtomicU64,
    records: Mutex<Vec<Record>>,
    kills: Mutex<Vec<(usize, u64, Option<u64>)>>,
    /// The processes that run, by machine and server.
    processes: Mutex<BTreeMap<(usize, usize), Arc<dyn AnyHandle>>>,
    is_silent: AtomicBool,
    violations: Mutex<Vec<String>>,
    begun: SystemTime,
}

impl Stage {
    fn new(sim: Sim, world: World) -> Self {
        let machines = world.machines.iter().enumerate().map(|(place, machine)| {
            let is_there = machine.is_some();
            is_there.then(|| sim.machine(&format!("m{place}")))
        });
        Self {
            store: store(&sim, &world),
            machines: machines.collect(),
            moments: AtomicU64::new(0),
            records: Mutex::default(),
            kills: Mutex::default(),
            processes: Mutex::default(),
            is_silent: AtomicBool::new(false),
            violations: Mutex::default(),
            begun: sim.wall_clock(),
            sim,
            world,
        }
    }

    async fn play(self: &Arc<Self>, scene: &scene::Set) -> (BTreeMap<usize, State>, Vec<Vec<u8>>) {
        self.boot();
        let troubles = self.world.troubles();
        let troubles = join_all(troubles.map(|(_, trouble)| self.befall(trouble)));
        let clients = join_all(
            self.world
                .clients()
                .map(|(place, client)| self.drive(place, client)),
        );
        join(troubles, clients).await;

        self.sim.calm();
        scene.calm();
        self.sim.sleep(BACK).await;
        self.come_to_rest().await;
        self.probe().await;
        self.come_to_rest().await;
        let states = self.states().await;
        self.be_silent().await;
        (states, self.keys().await)
    }

    fn evidence(
        &self,
        states: BTreeMap<usize, State>,
        runs: Vec<scene::Run>,
        keys: Vec<Vec<u8>>,
    ) -> Evidence {
        let begun = self.begun.duration_since(SystemTime::UNIX_EPOCH);
        let prefix = Subspace::from(TENANT).bytes().to_vec();
        Evidence {
            world: self.world.clone(),
            records: lock(&self.records).clone(),
            kills: lock(&self.kills).clone(),
            states,
            runs,
            lease: LEASE,
            begun: begun.unwrap_or_default(),
            keys: (prefix, keys),
        }
    }

    /// The store as a machine sees it now.
    fn tenant(&self, machine: &Machine) -> Tenant {
        Tenant::new(machine.database(&self.store), Subspace::from(TENANT))
    }

    fn machine(&self, place: usize) -> Option<&Machine> {
        self.machines.get(place)?.as_ref()
    }

    /// The next moment in the order of all that clients do.
    fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    fn is_wrong(&self, what: String) {
        lock(&self.violations).push(what);
    }
}

fn store(sim: &Sim, world: &World) -> Database {
    match world.store {
        Store::Model => sim.new_store(),
        Store::Embedded => {
            let opened = dgen_local::Options::default().env(sim.env()).in_memory();
            opened.expect("a store in memory needs nothing")
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
    text.unwrap_or_else(|| "with no words".to_owned())
}
