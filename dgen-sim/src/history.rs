//! What clients saw: when they sent what, and what came of it.

use std::time::Duration;

use crate::world::{Order, Way};

/// The name of one effect, in the whole world: of a message, or of one of a batch.
pub type Op = u32;

/// The steps of one client have numbers this far apart in their effects' names.
const OPS_OF_STEP: Op = 100;
/// As have two tries of one step that are two messages.
const OPS_OF_TRY: Op = 10;

/// The effect of message `index` of try `number` of a step.
#[must_use]
pub fn op(step: u32, number: u32, index: usize) -> Op {
    step * OPS_OF_STEP + number * OPS_OF_TRY + index as Op
}

/// A message, or several that are one if they have the same id.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The name of its first effect; those of a batch follow it.
    pub op: Op,
    /// Who sent it.
    pub client: usize,
    /// To whom.
    pub server: usize,
    /// What.
    pub order: Order,
    /// How.
    pub way: Way,
    /// When it was sent, in the order of all that clients did.
    pub sent: u64,
    /// When its sender stopped waiting, in that order.
    pub ended: u64,
    /// When, from the world's beginning.
    pub sent_at: Duration,
    /// When its sender stopped waiting.
    pub ended_at: Duration,
    /// What its sender knows.
    pub outcome: Outcome,
}

/// What the sender of a message knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A call was answered.
    Answered(i64),
    /// A call was answered with its handler's error.
    Refused,
    /// Casts are in the queue, or handled.
    Accepted,
    /// It had no effect, and will have none.
    NotExecuted(String),
    /// It may have an effect, now or later.
    Unknown(String),
}

impl Record {
    /// The names of its effects.
    #[must_use]
    pub fn ops(&self) -> Vec<Op> {
        let count = match &self.order {
            Order::Increase(by) => by.len(),
            _ => 1,
        };
        (0..count as Op).map(|index| self.op + index).collect()
    }

    /// Whether it had its effect, or will.
    #[must_use]
    pub fn is_sure(&self) -> bool {
        matches!(self.outcome, Outcome::Answered(_) | Outcome::Accepted)
    }

    /// Whether nobody may find an effect of it.
    #[must_use]
    pub fn is_void(&self) -> bool {
        matches!(self.outcome, Outcome::NotExecuted(_) | Outcome::Refused)
    }
}
