//! A seeded simulation: machines that crash and freeze, clocks that are wrong, a store behind a
//! network that loses answers, in one thread and in no time.
//!
//! What runs in it takes time, randomness, sleep and spawn from an [`Env`] of the simulation, and
//! stores its data in a [`Database`] that a [`Machine`] hands out; dgen's servers do. Nothing else
//! is needed: a simulation is a plain `#[test]`.
//!
//! | to do | look at |
//! |---|---|
//! | run something | [`Sim::new`], [`Sim::run`] |
//! | run it with many seeds, or again with one | [`for_each_seed`], [`failing_seed`] |
//! | say how much goes wrong | [`Sim::builder`], [`Rates`], [`Hazards`] |
//! | have a program that dies and comes back | [`Machine`], [`Machine::boot`], [`Machine::kill`] |
//! | move time | [`Sim::sleep`]: it takes none; [`Machine::set_wall_clock`] |
//! | see that two runs are the same | [`Sim::trace_hash`] |
//!
//! # What is simulated
//!
//! - **Schedules.** Of the tasks that can run, a random one does. Each turn takes up to 10
//!   microseconds; when none can run, time jumps to the next timer.
//! - **A network.** What a machine asks its database takes up to [`Builder::latency_max`], and what
//!   machines send overtakes each other. A machine can be [cut off](Machine::cut_off).
//! - **Faults** of the store, as [`Rates`] say: conflicts, commits whose answer is lost, watches that
//!   fire early or never.
//! - **Death.** A machine dies between two turns of its tasks: these are dropped, and nothing of that
//!   life runs again. A commit that it had sent may arrive, late, or not.
//! - **Clocks.** Each machine's calendar is wrong by up to [`Builder::skew_max`], and its clocks run
//!   too fast or too slow by up to [`Builder::drift_max_ppm`].
//!
//! It leaves out: threads ([`Env::spawn_thread`] fails), real input and output, what a tokio runtime
//! offers (its timers, its tasks), and the store's own death: what it has committed stays.
//!
//! # The same run again
//!
//! All that happens follows from the seed, as long as what runs asks nobody else: no clock of the
//! system, no randomness, no thread, no iteration over a `HashMap`, no `tokio::select!` without `biased`.
//! A run that fails prints its seed, and what happened last.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//! use dgen_testkit::sim::Sim;
//!
//! let sim = Sim::new(7);
//! sim.run(async |sim| {
//!     let store = sim.new_store();
//!     let shop = sim.machine("shop");
//!     let db = shop.database(&store);
//!     let written = shop.run(async move {
//!         db.transact(|tx| async move { tx.set(b"sold", b"1") }).await
//!     });
//!     assert!(written.await.is_ok());
//!
//!     shop.kill();
//!     shop.restart();
//!     let db = shop.database(&store);
//!     let sold = db.transact(|tx| async move { tx.get(b"sold").await }).await;
//!     assert_eq!(sold.as_ref().ok().and_then(|sold| sold.as_deref()), Some(&b"1"[..]));
//!
//!     sim.sleep(Duration::from_secs(86_400)).await;
//! });
//! assert!(sim.elapsed() > Duration::from_secs(86_400));
//! ```

mod builder;
mod clock;
mod executor;
mod life;
mod machine;
mod seeds;
mod sleep;
mod store;
mod trace;

use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use dgen_backend::{
    Database, Tenant,
    env::{BoxFuture, Env},
};

pub use self::{
    builder::{Builder, Hazards},
    machine::{Died, Machine},
    seeds::{failing_seed, for_each_seed},
};
use self::{
    clock::EPOCH,
    executor::{Executor, Ready},
    life::WorldEnv,
    machine::MachineState,
    sleep::{Timers, WorldSleep},
    trace::Trace,
};
use crate::{
    Random,
    faults::{FaultCounts, Faults, Rates},
    model,
};

/// A simulated world. A clone is the same.
///
/// The [module](self) says what it simulates.
#[derive(Clone)]
pub struct Sim {
    inner: Arc<Inner>,
}

struct Inner {
    seed: u64,
    /// What a machine's monotonic clock shows when its elapsed time is zero.
    started: Instant,
    limits: Limits,
    ready: Arc<Ready>,
    state: Mutex<State>,
}

/// What does not change while it runs.
#[derive(Debug, Clone, Copy)]
struct Limits {
    steps_max: u64,
    time_max: Duration,
    latency_max: Duration,
    skew_max: Duration,
    drift_max_ppm: u32,
}

/// Whether anything can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No run is under way.
    Idle,
    Running,
    /// A run is being cleaned up.
    Ending,
}

struct State {
    elapsed: Duration,
    steps: u64,
    phase: Phase,
    random: Random,
    rates: Rates,
    hazards: Hazards,
    executor: Executor,
    timers: Timers,
    machines: Vec<MachineState>,
    /// One for each database handed out.
    faults: Vec<Faults>,
    trace: Trace,
}

impl Sim {
    /// A world that follows from `seed`, in which clocks are wrong and everything takes a little
    /// time, but no fault is injected and no machine dies by itself.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::builder(seed).build()
    }

    /// A world that follows from `seed`, to be told what goes wrong in it.
    pub fn builder(seed: u64) -> Builder {
        Builder::new(seed)
    }

    /// Runs `main` until it is done, and with it everything that is spawned meanwhile; then drops
    /// what is left, as if every machine had died.
    ///
    /// May be called again: time and the stores go on, machines wait for a
    /// [restart](Machine::restart).
    ///
    /// # Panics
    /// Inside of a tokio runtime, whose tasks run by rules of its own: use a plain `#[test]`. If `main`
    /// or any task panics; if nobody can run and no timer waits, so that `main` would never
    /// end; if it takes more than [`Builder::steps_max`] turns or [`Builder::time_max`]. What was
    /// noted last, and the seed, are printed then.
    pub fn run<T>(&self, main: impl AsyncFnOnce(Self) -> T) -> T {
        let main = pin!(main(self.clone()));
        executor::run(self, main)
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// The machine named `name`, which is made, and started, when it is first asked for.
    #[must_use]
    pub fn machine(&self, name: &str) -> Machine {
        Machine::named(self, name)
    }

    /// A new store that machines can share: [`model`], without faults and latencies. Hand it to
    /// [`Machine::database`]; use it itself to look at what is stored.
    ///
    /// It remembers every version of every key. For long runs make another, in memory, with the
    /// environment [`env`](Self::env).
    #[must_use]
    pub fn new_store(&self) -> Database {
        model::in_memory_in(self.env())
    }

    /// The tenant that [`Machine::tenant`] gives, reached from no machine: at once, and without faults.
    /// For callers that never die, and to look at what came of it.
    #[must_use]
    pub fn tenant(&self, store: &Database) -> Tenant {
        Tenant::new(store.clone(), machine::subspace())
    }

    /// An environment of no machine, whose clock is right, and which does not die.
    #[must_use]
    pub fn env(&self) -> Env {
        Env::new(WorldEnv(self.clone()))
    }

    /// The right time, for durations.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.started + self.elapsed()
    }

    /// The right time of the calendar. It began with the year 2020.
    #[must_use]
    pub fn wall_clock(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.elapsed()
    }

    /// How much time has passed since this world was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    /// Resolves after `duration`, which passes at once if nobody has anything to do.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        WorldSleep::new(self, duration)
    }

    /// A generator of its own, that follows from the seed, for the caller's choices.
    #[must_use]
    pub fn random(&self) -> Random {
        self.lock().random.split()
    }

    /// Runs `task` beside the caller, on no machine. Dropped when the run ends.
    ///
    /// # Panics
    /// Outside of [`run`](Self::run).
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        executor::spawn_in_run(self, None, Box::pin(task));
    }

    /// Changes how often the stores of machines fail, those in use too.
    pub fn set_faults(&self, rates: Rates) {
        let mut state = self.lock();
        state.rates = rates;
        for faults in &state.faults {
            faults.set_rates(rates);
        }
    }

    /// Changes what befalls machines.
    pub fn set_hazards(&self, hazards: Hazards) {
        self.lock().hazards = hazards;
    }

    /// Nothing more goes wrong: no faults, no deaths, and frozen machines go on, those cut off are
    /// not. So a test can wait until all is done, and look. What was sent, delayed or doomed before may take some seconds yet,
    /// and a machine that died by itself comes back in its time.
    pub fn calm(&self) {
        self.set_faults(Rates::default());
        let mut state = self.lock();
        state.hazards = Hazards::default();
        for machine in 0..state.machines.len() {
            state.calm(machine);
        }
    }

    /// How many faults were injected into all stores of machines.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        let state = self.lock();
        state.faults.iter().map(Faults::counts).sum()
    }

    /// Puts `text` into the trace: it counts for [`trace_hash`](Self::trace_hash), and is printed if
    /// the run fails soon after.
    pub fn note(&self, text: impl Into<String>) {
        let mut state = self.lock();
        let elapsed = state.elapsed;
        state.trace.note(elapsed, text.into());
    }

    /// A hash of all that has happened: who ran, what was read and written, what came of it, each
    /// fault, death and note. The same seed gives the same, in each process and on each machine.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.lock().trace.hash()
    }

    /// How many turns tasks had.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.lock().steps
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A random part of `max`.
    fn jitter(&self, max: Duration) -> Duration {
        self.lock().random.duration(max)
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("seed", &self.seed()).finish()
    }
}
