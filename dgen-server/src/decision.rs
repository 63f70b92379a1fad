//! Which messages are handled, and in what order: pure but for the handlers.
//!
//! The queue's messages go first, in their order. A unit from the mailbox is handled once all that
//! was in the queue when it was first looked at is handled; what was pushed later may wait behind
//! it, so that a queue that never gets empty holds no caller up.

use std::time::{Duration, Instant};

use dgen_backend::env::Env;
use dgen_queue::Item;

use crate::{
    Failure, Server,
    handling::Trial,
    mailbox::{Done, Refused, Unit},
    message::{Envelope, From, Message},
    registry::Registry,
    reply::Answer,
};

/// Handlers of one transaction run no longer than this, the one that passes it aside: a transaction
/// may be five seconds old at most.
const HANDLE_TIME_MAX: Duration = Duration::from_secs(1);

/// Answers that are stored by one transaction take no more than this, the one that passes it aside.
const ANSWERS_SIZE_MAX_BYTES: usize = 1_000_000;

/// The longest answer that is stored: what leaves a transaction room for a state's change.
pub(crate) const ANSWER_SIZE_MAX_BYTES: usize = 8_000_000;

/// What there is to handle.
pub(crate) struct Work<'a, S: Server> {
    pub(crate) items: &'a [Item],
    /// Whether there may be items behind those.
    pub(crate) may_have_more: bool,
    pub(crate) units: &'a [Unit<S>],
    /// At most so many messages.
    pub(crate) batch_max: usize,
    /// Answers that are stored are no longer than this.
    pub(crate) answer_size_max_bytes: usize,
    pub(crate) env: &'a Env,
    pub(crate) registry: &'a Registry,
}

/// What was handled.
#[derive(Default)]
pub(crate) struct Decision {
    /// How many items, from the first.
    pub(crate) taken: usize,
    /// What their callers are answered.
    pub(crate) answers: Vec<(From, Answer)>,
    /// How many bytes those are.
    answers_size_bytes: usize,
    /// What became of the units, from the first; the rest was not come to.
    pub(crate) units: Vec<Done>,
    /// How many of those were handled, and not refused.
    pub(crate) handled_units: usize,
    /// Why the next item can't be handled, if it can't.
    pub(crate) stuck: Option<Failure>,
}

/// Whether to go on.
#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl<S: Server> Work<'_, S> {
    pub(crate) fn decide(&self, trial: &mut Trial<S>) -> Decision {
        let mut decision = Decision::default();
        let begun = self.env.now();
        if self.handle(&mut decision, trial, begun) == Next::Stop
            && let Some(stuck) = &decision.stuck
        {
            // Calls are told why they wait; casts can wait in the queue.
            let left = &self.units[decision.units.len()..];
            let refuse = |unit: &Unit<S>| Err(unit.message.refusal(stuck.clone()));
            decision.units.extend(left.iter().map(refuse));
        }
        decision
    }

    fn handle(&self, decision: &mut Decision, trial: &mut Trial<S>, begun: Instant) -> Next {
        for unit in self.units {
            while let Some(item) = self.items.get(decision.taken)
                && unit.is_behind(item)
            {
                if self.handle_item(item, decision, trial, begun) == Next::Stop {
                    return Next::Stop;
                }
            }
            let is_more_unread = self.may_have_more && decision.taken == self.items.len();
            if is_more_unread || self.is_used_up(decision, trial, begun) {
                return Next::Stop;
            }
            let done = trial.handle(&unit.message, usize::MAX);
            decision.handled_units += 1;
            decision
                .units
                .push(done.map_err(|failure| unit.message.refusal(failure)));
        }
        while let Some(item) = self.items.get(decision.taken) {
            if self.handle_item(item, decision, trial, begun) == Next::Stop {
                return Next::Stop;
            }
        }
        Next::GoOn
    }

    fn handle_item(
        &self,
        item: &Item,
        decision: &mut Decision,
        trial: &mut Trial<S>,
        begun: Instant,
    ) -> Next {
        if self.is_used_up(decision, trial, begun) {
            return Next::Stop;
        }
        let stuck = |reason: String| Failure::Stuck {
            key: item.key().escape_ascii().to_string(),
            reason,
        };
        let (message, from) = match Envelope::decode::<S>(item.bytes()) {
            Ok(decoded) => decoded,
            Err(what) => {
                decision.stuck = Some(stuck(format!("the message does not decode: {what}")));
                return Next::Stop;
            }
        };
        let is_stored = from
            .as_ref()
            .is_some_and(|from| !self.registry.is_waiting_here(from));
        let size_max = if is_stored {
            self.answer_size_max_bytes
        } else {
            usize::MAX
        };
        let answer = match trial.handle(&message, size_max) {
            Ok(answer) => answer,
            // Handling it again would not help: its caller is told.
            Err(Failure::Encode { reason, .. }) if from.is_some() => Some(Answer::Failed(reason)),
            Err(failure) => {
                decision.stuck = Some(stuck(failure.to_string()));
                return Next::Stop;
            }
        };
        decision.answers_size_bytes += answer.as_ref().map_or(0, Answer::size_bytes);
        decision.answers.extend(from.zip(answer));
        decision.taken += 1;
        Next::GoOn
    }

    /// Whether the transaction holds enough. It always takes one message.
    fn is_used_up(&self, decision: &Decision, trial: &Trial<S>, begun: Instant) -> bool {
        let handled = decision.taken + decision.units.len();
        trial.stop.is_some()
            || handled >= self.batch_max
            || handled > 0
                && (self.env.now() - begun > HANDLE_TIME_MAX
                    || decision.answers_size_bytes > ANSWERS_SIZE_MAX_BYTES)
    }
}

impl<S: Server> Message<S> {
    /// What becomes of a message from the mailbox that could not be handled: a call is told why, a
    /// cast goes to the queue, where it would be had it come from elsewhere.
    pub(crate) fn refusal(&self, failure: Failure) -> Refused {
        match self {
            Self::Call(_) => Refused::Failed(failure),
            Self::Casts(_) => Refused::NotHandled,
        }
    }
}
