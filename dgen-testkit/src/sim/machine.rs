//! Machines: OS processes with clocks of their own, that die and come back.

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use dgen_backend::{Database, Tenant, env::Env, tuple::Subspace};
use tokio::sync::oneshot;

use super::{
    BoxFuture, Sim, State,
    clock::Clock,
    executor,
    life::{Life, LifeEnv},
    sleep::Timer,
    store,
};

/// How long a machine freezes at most, or is cut off, when that befalls it.
const TROUBLE_MAX: Duration = Duration::from_secs(15);

/// How long a machine that died by itself stays away at most.
const AWAY_MAX: Duration = Duration::from_secs(10);

/// An OS process on a computer of its own. A clone is the same.
///
/// It lives until it is [killed](Self::kill), dies of [hazards](super::Hazards), or the run ends; a
/// [restart](Self::restart) begins a new life. What [`env`](Self::env) and
/// [`database`](Self::database) return belongs to the life in which they were asked for.
#[derive(Clone)]
pub struct Machine {
    sim: Sim,
    index: usize,
}

/// The machine died before the work was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the machine died")]
pub struct Died;

type Boot = Arc<dyn Fn(Machine) -> BoxFuture<()> + Send + Sync>;

/// What a world knows of a machine.
pub(super) struct MachineState {
    name: String,
    clock: Clock,
    /// The present one, or the last.
    life: Arc<Life>,
    /// What the present life opened: the store, and its database over it.
    databases: Vec<(Database, Database)>,
    boot: Option<Boot>,
    /// The number of the freeze that lasts.
    frozen: Option<u64>,
    freezes: u64,
    /// Tasks that could run if it were not frozen.
    parked: Vec<u64>,
    /// When its stores can be reached again.
    cut_off_until: Duration,
    /// After how many turns it dies.
    turns_left: Option<u64>,
}

impl MachineState {
    pub(super) fn cut_off_until(&self) -> Duration {
        self.cut_off_until
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Keeps `task` for when the machine is thawed.
    pub(super) fn park(&mut self, task: u64) {
        self.parked.push(task);
    }
}

impl State {
    /// Ends the freeze of a machine: this one, or whichever lasts.
    pub(super) fn thaw(&mut self, machine: usize, freeze: Option<u64>) {
        let machine = &mut self.machines[machine];
        if machine.frozen.is_none() || freeze.is_some_and(|freeze| machine.frozen != Some(freeze)) {
            return;
        }
        machine.frozen = None;
        let (parked, name) = (std::mem::take(&mut machine.parked), machine.name.clone());
        self.executor.unpark(parked);
        let elapsed = self.elapsed;
        self.trace.note(elapsed, format!("{name} goes on"));
    }

    /// Nothing holds a machine up any more.
    pub(super) fn calm(&mut self, machine: usize) {
        self.thaw(machine, None);
        self.machines[machine].cut_off_until = Duration::ZERO;
    }

    fn freeze(&mut self, machine: usize, duration: Option<Duration>) {
        let machine_state = &mut self.machines[machine];
        machine_state.freezes += 1;
        let freeze = machine_state.freezes;
        machine_state.frozen = Some(freeze);
        let (elapsed, name) = (self.elapsed, machine_state.name.clone());
        if let Some(duration) = duration {
            let thaw = Timer::Thaw { machine, freeze };
            self.timers.add(elapsed.saturating_add(duration), thaw);
        }
        self.trace.note(elapsed, format!("{name} freezes"));
    }

    fn cut_off(&mut self, machine: usize, duration: Duration) {
        let elapsed = self.elapsed;
        let machine = &mut self.machines[machine];
        machine.cut_off_until = elapsed.saturating_add(duration);
        let text = format!("{} is cut off for {duration:?}", machine.name);
        self.trace.note(elapsed, text);
    }
}

impl Machine {
    pub(super) fn named(sim: &Sim, name: &str) -> Self {
        let mut state = sim.lock();
        let found = state.machines.iter().position(|one| one.name == name);
        let index = found.unwrap_or_else(|| {
            let index = state.machines.len();
            let limits = sim.inner.limits;
            let clock = Clock::random(&mut state.random, limits.skew_max, limits.drift_max_ppm);
            let life = Life::new(index, state.random.split());
            state.machines.push(MachineState {
                name: name.to_owned(),
                clock,
                life,
                databases: Vec::new(),
                boot: None,
                frozen: None,
                freezes: 0,
                parked: Vec::new(),
                cut_off_until: Duration::ZERO,
                turns_left: None,
            });
            index
        });
        drop(state);
        Self {
            sim: sim.clone(),
            index,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.with(|machine| machine.name.clone())
    }

    /// Clocks, randomness, sleep and spawn of the present life. In one that is over, clocks go on and
    /// spawning fails.
    #[must_use]
    pub fn env(&self) -> Env {
        Env::new(self.life_env())
    }

    /// `store` as this machine reaches it in its present life: across a network, with the world's
    /// faults. The same store gives the same database, until the machine dies; then it is closed.
    ///
    /// `store` should be in memory, and live in the environment of the world ([`Sim::env`]), as
    /// [`Sim::new_store`] does: the machine's own dies with it.
    #[must_use]
    pub fn database(&self, store: &Database) -> Database {
        let opened = self.with(|machine| {
            let mut databases = machine.databases.iter();
            let found = databases.find(|(of, _)| of.is_same(store));
            found.map(|(_, database)| database.clone())
        });
        if let Some(database) = opened {
            return database;
        }
        // Made with the lock released: it asks for randomness.
        let database = store::open(&self.sim, self.life_env(), store);
        if self.is_alive() {
            let opened = (store.clone(), database.clone());
            self.with(|machine| machine.databases.push(opened));
        }
        database
    }

    /// The tenant of dgen's servers in `store`, reached over [`database`](Self::database). Each machine
    /// and [`Sim::tenant`] give the same part of the store.
    #[must_use]
    pub fn tenant(&self, store: &Database) -> Tenant {
        Tenant::new(self.database(store), subspace())
    }

    /// Runs `task` here until it is done or the machine dies. Dead machines run nothing.
    ///
    /// # Panics
    /// Outside of [`Sim::run`].
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        executor::spawn_in_run(&self.sim, Some(&self.life()), Box::pin(task));
    }

    /// Runs `work` here, from now on, and returns what it returns.
    ///
    /// # Errors
    /// [`Died`] if the machine dies before, or is dead.
    ///
    /// # Panics
    /// Outside of [`Sim::run`].
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the work goes on.
    pub fn run<F>(&self, work: F) -> impl Future<Output = Result<F::Output, Died>> + Send + use<F>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (done, outcome) = oneshot::channel();
        self.spawn(async move {
            // Nobody may wait for it any more.
            let _ = done.send(work.await);
        });
        async move { outcome.await.map_err(|_dropped| Died) }
    }

    /// Spawns `program` here, now and at the beginning of each later life of this run. A machine that
    /// has a program and dies of [hazards](super::Hazards) or of [`kill_after`](Self::kill_after)
    /// comes back by itself, within 10 seconds.
    ///
    /// # Panics
    /// Outside of [`Sim::run`].
    pub fn boot<F, Fut>(&self, program: F)
    where
        F: Fn(Self) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let boot: Boot = Arc::new(move |machine| Box::pin(program(machine)));
        self.spawn(boot(self.clone()));
        let replaced = self.with(|machine| machine.boot.replace(boot));
        drop(replaced);
    }

    /// Ends the present life at once: its tasks are dropped, its databases are closed. What it had
    /// sent to a store may still arrive, up to five seconds later, or not. It stays dead until it is
    /// [restarted](Self::restart).
    ///
    /// Called from a task of its own, that task ends at its next await point.
    pub fn kill(&self) {
        end_life(&self.sim, &self.life(), "is killed");
    }

    /// Kills it once its tasks have had `turns` more turns: so a test can go through all await points
    /// of an operation, one after the other. `None` takes that back. Default: `None`.
    pub fn kill_after(&self, turns: Option<u64>) {
        self.with(|machine| machine.turns_left = turns);
    }

    /// Begins a new life; one that goes on is ended first.
    pub fn restart(&self) {
        self.kill();
        let mut state = self.sim.lock();
        let (elapsed, random) = (state.elapsed, state.random.split());
        let machine = &mut state.machines[self.index];
        machine.life = Life::new(self.index, random);
        machine.frozen = None;
        machine.turns_left = None;
        // Of the life before.
        machine.parked.clear();
        let (boot, name) = (machine.boot.clone(), machine.name.clone());
        state.trace.note(elapsed, format!("{name} starts"));
        drop(state);
        if let Some(boot) = boot {
            self.spawn(boot(self.clone()));
        }
    }

    /// Whether it lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        !self.life().is_over()
    }

    /// Resolves once the life that is the present one now is over.
    ///
    /// # Cancel safety
    /// Safe: it only looks.
    pub fn died(&self) -> impl Future<Output = ()> + Send + use<> {
        let life = self.life();
        async move { life.until_over().await }
    }

    /// Nothing of it runs until it is [thawed](Self::thaw) or restarted, while its clocks go on: as if it
    /// were swapped out, or stopped by a debugger.
    pub fn freeze(&self) {
        self.sim.lock().freeze(self.index, None);
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.sim.lock().thaw(self.index, None);
    }

    /// For `duration` from now, its stores are out of reach: what it asks of them, and what they answer
    /// to a commit, stays on its way until then. It runs on meanwhile, and knows nothing of it. Zero
    /// ends that for what is sent from now on.
    pub fn cut_off(&self, duration: Duration) {
        self.sim.lock().cut_off(self.index, duration);
    }

    /// Sets its calendar to `time`: back, too. It stays so in later lives. Sleeps take no notice.
    ///
    /// # Panics
    /// If `time` is before 1970.
    pub fn set_wall_clock(&self, time: SystemTime) {
        let since_1970 = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("calendars of machines begin with 1970");
        let mut state = self.sim.lock();
        let elapsed = state.elapsed;
        let machine = &mut state.machines[self.index];
        machine.clock.set_wall_clock(elapsed, since_1970);
        let text = format!("{} sets its calendar", machine.name);
        state.trace.note(elapsed, text);
    }

    fn life(&self) -> Arc<Life> {
        self.with(|machine| Arc::clone(&machine.life))
    }

    fn life_env(&self) -> LifeEnv {
        LifeEnv {
            sim: self.sim.clone(),
            life: self.life(),
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut MachineState) -> T) -> T {
        f(&mut self.sim.lock().machines[self.index])
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Machine").field(&self.name()).finish()
    }
}

/// Where tenants are in their store.
pub(super) fn subspace() -> Subspace {
    Subspace::from("dgen")
}

/// What may happen to a machine behind each turn of its tasks.
pub(super) fn befall(sim: &Sim, life: &Arc<Life>) {
    if life.is_over() {
        return;
    }
    let dies = {
        let mut state = sim.lock();
        let state = &mut *state;
        let hazards = state.hazards;
        if state.random.chance(hazards.clock_jump) {
            let machine = &mut state.machines[life.machine()];
            machine
                .clock
                .jump(&mut state.random, sim.inner.limits.skew_max);
            let text = format!("{}'s calendar jumps", machine.name);
            state.trace.note(state.elapsed, text);
        }
        if state.random.chance(hazards.freeze) && !state.machines[life.machine()].is_frozen() {
            let duration = state.random.duration(TROUBLE_MAX);
            state.freeze(life.machine(), Some(duration));
        }
        if state.random.chance(hazards.cut_off) {
            let duration = state.random.duration(TROUBLE_MAX);
            state.cut_off(life.machine(), duration);
        }
        let is_chosen = state.random.chance(hazards.death);
        let machine = &mut state.machines[life.machine()];
        machine.turns_left = machine.turns_left.map(|turns| turns.saturating_sub(1));
        is_chosen || machine.turns_left == Some(0)
    };
    if dies {
        end_life(sim, life, "dies");
        come_back(sim, life);
    }
}

/// Restarts a machine that has a program, in a while, if nobody else has until then.
fn come_back(sim: &Sim, life: &Arc<Life>) {
    if sim.lock().machines[life.machine()].boot.is_none() {
        return;
    }
    let machine = Machine {
        sim: sim.clone(),
        index: life.machine(),
    };
    let sleep = sim.sleep(sim.jitter(AWAY_MAX));
    let life = Arc::clone(life);
    let restart = async move {
        sleep.await;
        if Arc::ptr_eq(&machine.life(), &life) {
            machine.restart();
        }
    };
    sim.spawn(restart);
}

/// Ends every life, and forgets what machines booted.
pub(super) fn end_all(sim: &Sim) {
    let lives: Vec<_> = {
        let state = sim.lock();
        let machines = state.machines.iter();
        machines.map(|machine| Arc::clone(&machine.life)).collect()
    };
    for life in lives {
        end_life(sim, &life, "ends with the run");
        let boot = sim.lock().machines[life.machine()].boot.take();
        drop(boot);
    }
}

/// Ends `life`, if it is not over.
fn end_life(sim: &Sim, life: &Arc<Life>, how: &str) {
    if !life.end() {
        return;
    }
    let (tasks, databases) = {
        let mut state = sim.lock();
        let tasks = state.executor.take_tasks_of(life);
        let elapsed = state.elapsed;
        let machine = &mut state.machines[life.machine()];
        machine.turns_left = None;
        let databases = std::mem::take(&mut machine.databases);
        let text = format!("{} {how}", machine.name);
        state.trace.note(elapsed, text);
        (tasks, databases)
    };
    // With the lock released: what is dropped may do anything.
    drop(tasks);
    drop(databases);
}
