//! Who runs next: the tasks of a world, one turn after the other, in one thread.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use super::{BoxFuture, Phase, Sim, State, life::Life, machine, sleep::Timer, trace::Event};
use crate::random::SEED_VARIABLE;

/// What a turn takes at most. It is not zero so that two who wait for each other by looking again and
/// again wait for time, too.
const TURN_MAX: Duration = Duration::from_micros(10);

/// The task that `Sim::run` was given.
const MAIN: u64 = 0;

/// All tasks but the main one.
#[derive(Default)]
pub(super) struct Executor {
    made: u64,
    tasks: BTreeMap<u64, Task>,
    /// Those that were woken, `MAIN` too. A task that is gone may still be in it.
    runnable: Vec<u64>,
}

struct Task {
    /// The life that it ends with; none for tasks of no machine.
    life: Option<Arc<Life>>,
    /// Away while it has its turn.
    future: Option<BoxFuture<()>>,
    waker: Arc<TaskWaker>,
}

/// Tasks that were woken since somebody looked.
#[derive(Default)]
pub(super) struct Ready(Mutex<Vec<u64>>);

struct TaskWaker {
    task: u64,
    is_woken: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    fn push(&self, task: u64) {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ready.push(task);
    }

    /// By number: tokio wakes several who wait for one thing in an order of its own.
    fn take(&self) -> Vec<u64> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = std::mem::take(&mut *ready);
        drop(ready);
        taken.sort_unstable();
        taken
    }
}

impl TaskWaker {
    /// The waker of a task, which is woken already.
    fn woken(task: u64, ready: &Arc<Ready>) -> Arc<Self> {
        let waker = Arc::new(Self {
            task,
            is_woken: AtomicBool::new(false),
            ready: Arc::clone(ready),
        });
        waker.wake_by_ref();
        waker
    }

    /// From here on it can be woken again.
    fn begin_turn(&self) {
        self.is_woken.store(false, Ordering::Release);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::AcqRel) {
            self.ready.push(self.task);
        }
    }
}

impl Executor {
    /// Takes the tasks of `life` away. The caller drops them, with no lock held.
    pub(super) fn take_tasks_of(&mut self, life: &Arc<Life>) -> Vec<BoxFuture<()>> {
        let is_of = |task: &Task| task.life.as_ref().is_some_and(|of| Arc::ptr_eq(of, life));
        let all = std::mem::take(&mut self.tasks);
        let (taken, left) = all.into_iter().partition(|(_, task)| is_of(task));
        self.tasks = left;
        let taken: BTreeMap<_, _> = taken;
        taken.into_values().filter_map(|task| task.future).collect()
    }

    /// These can run again.
    pub(super) fn unpark(&mut self, tasks: Vec<u64>) {
        self.runnable.extend(tasks);
    }
}

/// Runs `task` as one of `life`, or of no machine.
pub(super) fn spawn(sim: &Sim, life: Option<&Arc<Life>>, task: BoxFuture<()>) -> io::Result<()> {
    let mut state = sim.lock();
    if state.phase != Phase::Running {
        return Err(io::Error::other("no simulation runs"));
    }
    if life.is_some_and(|life| life.is_over()) {
        return Err(io::Error::other("the machine has died"));
    }
    state.executor.made += 1;
    let number = state.executor.made;
    let task = Task {
        life: life.cloned(),
        future: Some(task),
        waker: TaskWaker::woken(number, &sim.inner.ready),
    };
    state.executor.tasks.insert(number, task);
    Ok(())
}

/// The same for a caller who takes no error. Where all that runs is dropped, so is this.
pub(super) fn spawn_in_run(sim: &Sim, life: Option<&Arc<Life>>, task: BoxFuture<()>) {
    let phase = sim.lock().phase;
    assert!(phase != Phase::Idle, "nothing runs outside of `Sim::run`");
    // A machine that has died runs nothing.
    let _ = spawn(sim, life, task);
}

/// Runs `main` until it is done.
pub(super) fn run<F: Future>(sim: &Sim, main: Pin<&mut F>) -> F::Output {
    assert!(
        tokio::runtime::Handle::try_current().is_err(),
        "a simulation can't run inside of a tokio runtime: use a plain `#[test]`"
    );
    let before = std::mem::replace(&mut sim.lock().phase, Phase::Running);
    assert!(before == Phase::Idle, "this world runs already");
    let outcome = catch_unwind(AssertUnwindSafe(|| drive(sim, main)));
    if outcome.is_err() {
        report(sim);
    }
    clean_up(sim);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

fn drive<F: Future>(sim: &Sim, mut main: Pin<&mut F>) -> F::Output {
    let main_waker = TaskWaker::woken(MAIN, &sim.inner.ready);
    let waker = Waker::from(Arc::clone(&main_waker));
    let mut context = Context::from_waker(&waker);
    loop {
        fire_due_timers(sim);
        match choose(sim) {
            Some(MAIN) => {
                main_waker.begin_turn();
                if let Poll::Ready(output) = main.as_mut().poll(&mut context) {
                    return output;
                }
            }
            Some(task) => take_turn(sim, task),
            None => jump_to_next_timer(sim),
        }
    }
}

fn fire_due_timers(sim: &Sim) {
    loop {
        let mut state = sim.lock();
        let now = state.elapsed;
        let Some(timer) = state.timers.pop_due(now) else {
            return;
        };
        match timer {
            Timer::Wake(waker) => {
                drop(state);
                waker.wake();
            }
            Timer::Thaw { machine, freeze } => state.thaw(machine, Some(freeze)),
        }
    }
}

/// A random one of those that can run.
fn choose(sim: &Sim) -> Option<u64> {
    let mut state = sim.lock();
    let state = &mut *state;
    state.executor.runnable.extend(sim.inner.ready.take());
    while !state.executor.runnable.is_empty() {
        let index = state.random.below(state.executor.runnable.len());
        let number = state.executor.runnable.swap_remove(index);
        if number != MAIN {
            let Some(task) = state.executor.tasks.get(&number) else {
                continue;
            };
            let machine = task.life.as_ref().map(|life| life.machine());
            if let Some(machine) = machine.map(|index| &mut state.machines[index])
                && machine.is_frozen()
            {
                machine.park(number);
                continue;
            }
        }
        state.steps += 1;
        state.elapsed += state.random.duration(TURN_MAX);
        let elapsed_nanos = state.elapsed.as_nanos() as u64;
        state
            .trace
            .add(Event::Turn, number, &elapsed_nanos.to_le_bytes());
        check_bounds(sim, state);
        return Some(number);
    }
    None
}

fn take_turn(sim: &Sim, number: u64) {
    let (mut future, waker, life) = {
        let mut state = sim.lock();
        let Some(task) = state.executor.tasks.get_mut(&number) else {
            return;
        };
        let Some(future) = task.future.take() else {
            return;
        };
        (future, Arc::clone(&task.waker), task.life.clone())
    };
    waker.begin_turn();
    let waker = Waker::from(waker);
    let is_done = future
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_ready();
    let mut state = sim.lock();
    // Its machine may have died in its own turn: then it is gone, and must not come back.
    let removed = match state.executor.tasks.get_mut(&number) {
        Some(task) if !is_done => {
            task.future = Some(future);
            None
        }
        _ => Some((state.executor.tasks.remove(&number), future)),
    };
    drop(state);
    drop(removed);
    if let Some(life) = life {
        machine::befall(sim, &life);
    }
}

fn jump_to_next_timer(sim: &Sim) {
    let mut state = sim.lock();
    match state.timers.next() {
        Some(at) => state.elapsed = state.elapsed.max(at),
        None => {
            let tasks = state.executor.tasks.len();
            let frozen: Vec<_> = state
                .machines
                .iter()
                .filter(|one| one.is_frozen())
                .collect();
            let frozen: Vec<_> = frozen.iter().map(|machine| machine.name()).collect();
            let seed = sim.seed();
            panic!(
                "deadlock with seed {seed}: the main task and {tasks} others wait, none can run, and \
                 no timer is set; frozen machines: {frozen:?}"
            );
        }
    }
    check_bounds(sim, &state);
}

fn check_bounds(sim: &Sim, state: &State) {
    let (seed, limits) = (sim.seed(), sim.inner.limits);
    assert!(
        state.steps <= limits.steps_max,
        "not done after {} turns with seed {seed}",
        limits.steps_max
    );
    assert!(
        state.elapsed <= limits.time_max,
        "not done after {:?} with seed {seed}",
        limits.time_max
    );
}

/// Says what a failed run was.
fn report(sim: &Sim) {
    let state = sim.lock();
    eprintln!(
        "the simulation with seed {seed} failed after {steps} turns and {elapsed:?}; \
         {SEED_VARIABLE}={seed} replays it where the test takes its seeds from there\n{trace}",
        seed = sim.seed(),
        steps = state.steps,
        elapsed = state.elapsed,
        trace = state.trace,
    );
}

/// Everything ends at once, as if each machine had died.
fn clean_up(sim: &Sim) {
    sim.lock().phase = Phase::Ending;
    machine::end_all(sim);
    let (tasks, timers) = {
        let mut state = sim.lock();
        state.executor.runnable.clear();
        (
            std::mem::take(&mut state.executor.tasks),
            state.timers.take(),
        )
    };
    // With the lock released: what is dropped may do anything.
    drop(tasks);
    drop(timers);
    drop(sim.inner.ready.take());
    sim.lock().phase = Phase::Idle;
}
