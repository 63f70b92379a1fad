//! An OS process that can be killed at any of its steps: a database whose tasks end, and whose
//! answers never come, once it is dead. What it has committed stays in the store behind it.

use std::{
    future::{Future, pending},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use dgen_backend::{
    Database, Error, RangePage, RangeRead, Read,
    backend::{Backend, BackendTransaction, Isolation},
    env::{BoxFuture, Env, Environment},
};
use dgen_server::Tenant;
use dgen_testkit::{Forward, Intercept, Intercepted, MockClock};
use futures_util::{
    future::{Either, select},
    pin_mut,
};
use tokio::sync::watch;

/// Whether a process lives, and when it dies. A clone is the same process.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    dead: watch::Sender<bool>,
    steps: Arc<AtomicUsize>,
    death: Arc<Death>,
}

/// When a process dies by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    Never,
    /// Instead of its n-th step to the store.
    Before(usize),
    /// After its n-th step, before it gets the answer. Of a commit: what it wrote is there.
    After(usize),
}

impl Life {
    pub(crate) fn new(death: Death) -> Self {
        Self {
            dead: watch::Sender::new(false),
            steps: Arc::default(),
            death: Arc::new(death),
        }
    }

    /// Kills the process: nothing that it does from now on has any effect.
    pub(crate) fn end(&self) {
        self.dead.send_replace(true);
    }

    pub(crate) fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// Runs `work` as a part of the process: none if the process died before it was done.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut dead = self.dead.subscribe();
        let died = dead.wait_for(|is_dead| *is_dead);
        pin_mut!(died, work);
        match select(died, work).await {
            Either::Left(_) => None,
            Either::Right((output, _)) => Some(output),
        }
    }

    /// `store`, opened by this process, under `clock`.
    pub(crate) fn open(&self, store: &Tenant, clock: &MockClock) -> Tenant {
        let env = Env::new(MortalEnv {
            clock: clock.clone(),
            life: self.clone(),
        });
        let db = Database::new(Mortal {
            db: store.database().clone(),
            env,
            life: self.clone(),
        });
        Tenant::new(db, store.subspace().clone())
    }

    /// A step to the store.
    fn step<T: Send + 'static>(&self, step: impl FnOnce() -> Read<T>) -> Read<T> {
        if self.is_dead() {
            return Read::pending(pending());
        }
        let number = self.steps.fetch_add(1, Ordering::SeqCst) + 1;
        if *self.death == Death::Before(number) {
            self.end();
            return Read::pending(pending());
        }
        let answer = step();
        if *self.death != Death::After(number) {
            return answer;
        }
        let life = self.clone();
        Read::pending(async move {
            let _lost = answer.await;
            life.end();
            pending().await
        })
    }
}

struct MortalEnv {
    clock: MockClock,
    life: Life,
}

impl Environment for MortalEnv {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall_clock(&self) -> SystemTime {
        self.clock.wall_clock()
    }

    fn random(&self, buffer: &mut [u8]) {
        self.clock.random(buffer);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.clock.sleep(duration)
    }

    /// At once: nobody moves the clock for the sake of a transaction that failed.
    fn back_off(&self, _duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::task::yield_now())
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        let life = self.life.clone();
        self.clock.spawn(Box::pin(async move {
            let _ended = life.run(task).await;
        }))
    }

    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.clock.spawn_thread(name, work)
    }
}

#[derive(Debug)]
struct Mortal {
    db: Database,
    env: Env,
    life: Life,
}

impl Backend for Mortal {
    fn name(&self) -> &'static str {
        "mortal"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(MortalTransaction {
            inner: Forward(self.db.begin()?),
            life: self.life.clone(),
        })))
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn can_lose_commit_answer(&self) -> bool {
        self.db.can_lose_commit_answer()
    }
}

struct MortalTransaction {
    inner: Forward,
    life: Life,
}

impl Intercept for MortalTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn read_version(&self) -> Read<u64> {
        self.life.step(|| self.inner.read_version())
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.life.step(|| self.inner.get(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        self.life.step(|| self.inner.get_range(read, isolation))
    }

    fn commit(&self) -> Read<()> {
        self.life.step(|| self.inner.commit())
    }
}
