//! A database that fails as a cluster does, from a seed.
//!
//! It injects conflicts, commits whose answer is lost (committed, not committed, or committed a
//! little later), transactions that are too old, watches that resolve early or never, and delays: all
//! of what the contract allows, far more often than in life. It breaks no promise: what is read stays
//! right.

use std::{
    future::{pending, ready},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Database, Error, RangePage, RangeRead, Read, Watch,
    backend::{Backend, BackendTransaction, Isolation},
    directory::Directories,
    env::Env,
};

use crate::{Forward, Intercept, Intercepted, Random};

/// How often each fault happens: 0.0 for never, 1.0 for always. Default: never.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rates {
    /// A commit fails with [`Error::Conflict`], and nothing is written.
    pub conflict: f64,
    /// A commit fails with [`Error::CommitUnknown`]; half of these are committed.
    pub commit_unknown: f64,
    /// A commit fails with [`Error::CommitUnknown`], and happens a little later, if nothing that it
    /// read was written until then.
    pub commit_late: f64,
    /// A read or a commit fails with [`Error::TransactionTooOld`].
    pub too_old: f64,
    /// A watch resolves at once.
    pub early_watch: f64,
    /// A watch never resolves.
    pub lost_watch: f64,
    /// The answer to a read or a commit takes up to [`FaultyBackend::delay_max`] longer.
    pub delay: f64,
}

impl Rates {
    /// Every fault in `share` of all cases, but for what takes time: lost watches and delays.
    #[must_use]
    pub fn all(share: f64) -> Self {
        Self {
            conflict: share,
            commit_unknown: share,
            commit_late: share,
            too_old: share,
            early_watch: share,
            ..Self::default()
        }
    }

    /// Every fault in `share` of all cases, lost watches and delays too: for virtual time.
    #[must_use]
    pub fn all_and_slow(share: f64) -> Self {
        Self {
            lost_watch: share,
            delay: share,
            ..Self::all(share)
        }
    }
}

/// How many of each fault were injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FaultCounts {
    /// Commits that failed with a conflict of nobody's.
    pub conflicts: u64,
    /// Commits whose answer was lost, and that did not happen.
    pub unknown_not_applied: u64,
    /// Commits whose answer was lost, and that happened if they did not conflict.
    pub unknown_applied: u64,
    /// Commits that went on behind the caller's back.
    pub late: u64,
    /// Reads and commits that were called too old.
    pub too_old: u64,
    /// Watches that resolved at once.
    pub early_watches: u64,
    /// Watches that never resolved.
    pub lost_watches: u64,
    /// Reads and commits that took longer.
    pub delays: u64,
}

impl std::iter::Sum for FaultCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |a, b| Self {
            conflicts: a.conflicts + b.conflicts,
            unknown_not_applied: a.unknown_not_applied + b.unknown_not_applied,
            unknown_applied: a.unknown_applied + b.unknown_applied,
            late: a.late + b.late,
            too_old: a.too_old + b.too_old,
            early_watches: a.early_watches + b.early_watches,
            lost_watches: a.lost_watches + b.lost_watches,
            delays: a.delays + b.delays,
        })
    }
}

/// A database with faults.
///
/// # Examples
/// ```
/// use dgen_backend::Database;
/// use dgen_testkit::{faults::{FaultyBackend, Rates}, model};
///
/// let faulty = FaultyBackend::new(model::in_memory(), 1, Rates::all(0.2));
/// let faults = faulty.faults();
/// let db = Database::new(faulty);
/// // .. use `db`, then see that the faults were there, and look at the store without them:
/// faults.stop();
/// assert_eq!(faults.counts().conflicts, 0);
/// # drop(db);
/// ```
#[derive(Debug)]
pub struct FaultyBackend {
    db: Database,
    env: Env,
    faults: Faults,
    delays: Delays,
}

/// How long what is slow takes.
#[derive(Debug, Clone, Copy)]
struct Delays {
    delay_max: Duration,
    /// None: some turns of other tasks.
    late_max: Option<Duration>,
}

/// The hand on the faults of a [`FaultyBackend`]. A clone is the same.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: Random,
    rates: Rates,
    counts: FaultCounts,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Normal,
    Conflict,
    TooOld,
    UnknownNotApplied,
    UnknownApplied,
    Late,
}

impl FaultyBackend {
    /// `db` with faults from `seed`.
    #[must_use]
    pub fn new(db: Database, seed: u64, rates: Rates) -> Self {
        let faults = Faults(Arc::new(Mutex::new(State {
            random: Random::new(seed),
            rates,
            counts: FaultCounts::default(),
        })));
        let delays = Delays {
            delay_max: Duration::from_millis(500),
            late_max: None,
        };
        let env = db.env().clone();
        Self {
            db,
            env,
            faults,
            delays,
        }
    }

    /// The environment in which delays and late commits take their time. Default: the database's.
    #[must_use]
    pub fn in_env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// How long an answer that is delayed takes at most, by the clock of its
    /// environment. Default: 500 milliseconds.
    #[must_use]
    pub fn delay_max(mut self, max: Duration) -> Self {
        self.delays.delay_max = max;
        self
    }

    /// How long after its answer was lost a commit arrives at most, by the clock of its environment.
    /// Default: no time, but up to 3,000 turns of other tasks.
    #[must_use]
    pub fn late_max(mut self, max: Duration) -> Self {
        self.delays.late_max = Some(max);
        self
    }

    /// The hand on its faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

impl Faults {
    /// Injects no more, so that a test can look at what there is.
    pub fn stop(&self) {
        self.set_rates(Rates::default());
    }

    /// Changes how often faults happen.
    pub fn set_rates(&self, rates: Rates) {
        self.with(|state| state.rates = rates);
    }

    /// What was injected until now.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.with(|state| state.counts)
    }

    fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn fate(&mut self) -> Fate {
        let rates = self.rates;
        if self.random.chance(rates.conflict) {
            self.counts.conflicts += 1;
            Fate::Conflict
        } else if self.random.chance(rates.too_old) {
            self.counts.too_old += 1;
            Fate::TooOld
        } else if self.random.chance(rates.commit_late) {
            self.counts.late += 1;
            Fate::Late
        } else if !self.random.chance(rates.commit_unknown) {
            Fate::Normal
        } else if self.random.chance(0.5) {
            self.counts.unknown_applied += 1;
            Fate::UnknownApplied
        } else {
            self.counts.unknown_not_applied += 1;
            Fate::UnknownNotApplied
        }
    }

    fn is_too_old(&mut self) -> bool {
        let is_too_old = self.random.chance(self.rates.too_old);
        self.counts.too_old += u64::from(is_too_old);
        is_too_old
    }

    /// How much longer an answer takes.
    fn delay(&mut self, max: Duration) -> Option<Duration> {
        if !self.random.chance(self.rates.delay) {
            return None;
        }
        self.counts.delays += 1;
        Some(self.random.duration(max))
    }

    fn is_lost_watch(&mut self) -> bool {
        let is_lost = self.random.chance(self.rates.lost_watch);
        self.counts.lost_watches += u64::from(is_lost);
        is_lost
    }

    fn is_early_watch(&mut self) -> bool {
        let is_early = self.random.chance(self.rates.early_watch);
        self.counts.early_watches += u64::from(is_early);
        is_early
    }
}

impl Backend for FaultyBackend {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(FaultyTransaction {
            inner: Forward(self.db.begin()?),
            env: self.env.clone(),
            faults: self.faults.clone(),
            delays: self.delays,
            is_answer_lost: Arc::default(),
        })))
    }

    fn env(&self) -> &Env {
        &self.env
    }

    /// True: that is the point.
    fn can_lose_commit_answer(&self) -> bool {
        true
    }

    fn directories(&self) -> Arc<dyn Directories> {
        self.db.directories()
    }
}

struct FaultyTransaction {
    inner: Forward,
    env: Env,
    faults: Faults,
    delays: Delays,
    is_answer_lost: Arc<AtomicBool>,
}

impl FaultyTransaction {
    /// The same answer, later in some cases.
    fn delayed<T: Send + 'static>(&self, read: Read<T>) -> Read<T> {
        let max = self.delays.delay_max;
        let Some(delay) = self.faults.with(|state| state.delay(max)) else {
            return read;
        };
        let slept = self.env.sleep(delay);
        Read::pending(async move {
            slept.await;
            read.await
        })
    }

    fn commit_with(&self, fate: Fate) -> Read<()> {
        let is_unknown = matches!(
            fate,
            Fate::UnknownApplied | Fate::UnknownNotApplied | Fate::Late
        );
        self.is_answer_lost.store(is_unknown, Ordering::Release);
        let give_up = |error| {
            self.inner.cancel();
            Read::ready(Err(error))
        };
        match fate {
            Fate::Normal => self.inner.commit(),
            Fate::Conflict => give_up(Error::Conflict),
            Fate::TooOld => give_up(Error::TransactionTooOld),
            Fate::UnknownNotApplied => give_up(unknown()),
            Fate::UnknownApplied => {
                let commit = self.inner.commit();
                Read::pending(async move {
                    let _lost = commit.await;
                    Err(unknown())
                })
            }
            Fate::Late => self.commit_late(),
        }
    }

    /// The request left with its read version, and arrives after the caller has gone on.
    fn commit_late(&self) -> Read<()> {
        let (tx, env) = (self.inner.0.clone(), self.env.clone());
        let turns = self.faults.with(|state| state.random.below(3_000));
        let late = self.delays.late_max.map(|max| {
            let late = self.faults.with(|state| state.random.duration(max));
            self.env.sleep(late)
        });
        let sent = tx.read_version();
        Read::pending(async move {
            let _version = sent.await;
            let arrive = async move {
                match late {
                    Some(slept) => slept.await,
                    None => {
                        for _ in 0..turns {
                            tokio::task::yield_now().await;
                        }
                    }
                }
                let _lost = tx.commit().await;
            };
            // Without a runtime it never arrives, which is one of its outcomes.
            let _outcome = env.spawn(arrive);
            Err(unknown())
        })
    }
}

impl Intercept for FaultyTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        if self.faults.with(State::is_too_old) {
            return Read::ready(Err(Error::TransactionTooOld));
        }
        self.delayed(self.inner.get(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        if self.faults.with(State::is_too_old) {
            return Read::ready(Err(Error::TransactionTooOld));
        }
        self.delayed(self.inner.get_range(read, isolation))
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        // Made in any case: it counts as a read.
        let watch = self.inner.watch(key)?;
        if self.faults.with(State::is_early_watch) {
            return Ok(Watch::new(ready(Ok(()))));
        }
        if self.faults.with(State::is_lost_watch) {
            return Ok(Watch::new(pending()));
        }
        Ok(watch)
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        let stamp = self.inner.versionstamp();
        let is_answer_lost = Arc::clone(&self.is_answer_lost);
        Read::pending(async move {
            let stamp = stamp.await;
            if is_answer_lost.load(Ordering::Acquire) {
                return Err(unknown());
            }
            stamp
        })
    }

    fn commit(&self) -> Read<()> {
        if !self.inner.0.has_writes() {
            // Nothing is sent, so no answer is lost.
            return self.inner.commit();
        }
        let fate = self.faults.with(State::fate);
        self.delayed(self.commit_with(fate))
    }
}

fn unknown() -> Error {
    Error::CommitUnknown {
        reason: "a fault was injected".to_owned(),
    }
}
