//! The same random transactions on two databases, and everything that can be seen compared.
//!
//! A script is a list of steps; each step does one thing in one of a few transactions that are open
//! at the same time, so their order, and with it every conflict, is the same on both sides. Compared
//! are what reads return, how every call and every commit ends, the order of versionstamps, the
//! watches that must resolve, and what is stored at the end.
//!
//! Not compared, because the contract leaves it open: where pages end, the bytes of versionstamps,
//! watches that resolve early. If a transaction read a range over its own writes, the sides may
//! differ in whether that conflicts; a script ends where they do ([`Report::inconclusive`]).
//!
//! When the sides differ, the script is shrunk to the steps that matter.

mod script;
mod side;

use std::fmt;

use dgen_backend::Database;

pub use self::script::{Operation, Script, Step};
use self::side::{Seen, Side};
use crate::Random;

/// How much to run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// What every script follows from.
    pub seed: u64,
    /// How many scripts to run. Default: 60.
    pub scripts: usize,
    /// How many steps each has. Default: 60.
    pub steps: usize,
    /// How many transactions are open at the same time at most. Default: 4.
    pub slots: usize,
}

impl Options {
    /// The defaults, with `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            scripts: 60,
            steps: 60,
            slots: 4,
        }
    }
}

/// What was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// How many scripts ran.
    pub scripts: usize,
    /// How many of them ended early, where the contract lets the sides differ.
    pub inconclusive: usize,
    /// How many commits succeeded.
    pub commits: usize,
    /// How many commits conflicted.
    pub conflicts: usize,
}

/// The two databases differ.
#[derive(Debug)]
pub struct Mismatch {
    /// The seed of the run.
    pub seed: u64,
    /// The shortest script found on which they differ.
    pub script: Script,
    /// Where, and how.
    pub difference: Difference,
}

/// What the two sides showed.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The number of the step, from 0, or a later one for what is compared at the end.
    pub step: usize,
    /// What the left side showed.
    pub left: String,
    /// What the right side showed.
    pub right: String,
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { step, left, right } = &self.difference;
        writeln!(
            f,
            "the databases differ at step {step} (replay with DGEN_SEED={})",
            self.seed
        )?;
        write!(f, "{}  left:  {left}\n  right: {right}", self.script)
    }
}

/// Runs random scripts on both databases.
///
/// # Errors
/// [`Mismatch`], with a shrunk script.
///
/// # Cancel safety
/// Dropped before it resolves, it leaves keys in both.
pub async fn compare(
    left: &Database,
    right: &Database,
    options: &Options,
) -> Result<Report, Box<Mismatch>> {
    let mut random = Random::new(options.seed);
    let mut report = Report::default();
    for _ in 0..options.scripts {
        let script = Script::random(&mut random.split(), options);
        if let Err(difference) = run(left, right, &script, &mut report).await {
            let (script, difference) = shrink(left, right, script, difference).await;
            return Err(Box::new(Mismatch {
                seed: options.seed,
                script,
                difference,
            }));
        }
    }
    Ok(report)
}

/// Runs one script on both databases.
async fn run(
    left: &Database,
    right: &Database,
    script: &Script,
    report: &mut Report,
) -> Result<(), Difference> {
    report.scripts += 1;
    let mut left = Side::new(left, "differential");
    let mut right = Side::new(right, "differential");
    let mut plan = script::Plan::default();
    for (number, step) in script.steps.iter().enumerate() {
        let Some(operation) = plan.admit(step) else {
            continue;
        };
        let seen = (
            left.run(step.slot, &operation).await,
            right.run(step.slot, &operation).await,
        );
        match &seen.0 {
            Seen::Committed { .. } => report.commits += 1,
            Seen::Failed(kind) if kind == "Conflict" => report.conflicts += 1,
            _ => {}
        }
        if seen.0 != seen.1 {
            if matches!(step.operation, Operation::Commit) && plan.may_differ(step.slot) {
                report.inconclusive += 1;
                break;
            }
            return Err(Difference::new(number, &seen.0, &seen.1));
        }
        plan.done(step);
    }
    let last = script.steps.len();
    let (ended, other) = (left.end().await, right.end().await);
    if plan.is_comparable() && ended != other {
        return Err(Difference::new(last, &ended, &other));
    }
    Ok(())
}

/// Takes steps away as long as the sides still differ.
async fn shrink(
    left: &Database,
    right: &Database,
    mut script: Script,
    mut difference: Difference,
) -> (Script, Difference) {
    script.steps.truncate(difference.step + 1);
    let mut chunk = script.steps.len().div_ceil(2);
    loop {
        let mut start = 0;
        while start < script.steps.len() {
            let mut shorter = script.clone();
            let end = (start + chunk).min(shorter.steps.len());
            shorter.steps.drain(start..end);
            match run(left, right, &shorter, &mut Report::default()).await {
                Err(found) => (script, difference) = (shorter, found),
                Ok(()) => start = end,
            }
        }
        if chunk <= 1 {
            return (script, difference);
        }
        chunk = chunk.div_ceil(2);
    }
}

impl Difference {
    fn new(step: usize, left: &impl fmt::Debug, right: &impl fmt::Debug) -> Self {
        Self {
            step,
            left: format!("{left:?}"),
            right: format!("{right:?}"),
        }
    }
}
