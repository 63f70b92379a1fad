//! A randomised check of serializability.
//!
//! Tasks run random transactions over few keys at the same time and write down everything they
//! read. Each writes its versionstamp into a log as well. Afterwards the committed ones are run
//! again, one after another in the order of their versionstamps, on a plain map: each must read
//! what it read the first time, and the map must end as the store did.
//!
//! It also holds the store to real time: who begins after a commit was acknowledged comes after it;
//! what was refused as a conflict is not in the log; and a transaction that only read has seen the
//! state between two commits.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use dgen_backend::{CommitVersionstamp, Error, RangeRead, Transaction};
use tokio::task::JoinSet;

use crate::{Area, Random, model::sum};

/// How much to run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What everything random follows from. How tasks interleave does not, unless the runtime has
    /// one thread and the store answers at once.
    pub seed: u64,
    /// How many tasks run at the same time. Default: 5.
    pub tasks: usize,
    /// How many transactions each of them tries. Default: 40.
    pub transactions_per_task: usize,
    /// Over how many keys. Default: 6.
    pub keys: usize,
}

impl Options {
    /// The defaults, with `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            tasks: 5,
            transactions_per_task: 40,
            keys: 6,
        }
    }
}

/// What became of the transactions of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many committed and wrote.
    pub committed: usize,
    /// How many committed and only read.
    pub read_only: usize,
    /// How many were refused as conflicts or as too old.
    pub refused: usize,
    /// How many commits had an unknown outcome, and had happened.
    pub unknown_committed: usize,
}

/// The store broke its promise, or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// No serial order explains what was seen.
    #[error("not serializable (replay with DGEN_SEED={seed}): {what}")]
    NotSerializable {
        /// The seed of the run.
        seed: u64,
        /// Which transaction saw what.
        what: String,
    },
    /// The store failed.
    #[error("the store failed (replay with DGEN_SEED={seed})")]
    Store {
        /// The seed of the run.
        seed: u64,
        /// What it said.
        source: Error,
    },
}

/// Runs random transactions in `area` and looks for a serial order that explains them.
///
/// # Errors
/// [`Violation`], with the seed.
///
/// # Cancel safety
/// Dropped before it resolves, it leaves keys in the area.
pub async fn check(area: &Area, options: &Options) -> Result<Report, Violation> {
    let failed = |source| Violation::Store {
        seed: options.seed,
        source,
    };
    let records = run_tasks(area, options).await.map_err(failed)?;
    let read_all = async |tx| area.rows_in(&tx).await;
    let rows = area.database().transact(read_all).await.map_err(failed)?;
    judge(records, rows).map_err(|what| Violation::NotSerializable {
        seed: options.seed,
        what,
    })
}

type State = BTreeMap<Vec<u8>, Bytes>;

/// One thing that a transaction did, with what it saw.
#[derive(Debug, Clone)]
enum Step {
    Get(String, Option<Bytes>),
    Range(Scan, Vec<(Vec<u8>, Bytes)>),
    Set(String, Bytes),
    Clear(String),
    ClearRange(String, String),
    Add(String, i64),
    Stamp(String),
}

#[derive(Debug, Clone)]
struct Scan {
    begin: String,
    end: String,
    limit: usize,
    is_reverse: bool,
}

#[derive(Debug)]
enum Outcome {
    Committed(CommitVersionstamp),
    ReadOnly,
    Refused,
    Unknown,
}

/// One transaction that ended.
#[derive(Debug)]
struct Record {
    /// The name of its row in the log.
    log: String,
    steps: Vec<Step>,
    /// The last commit that was acknowledged to anybody before it began.
    floor: Option<CommitVersionstamp>,
    outcome: Outcome,
}

async fn run_tasks(area: &Area, options: &Options) -> Result<Vec<Record>, Error> {
    let mut random = Random::new(options.seed);
    let acknowledged = Arc::new(Mutex::new(None));
    let mut tasks = JoinSet::new();
    for task in 0..options.tasks {
        let mut worker = Worker {
            area: area.clone(),
            random: random.split(),
            keys: options.keys,
            acknowledged: Arc::clone(&acknowledged),
        };
        let count = options.transactions_per_task;
        tasks.spawn(async move {
            let mut records = Vec::new();
            for number in 0..count {
                records.extend(worker.transaction(format!("log {task} {number}")).await?);
            }
            Ok::<_, Error>(records)
        });
    }
    let mut records = Vec::new();
    while let Some(result) = tasks.join_next().await {
        records.extend(result.expect("a worker does not panic")?);
    }
    Ok(records)
}

struct Worker {
    area: Area,
    random: Random,
    keys: usize,
    acknowledged: Arc<Mutex<Option<CommitVersionstamp>>>,
}

impl Worker {
    /// Runs one transaction; none if it was given up before its commit.
    async fn transaction(&mut self, log: String) -> Result<Option<Record>, Error> {
        let floor = *self.lock_acknowledged();
        let tx = self.area.begin();
        let is_read_only = self.random.chance(0.2);
        let steps = match self.steps(&tx, is_read_only).await {
            Ok(steps) => steps,
            Err(error) if error.is_retryable() => return Ok(None),
            Err(error) => return Err(error),
        };
        if self.random.chance(0.05) {
            tx.cancel();
            return Ok(None);
        }
        if !is_read_only {
            tx.set_versionstamped_value(&self.area.key(&log), &[0; 14])?;
        }
        let stamp = tx.versionstamp();
        let outcome = match tx.commit().await {
            Ok(()) if is_read_only => Outcome::ReadOnly,
            Ok(()) => {
                let stamp = stamp.await?;
                let mut acknowledged = self.lock_acknowledged();
                *acknowledged = (*acknowledged).max(Some(stamp));
                Outcome::Committed(stamp)
            }
            Err(error) if error.maybe_executed() => Outcome::Unknown,
            Err(error) if error.is_retryable() => Outcome::Refused,
            Err(error) => return Err(error),
        };
        Ok(Some(Record {
            log,
            steps,
            floor,
            outcome,
        }))
    }

    async fn steps(&mut self, tx: &Transaction, is_read_only: bool) -> Result<Vec<Step>, Error> {
        let mut steps = Vec::new();
        // What this transaction has stamped is not readable, nor is a range over it.
        let mut has_stamped = false;
        for _ in 0..=self.random.below(6) {
            if self.random.chance(0.5) {
                tokio::task::yield_now().await;
            }
            let kinds = if is_read_only { 2 } else { 7 };
            let step = match self.random.below(kinds) {
                0 if !has_stamped => self.get(tx).await?,
                1 if !has_stamped => self.range(tx).await?,
                2 | 3 if !has_stamped => self.set(tx)?,
                4 if !has_stamped => self.clear(tx)?,
                5 => self.add(tx)?,
                _ if is_read_only || has_stamped => continue,
                _ => {
                    has_stamped = true;
                    self.stamp(tx)?
                }
            };
            steps.push(step);
        }
        Ok(steps)
    }

    async fn get(&mut self, tx: &Transaction) -> Result<Step, Error> {
        let name = if self.random.chance(0.2) {
            "counter".to_owned()
        } else {
            self.key()
        };
        let value = tx.get(&self.area.key(&name)).await?;
        Ok(Step::Get(name, value))
    }

    async fn range(&mut self, tx: &Transaction) -> Result<Step, Error> {
        let (begin, end) = self.bounds();
        let scan = Scan {
            begin,
            end,
            limit: 1 + self.random.below(self.keys + 1),
            is_reverse: self.random.chance(0.4),
        };
        let mut read = RangeRead::from(self.area.range(&scan.begin, &scan.end)).limit(scan.limit);
        read.is_reverse = scan.is_reverse;
        let rows = tx.collect_range(read).await?;
        let rows = rows
            .into_iter()
            .map(|row| (self.area.name_of(&row.key).to_vec(), row.value))
            .collect();
        Ok(Step::Range(scan, rows))
    }

    fn set(&mut self, tx: &Transaction) -> Result<Step, Error> {
        let name = self.key();
        let value = Bytes::copy_from_slice(&self.random.next_u64().to_le_bytes());
        tx.set(&self.area.key(&name), &value)?;
        Ok(Step::Set(name, value))
    }

    fn clear(&mut self, tx: &Transaction) -> Result<Step, Error> {
        if self.random.chance(0.5) {
            let name = self.key();
            tx.clear(&self.area.key(&name))?;
            return Ok(Step::Clear(name));
        }
        let (begin, end) = self.bounds();
        tx.clear_range(&self.area.range(&begin, &end))?;
        Ok(Step::ClearRange(begin, end))
    }

    fn add(&mut self, tx: &Transaction) -> Result<Step, Error> {
        let delta = self.random.next_u64() as i64;
        tx.add(&self.area.key("counter"), delta)?;
        Ok(Step::Add("counter".to_owned(), delta))
    }

    fn stamp(&mut self, tx: &Transaction) -> Result<Step, Error> {
        let name = self.key();
        tx.set_versionstamped_value(&self.area.key(&name), &[0; 14])?;
        Ok(Step::Stamp(name))
    }

    fn key(&mut self) -> String {
        format!("key {:02}", self.random.below(self.keys))
    }

    fn bounds(&mut self) -> (String, String) {
        let (one, other) = (self.key(), self.key());
        (one.clone().min(other.clone()), one.max(other))
    }

    fn lock_acknowledged(&self) -> std::sync::MutexGuard<'_, Option<CommitVersionstamp>> {
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the committed transactions again, in order; the error says what does not fit.
fn judge(records: Vec<Record>, rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Report, String> {
    let (log, data): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|(name, _)| name.starts_with(b"log "));
    let log: HashMap<_, _> = log.into_iter().collect();
    let mut report = Report::default();
    let mut committed = Vec::new();
    let mut read_only = Vec::new();
    for record in records {
        let logged = log.get(record.log.as_bytes());
        let logged = logged
            .map(|stamp| CommitVersionstamp::try_from(&stamp[..]))
            .transpose()
            .map_err(|_| format!("{} has no versionstamp", record.log))?;
        match (&record.outcome, logged) {
            (Outcome::Committed(stamp), logged) if logged != Some(*stamp) => {
                return Err(format!(
                    "{} was committed at {stamp:?}, and the log has {logged:?}",
                    record.log
                ));
            }
            (Outcome::Refused, Some(_)) => {
                return Err(format!("{} was refused, and is in the log", record.log));
            }
            (Outcome::Committed(_), Some(stamp)) => {
                report.committed += 1;
                committed.push((stamp, record));
            }
            (Outcome::Unknown, Some(stamp)) => {
                report.unknown_committed += 1;
                committed.push((stamp, record));
            }
            (Outcome::ReadOnly, _) => {
                report.read_only += 1;
                read_only.push(record);
            }
            (Outcome::Refused, None) => report.refused += 1,
            (Outcome::Committed(_) | Outcome::Unknown, None) => {}
        }
    }
    committed.sort_by_key(|(stamp, _)| *stamp);
    let states = replay(&committed)?;
    for record in &read_only {
        check_read_only(record, &committed, &states)?;
    }
    let last = states.last().expect("there is a state before all commits");
    let data: State = data
        .into_iter()
        .map(|(name, value)| (name, value.into()))
        .collect();
    if *last != data {
        return Err(format!(
            "the store ends as {data:?}, and should as {last:?}"
        ));
    }
    Ok(report)
}

/// The states before, between and behind the commits.
fn replay(committed: &[(CommitVersionstamp, Record)]) -> Result<Vec<State>, String> {
    let mut states = vec![State::new()];
    let mut last = None;
    for (stamp, record) in committed {
        if Some(*stamp) <= last {
            return Err(format!("{} has the versionstamp of another", record.log));
        }
        last = Some(*stamp);
        if record.floor >= last {
            return Err(format!(
                "{} began after a commit at {:?} was acknowledged, and is at {stamp:?}",
                record.log, record.floor
            ));
        }
        let mut state = states.last().expect("never empty").clone();
        run_again(&record.steps, &mut state, *stamp)
            .map_err(|what| explain(record, Some(*stamp), &what))?;
        states.push(state);
    }
    Ok(states)
}

/// One of the states since it began must be the one that it saw.
fn check_read_only(
    record: &Record,
    committed: &[(CommitVersionstamp, Record)],
    states: &[State],
) -> Result<(), String> {
    let first = committed.partition_point(|(stamp, _)| Some(*stamp) <= record.floor);
    let mut why = String::new();
    for state in &states[first..] {
        match run_again(&record.steps, &mut state.clone(), [0; 10]) {
            Ok(()) => return Ok(()),
            Err(what) => why = what,
        }
    }
    Err(explain(record, None, &why))
}

fn run_again(steps: &[Step], state: &mut State, stamp: CommitVersionstamp) -> Result<(), String> {
    for step in steps {
        match step {
            Step::Get(name, seen) => {
                let now = state.get(name.as_bytes());
                if now != seen.as_ref() {
                    return Err(format!(
                        "{name} was read as {seen:?}, and should be {now:?}"
                    ));
                }
            }
            Step::Range(scan, seen) => {
                let now = scan.rows(state);
                if now != *seen {
                    return Err(format!(
                        "{scan:?} was read as {seen:?}, and should be {now:?}"
                    ));
                }
            }
            Step::Set(name, value) => {
                state.insert(name.clone().into(), value.clone());
            }
            Step::Clear(name) => {
                state.remove(name.as_bytes());
            }
            Step::ClearRange(begin, end) => {
                let cleared = begin.as_bytes()..end.as_bytes();
                state.retain(|key, _| !cleared.contains(&key.as_slice()));
            }
            Step::Add(name, delta) => {
                let value = sum(state.get(name.as_bytes()), *delta);
                state.insert(name.clone().into(), value);
            }
            Step::Stamp(name) => {
                state.insert(name.clone().into(), Bytes::copy_from_slice(&stamp));
            }
        }
    }
    Ok(())
}

impl Scan {
    fn rows(&self, state: &State) -> Vec<(Vec<u8>, Bytes)> {
        let (begin, end) = (self.begin.as_bytes(), self.end.as_bytes());
        let mut rows: Vec<_> = state
            .range(begin.to_vec()..end.to_vec())
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        if self.is_reverse {
            rows.reverse();
        }
        rows.truncate(self.limit);
        rows
    }
}

fn explain(record: &Record, stamp: Option<CommitVersionstamp>, what: &str) -> String {
    let mut text = format!("{} at {stamp:?}: {what}\nit did:", record.log);
    for step in &record.steps {
        write!(text, "\n  {step:?}").expect("a string takes everything");
    }
    text
}
