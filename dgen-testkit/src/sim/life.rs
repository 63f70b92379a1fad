//! One life of a machine, and the environments of a world.

use std::{
    io,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use dgen_backend::env::{BoxFuture, Environment};
use tokio::sync::Notify;

use super::{Sim, executor, sleep::WorldSleep};
use crate::Random;

/// From a start of a machine until it dies.
pub(super) struct Life {
    machine: usize,
    is_over: AtomicBool,
    ended: Notify,
    /// Its own, so that what it draws follows from what it does alone.
    random: Mutex<Random>,
}

impl Life {
    pub(super) fn new(machine: usize, random: Random) -> Arc<Self> {
        Arc::new(Self {
            machine,
            is_over: AtomicBool::new(false),
            ended: Notify::new(),
            random: Mutex::new(random),
        })
    }

    pub(super) fn machine(&self) -> usize {
        self.machine
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Ends it, and says whether it was not over yet.
    pub(super) fn end(&self) -> bool {
        let was_over = self.is_over.swap(true, Ordering::AcqRel);
        self.ended.notify_waiters();
        !was_over
    }

    /// Resolves once it is over.
    pub(super) async fn until_over(&self) {
        let mut ended = pin!(self.ended.notified());
        ended.as_mut().enable();
        if !self.is_over() {
            ended.await;
        }
    }
}

/// What a machine's programs see in one life of it.
pub(super) struct LifeEnv {
    pub(super) sim: Sim,
    pub(super) life: Arc<Life>,
}

impl Environment for LifeEnv {
    fn now(&self) -> Instant {
        let state = self.sim.lock();
        let clock = state.machines[self.life.machine].clock();
        self.sim.inner.started + clock.local(state.elapsed)
    }

    fn wall_clock(&self) -> SystemTime {
        let state = self.sim.lock();
        let clock = state.machines[self.life.machine].clock();
        SystemTime::UNIX_EPOCH + clock.wall_clock(state.elapsed)
    }

    fn random(&self, buffer: &mut [u8]) {
        let mut random = self
            .life
            .random
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        random.fill(buffer);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        let end = {
            let state = self.sim.lock();
            let clock = state.machines[self.life.machine].clock();
            clock.end(state.elapsed, duration)
        };
        Box::pin(WorldSleep::until(&self.sim, end))
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        executor::spawn(&self.sim, Some(&self.life), task)
    }

    fn spawn_thread(&self, name: &str, _work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        Err(no_threads(name))
    }
}

/// What is on no machine: its clock is right, and it does not die.
pub(super) struct WorldEnv(pub(super) Sim);

impl Environment for WorldEnv {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall_clock(&self) -> SystemTime {
        self.0.wall_clock()
    }

    fn random(&self, buffer: &mut [u8]) {
        self.0.lock().random.fill(buffer);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(WorldSleep::new(&self.0, duration))
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        executor::spawn(&self.0, None, task)
    }

    fn spawn_thread(&self, name: &str, _work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        Err(no_threads(name))
    }
}

fn no_threads(name: &str) -> io::Error {
    let text = format!(
        "the thread {name} can't be made: a simulation has one thread, so use what needs no other, such \
         as a store in memory"
    );
    io::Error::new(io::ErrorKind::Unsupported, text)
}
