//! Scripts: what to do, in which of the open transactions.

use std::{collections::HashMap, fmt};

use super::Options;
use crate::Random;

/// The steps of a run.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// In order.
    pub steps: Vec<Step>,
}

/// One thing to do in one transaction.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which of the transactions that are open at the same time. It begins at its first step, and
    /// again at the first behind its end.
    pub slot: usize,
    /// What to do.
    pub operation: Operation,
}

/// What can be done with a transaction. Keys are names; those that begin with `s` hold versionstamps
/// and the values of those that begin with `v` may.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "each is a method of Transaction, with its arguments"
)]
pub enum Operation {
    Get {
        name: String,
        is_snapshot: bool,
    },
    Range {
        begin: String,
        end: String,
        limit: Option<usize>,
        is_reverse: bool,
        is_snapshot: bool,
    },
    Set(String, Vec<u8>),
    Clear(String),
    ClearRange(String, String),
    Add(String, i64),
    VersionstampedValue(String),
    VersionstampedKey,
    ReadConflict(String, String),
    ReadConflictKey(String),
    WriteConflict(String, String),
    Watch(String),
    ReadVersion,
    LongKey,
    LargeValue,
    ShortTemplate,
    InvertedClear,
    /// Of the transaction that ended last in the slot.
    UseAfterEnd,
    Cancel,
    Commit,
}

impl Script {
    pub(super) fn random(random: &mut Random, options: &Options) -> Self {
        let steps = (0..options.steps)
            .map(|_| Step {
                slot: random.below(options.slots),
                operation: Operation::random(random),
            })
            .collect();
        Self { steps }
    }
}

impl Operation {
    fn random(random: &mut Random) -> Self {
        match random.below(100) {
            0..15 => Self::Get {
                name: key(random),
                is_snapshot: random.chance(0.3),
            },
            15..30 => {
                let (begin, end) = bounds(random);
                Self::Range {
                    begin,
                    end,
                    limit: random.chance(0.6).then(|| random.below(5)),
                    is_reverse: random.chance(0.4),
                    is_snapshot: random.chance(0.3),
                }
            }
            30..45 => Self::Set(key(random), random.next_u64().to_le_bytes().to_vec()),
            45..50 => Self::Clear(key(random)),
            50..55 => {
                let (begin, end) = bounds(random);
                Self::ClearRange(begin, end)
            }
            55..61 => Self::Add(plain_key(random), random.next_u64() as i64),
            61..64 => Self::VersionstampedValue(format!("v{}", random.below(3))),
            64..68 => Self::VersionstampedKey,
            68..71 => {
                let (begin, end) = bounds(random);
                match random.chance(0.5) {
                    true => Self::ReadConflict(begin, end),
                    false => Self::ReadConflictKey(begin),
                }
            }
            71..74 => {
                let (begin, end) = bounds(random);
                Self::WriteConflict(begin, end)
            }
            74..77 => Self::Watch(plain_key(random)),
            77..80 => Self::ReadVersion,
            80 => Self::LongKey,
            81 => Self::LargeValue,
            82 => Self::ShortTemplate,
            83 => Self::InvertedClear,
            84 => Self::UseAfterEnd,
            85..88 => Self::Cancel,
            _ => Self::Commit,
        }
    }
}

fn plain_key(random: &mut Random) -> String {
    format!("k{}", random.below(6))
}

fn key(random: &mut Random) -> String {
    if random.chance(0.2) {
        return format!("v{}", random.below(3));
    }
    plain_key(random)
}

/// Bounds anywhere: at keys, between them, and around the versionstamped ones.
fn bounds(random: &mut Random) -> (String, String) {
    let mut bound = || match random.below(10) {
        0 => "k".to_owned(),
        1 => "s".to_owned(),
        2 => "t".to_owned(),
        3 => "w".to_owned(),
        4 => format!("{}5", plain_key(random)),
        _ => key(random),
    };
    let (one, other) = (bound(), bound());
    (one.clone().min(other.clone()), one.max(other))
}

/// What the open transactions have done, as far as it decides what may be compared.
#[derive(Debug, Default)]
pub(super) struct Plan {
    slots: HashMap<usize, Slot>,
    has_diverged: bool,
}

#[derive(Debug, Default)]
struct Slot {
    /// What it wrote, by its first name and the first name behind.
    written: Vec<(String, String)>,
    /// Which of these hold a versionstamp.
    stamped: Vec<(String, String)>,
    /// Whether it counts a read over its own writes.
    may_differ: bool,
}

impl Plan {
    /// What to do for `step`, if the contract says what must come of it.
    pub(super) fn admit(&mut self, step: &Step) -> Option<Operation> {
        let slot = self.slots.entry(step.slot).or_default();
        let mut operation = step.operation.clone();
        let spans = |spans: &[(String, String)], begin: &str, end: &str| {
            spans
                .iter()
                .any(|(b, e)| b.as_str() < end && begin < e.as_str())
        };
        match &mut operation {
            // What becomes of a write over a versionstamp, within one transaction, is left open.
            Operation::Set(name, _)
            | Operation::Clear(name)
            | Operation::Add(name, _)
            | Operation::Watch(name)
                if spans(&slot.stamped, name, &behind(name)) =>
            {
                return None;
            }
            Operation::VersionstampedValue(name) if spans(&slot.stamped, name, &behind(name)) => {
                return None;
            }
            Operation::ClearRange(begin, end) if spans(&slot.stamped, begin, end) => return None,
            // So is how far a limited range looks for one.
            Operation::Range {
                begin, end, limit, ..
            } if spans(&slot.stamped, begin, end) => *limit = None,
            _ => {}
        }
        let (reads, writes) = match &operation {
            Operation::Set(name, _) | Operation::Clear(name) | Operation::Add(name, _) => {
                (None, Some((name.clone(), behind(name))))
            }
            Operation::VersionstampedValue(name) => {
                slot.stamped.push((name.clone(), behind(name)));
                (None, Some((name.clone(), behind(name))))
            }
            Operation::VersionstampedKey => {
                slot.stamped.push(("s".to_owned(), "t".to_owned()));
                (None, Some(("s".to_owned(), "t".to_owned())))
            }
            Operation::ClearRange(begin, end) => (None, Some((begin.clone(), end.clone()))),
            Operation::ReadConflict(begin, end)
            | Operation::Range {
                begin,
                end,
                is_snapshot: false,
                ..
            } => (Some((begin.clone(), end.clone())), None),
            Operation::Get {
                name,
                is_snapshot: false,
            }
            | Operation::ReadConflictKey(name)
            | Operation::Watch(name) => (Some((name.clone(), behind(name))), None),
            _ => (None, None),
        };
        if let Some((begin, end)) = reads {
            slot.may_differ |= spans(&slot.written, &begin, &end);
        }
        slot.written.extend(writes);
        Some(operation)
    }

    /// Whether the commit of `slot` may end differently on the two sides.
    pub(super) fn may_differ(&mut self, slot: usize) -> bool {
        let may_differ = self.slots.get(&slot).is_some_and(|slot| slot.may_differ);
        self.has_diverged |= may_differ;
        may_differ
    }

    /// Whether both sides committed the same transactions.
    pub(super) fn is_comparable(&self) -> bool {
        !self.has_diverged
    }

    /// Forgets the transaction that `step` ended.
    pub(super) fn done(&mut self, step: &Step) {
        if matches!(step.operation, Operation::Commit | Operation::Cancel) {
            self.slots.remove(&step.slot);
        }
    }
}

/// The first name behind `name`.
fn behind(name: &str) -> String {
    format!("{name}\0")
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {number}: in {} {:?}", step.slot, step.operation)?;
        }
        Ok(())
    }
}
