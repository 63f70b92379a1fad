//! A store as a machine reaches it: across a network, from one life.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Database, Error, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    directory::Directories,
    env::Env,
    limits::TRANSACTION_AGE_MAX,
};
use tokio::sync::oneshot;

use super::{
    Sim, executor,
    life::{Life, LifeEnv},
    sleep::WorldSleep,
    trace::Event,
};
use crate::{Forward, Intercept, Intercepted, faults::FaultyBackend};

/// `store` for the life of `env`.
pub(super) fn open(sim: &Sim, env: LifeEnv, store: &Database) -> Database {
    let faulty = {
        let mut state = sim.lock();
        let (seed, rates) = (state.random.next_u64(), state.rates);
        let faulty = FaultyBackend::new(store.clone(), seed, rates);
        state.faults.push(faulty.faults());
        faulty.in_env(sim.env()).late_max(TRANSACTION_AGE_MAX)
    };
    Database::new(SimBackend {
        db: Database::new(faulty),
        sim: sim.clone(),
        life: Arc::clone(&env.life),
        env: Env::new(env),
    })
}

struct SimBackend {
    db: Database,
    sim: Sim,
    life: Arc<Life>,
    env: Env,
}

impl Backend for SimBackend {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        check_alive(&self.life)?;
        Ok(Box::new(Intercepted(SimTransaction {
            inner: Forward(self.db.begin()?),
            line: Line {
                sim: self.sim.clone(),
                life: Arc::clone(&self.life),
            },
            answers: Mutex::default(),
        })))
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn directories(&self) -> Arc<dyn Directories> {
        self.db.directories()
    }
}

impl fmt::Debug for SimBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimBackend").field(&self.db).finish()
    }
}

/// The way between a life and its store.
#[derive(Clone)]
struct Line {
    sim: Sim,
    life: Arc<Life>,
}

impl Line {
    /// What a message takes, from now on.
    fn latency(&self) -> WorldSleep {
        let arrives = {
            let mut state = self.sim.lock();
            let latency = state.random.duration(self.sim.inner.limits.latency_max);
            let cut_off_until = state.machines[self.life.machine()].cut_off_until();
            state.elapsed.max(cut_off_until).saturating_add(latency)
        };
        WorldSleep::until(&self.sim, arrives)
    }

    /// The answer to what was asked, after a while.
    fn answer<T: Send + 'static>(&self, read: Read<T>) -> Read<T> {
        if self.life.is_over() {
            return Read::ready(Err(closed()));
        }
        let (life, latency) = (Arc::clone(&self.life), self.latency());
        Read::pending(async move {
            latency.await;
            let answer = read.await;
            check_alive(&life)?;
            answer
        })
    }

    /// Whether what a life had sent when it died is lost; if not, how much later it arrives.
    fn fate_of_orphan(&self) -> Option<Duration> {
        let mut state = self.sim.lock();
        if state.random.chance(0.5) {
            return None;
        }
        if state.random.chance(0.5) {
            return Some(Duration::ZERO);
        }
        Some(state.random.duration(TRANSACTION_AGE_MAX))
    }

    fn trace(&self, event: Event, bytes: &[u8]) {
        let machine = self.life.machine() as u64;
        self.sim.lock().trace.add(event, machine, bytes);
    }

    fn note(&self, text: &str) {
        let mut state = self.sim.lock();
        let text = format!("{} {text}", state.machines[self.life.machine()].name());
        let elapsed = state.elapsed;
        state.trace.note(elapsed, text);
    }
}

struct SimTransaction {
    inner: Forward,
    line: Line,
    /// Who is told when the commit is answered.
    answers: Mutex<Vec<oneshot::Sender<()>>>,
}

impl Intercept for SimTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn read_version(&self) -> Read<u64> {
        self.line.answer(self.inner.read_version())
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.line.trace(Event::Read, key);
        self.line.answer(self.inner.get(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        self.line.trace(Event::Read, &read.range.begin);
        self.line.answer(self.inner.get_range(read, isolation))
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        let (key, value): (&[u8], &[u8]) = match mutation {
            Mutation::Set(key, value)
            | Mutation::SetVersionstampedKey(key, value)
            | Mutation::SetVersionstampedValue(key, value) => (key, value),
            Mutation::Clear(key) => (key, &[]),
            Mutation::ClearRange(range) => (&range.begin, &range.end),
            Mutation::Add(key, delta) => (key, &delta.to_le_bytes()),
        };
        self.line.trace(Event::Write, key);
        self.line.trace(Event::Write, value);
        self.inner.mutate(mutation)
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        self.line.trace(Event::Conflict, &range.begin);
        self.inner.add_conflict(range, kind)
    }

    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.line.trace(Event::Conflict, key);
        self.inner.add_read_conflict_key(key)
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        self.line.trace(Event::Watch, key);
        let (watch, line) = (self.inner.watch(key)?, self.line.clone());
        Ok(Watch::new(async move {
            let fired = watch.await;
            line.latency().await;
            fired
        }))
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        let stamp = self.inner.versionstamp();
        let (sender, answered) = oneshot::channel();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push(sender);
        Read::pending(async move {
            // Dropped unheard, the commit never was, or its answer never comes: the stamp knows.
            let _ = answered.await;
            stamp.await
        })
    }

    /// Sends the request, which goes its way whatever becomes of the life it came from.
    fn commit(&self) -> Read<()> {
        if self.line.life.is_over() {
            self.inner.cancel();
            return Read::ready(Err(closed()));
        }
        if !self.inner.0.has_writes() {
            // Nothing is sent.
            return self.inner.commit();
        }
        self.line.trace(Event::Sent, &[]);
        // What it has read is settled when it is sent, not when it arrives.
        let read = self.inner.read_version();
        let tx = self.inner.0.clone();
        let answers =
            std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        let (line, latency) = (self.line.clone(), self.line.latency());
        let (done, outcome) = oneshot::channel();
        let deliver = async move {
            let _version = read.await;
            latency.await;
            if line.life.is_over() {
                let Some(late) = line.fate_of_orphan() else {
                    line.note("had sent a commit, which is lost");
                    return;
                };
                WorldSleep::new(&line.sim, late).await;
            }
            let result = tx.commit().await;
            match &result {
                Ok(()) => line.trace(Event::Arrived, &[]),
                Err(error) => line.note(&format!("has a commit that fails: {error}")),
            }
            line.latency().await;
            // Who waited may be gone.
            let _ = done.send(result);
            for answer in answers {
                let _ = answer.send(());
            }
        };
        if executor::spawn(&self.line.sim, None, Box::pin(deliver)).is_err() {
            return Read::ready(Err(closed()));
        }
        Read::pending(async move {
            outcome.await.unwrap_or_else(|_lost| {
                Err(Error::CommitUnknown {
                    reason: "the machine died".to_owned(),
                })
            })
        })
    }
}

fn check_alive(life: &Life) -> Result<(), Error> {
    if life.is_over() {
        Err(closed())
    } else {
        Ok(())
    }
}

fn closed() -> Error {
    Error::Closed {
        reason: "the machine has died".into(),
        cause: None,
    }
}
