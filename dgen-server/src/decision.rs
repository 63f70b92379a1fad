//! Which messages are handled, and in what order: pure but for the handlers.
//!
//! The queue's messages go first, in their order. A unit from the mailbox is handled once all that
//! was in the queue when it was first looked at is handled; what was pushed later may wait behind
//! it, so that a queue that never gets empty holds no caller up. A message that locks, fails or
//! stops the process is the last one of its transaction.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use dgen_codec::PlainError;
use dgen_queue::Item;

use crate::{
    Failure, Server,
    address::Address,
    calls::Calls,
    clock,
    context::{Caller, MessageContext},
    effects::{Action, Effects},
    handling::{Course, Handled, Trial, shield},
    hold::{Failing, Mark},
    mailbox::{Done, Outcome, Refused, Unit},
    memory::{FirstAnswer, Memory, Remembered},
    message::{Envelope, From, Message, MessageId},
    outbox::{Outbox, ToCaller},
    reply::Answer,
};

/// Handlers of one transaction run no longer than this, the one that passes it aside: a transaction
/// may be five seconds old at most.
const HANDLE_TIME_MAX: Duration = Duration::from_secs(1);

/// Answers that are stored by one transaction take no more than this, the one that passes it aside.
const ANSWERS_SIZE_MAX_BYTES: usize = 1_000_000;

/// The longest answer that is stored: what leaves a transaction room for a state's change.
const ANSWER_SIZE_MAX_BYTES: usize = 8_000_000;

/// How long an answer may be that is stored so often.
pub(crate) fn answer_size_max_bytes(copies: usize) -> usize {
    ANSWER_SIZE_MAX_BYTES
        .checked_div(copies)
        .unwrap_or(usize::MAX)
}

/// A message of the queue.
pub(crate) struct QueuedMessage<'a, S: Server> {
    pub(crate) item: &'a Item,
    read: Result<(Envelope, Message<S>), Unread>,
}

/// Why a message of the queue can't be read.
enum Unread {
    /// It says nothing to this version.
    Unknown(String),
    /// Code of the user's panicked.
    Panicked(Failure),
}

/// What there is to handle.
pub(crate) struct Work<'a, S: Server> {
    pub(crate) address: &'a Address,
    pub(crate) items: &'a [QueuedMessage<'a, S>],
    /// Whether there may be items behind those.
    pub(crate) may_have_more: bool,
    pub(crate) units: &'a [Unit<S>],
    /// Whether they skip the queue, so that it takes none that can't be handled.
    pub(crate) is_urgent: bool,
    /// At most so many messages.
    pub(crate) batch_max: usize,
    /// The item whose answer was too much for its transaction: it gets none.
    pub(crate) unanswerable: Option<[u8; 12]>,
    /// What is known of the messages' ids.
    pub(crate) memory: Memory,
    /// The hold that was found, if there was one.
    pub(crate) hold: Option<Mark>,
    pub(crate) now_millis: u64,
}

/// What was handled.
pub(crate) struct Decision<S> {
    /// How many items, from the first.
    pub(crate) taken: usize,
    /// What became of the units, from the first; the rest was not come to.
    pub(crate) units: Vec<Done>,
    /// How many of those were handled, and not refused.
    pub(crate) handled_units: usize,
    pub(crate) outbox: Outbox,
    /// How many bytes of answers are stored.
    answers_size_bytes: usize,
    /// Of each handler that has some.
    pub(crate) actions: Vec<Vec<Action<S>>>,
    /// Callers here that wait for a later answer, from now on at a reply key, and until when.
    pub(crate) waiting: Vec<(From, u64)>,
    /// What is now known of the messages' ids, and whose of it is new.
    pub(crate) memory: Memory,
    pub(crate) remembered: Vec<MessageId>,
    /// The message that locked the server, if one did.
    pub(crate) lock: Option<Envelope>,
    /// What holds the queue up, to be kept with that lock.
    pub(crate) failing: Option<Failing>,
    /// The next item can't be handled.
    pub(crate) stuck: Option<Stuck>,
    /// Why the process is to stop, if a handler said so.
    pub(crate) stop: Option<String>,
}

/// A message of the queue that can't be handled, and why.
#[derive(Debug, Clone)]
pub(crate) struct Stuck {
    pub(crate) stamp: [u8; 12],
    /// The hold that the attempt found, if there was one: who else counted since is seen by that.
    pub(crate) hold: Option<Mark>,
    /// Whether this version does not know the message: a newer one may.
    pub(crate) is_unknown: bool,
    pub(crate) failure: Failure,
}

impl<'a, S: Server> QueuedMessage<'a, S> {
    pub(crate) fn new(item: &'a Item) -> Self {
        let read = shield(|| {
            let envelope = Envelope::from_bytes(item.bytes())?;
            let message = envelope.message()?;
            Ok((envelope, message))
        });
        let read = match read {
            Ok(read) => read.map_err(|error: PlainError| Unread::Unknown(error.to_string())),
            Err(panic) => Err(Unread::Panicked(panic)),
        };
        Self { item, read }
    }

    /// Whether this version knows it.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.read, Err(Unread::Unknown(_)))
    }

    pub(crate) fn id(&self) -> Option<&MessageId> {
        self.read.as_ref().ok()?.0.id.as_ref()
    }
}

impl<S: Server> Work<'_, S> {
    pub(crate) fn decide(mut self, trial: &mut Trial<S>) -> Decision<S> {
        let mut decision = Decision {
            taken: 0,
            units: Vec::new(),
            handled_units: 0,
            outbox: Outbox::default(),
            answers_size_bytes: 0,
            actions: Vec::new(),
            waiting: Vec::new(),
            memory: std::mem::take(&mut self.memory),
            remembered: Vec::new(),
            lock: None,
            failing: None,
            stuck: None,
            stop: None,
        };
        let begun = self.address.tenant.env().now();
        let _ = self.handle(&mut decision, trial, begun);
        if decision.stuck.is_some() || decision.lock.is_some() {
            // What is left waits where all else does: in the queue.
            let left = self.units.len() - decision.units.len();
            let refused = (0..left).map(|_| Err(Refused::NotHandled));
            decision.units.extend(refused);
        }
        decision
    }

    fn handle(
        &self,
        decision: &mut Decision<S>,
        trial: &mut Trial<S>,
        begun: Instant,
    ) -> ControlFlow<()> {
        for unit in self.units {
            while let Some(queued) = self.items.get(decision.taken)
                && unit.is_behind(queued.item)
            {
                self.handle_item(queued, decision, trial, begun)?;
            }
            let is_more_unread = self.may_have_more && decision.taken == self.items.len();
            if is_more_unread {
                return ControlFlow::Break(());
            }
            self.check_budget(decision, begun)?;
            let done = self.handle_unit(unit, decision, trial);
            decision.handled_units += 1;
            decision.units.push(done);
        }
        while let Some(queued) = self.items.get(decision.taken) {
            self.handle_item(queued, decision, trial, begun)?;
        }
        ControlFlow::Continue(())
    }

    fn handle_item(
        &self,
        queued: &QueuedMessage<'_, S>,
        decision: &mut Decision<S>,
        trial: &mut Trial<S>,
        begun: Instant,
    ) -> ControlFlow<()> {
        self.check_budget(decision, begun)?;
        let stuck = |is_unknown, failure| Stuck {
            stamp: *queued.item.stamp().as_bytes(),
            hold: self.hold,
            is_unknown,
            failure,
        };
        let (envelope, message) = match &queued.read {
            Ok(read) => read,
            Err(Unread::Unknown(reason)) => {
                let reason = reason.clone();
                decision.stuck = Some(stuck(true, Failure::UnknownMessage { reason }));
                return ControlFlow::Break(());
            }
            Err(Unread::Panicked(panic)) => {
                decision.stuck = Some(stuck(false, panic.clone()));
                return ControlFlow::Break(());
            }
        };
        if let Some(id) = &envelope.id
            && let Some(known) = decision.memory.get(id).cloned()
        {
            let answer = envelope
                .from
                .and_then(|from| decision.repeat(id, known, from));
            decision.answer(envelope, answer);
            decision.taken += 1;
            return ControlFlow::Continue(());
        }
        let context = MessageContext::of(envelope);
        let is_elsewhere = |from: From| !self.address.calls.is_waiting_here(&from);
        let is_stored = envelope.from.is_some_and(is_elsewhere);
        let copies = usize::from(envelope.id.is_some()) + usize::from(is_stored);
        let size_max = if self.unanswerable == Some(*queued.item.stamp().as_bytes()) {
            0
        } else {
            answer_size_max_bytes(copies)
        };
        let handled = trial.handle(message, context, size_max);
        let handled = match handled {
            Ok(handled) => handled,
            // Handling it again would not help: its caller is told.
            Err(Failure::Encode { reason, .. }) if envelope.from.is_some() => {
                Handled::refused(Answer::Failed(reason))
            }
            Err(failure) => {
                decision.stuck = Some(stuck(false, failure));
                return ControlFlow::Break(());
            }
        };
        decision.taken += 1;
        decision.keep(handled.effects);
        match handled.course {
            Course::Locking => decision.lock = Some(envelope.clone()),
            course => {
                let answer = self.remember(decision, envelope.id.as_ref(), course);
                decision.answer(envelope, answer);
            }
        }
        ControlFlow::Continue(())
    }

    fn handle_unit(
        &self,
        unit: &Unit<S>,
        decision: &mut Decision<S>,
        trial: &mut Trial<S>,
    ) -> Done {
        match &unit.message {
            Message::Call(call) => self.handle_call(unit, call, decision, trial),
            Message::Casts(casts) => self.handle_casts(unit, casts, decision, trial),
            Message::Info(_) => {
                let context = MessageContext::default();
                let handled = trial.handle(&unit.message, context, usize::MAX);
                decision.keep(handled.map_err(Refused::Failed)?.effects);
                Ok(Outcome::Done)
            }
        }
    }

    fn handle_call(
        &self,
        unit: &Unit<S>,
        call: &S::Call,
        decision: &mut Decision<S>,
        trial: &mut Trial<S>,
    ) -> Done {
        let id = unit.id_of(0);
        let calls = &self.address.calls;
        if let Some(id) = &id
            && let Some(known) = decision.memory.get(id).cloned()
        {
            let from = calls.new_call();
            return Ok(match decision.repeat(id, known, from) {
                Some(answer) => Outcome::Answered(answer),
                None => decision.wait(calls, from, unit),
            });
        }
        let context = MessageContext {
            caller: Caller::Here,
            id: id.clone(),
            due: None,
        };
        let size_max = answer_size_max_bytes(usize::from(id.is_some()));
        let handled = trial.handle(&unit.message, context, size_max);
        let handled = handled.map_err(|failure| match failure {
            // Handling it again would not help.
            Failure::Encode { .. } => Refused::Failed(failure),
            failure => self.refuse(failure),
        })?;
        if matches!(handled.course, Course::Locking) {
            // Whoever was given a deferred reply answers the same caller.
            let deferred = handled
                .effects
                .as_ref()
                .and_then(|effects| effects.deferred);
            let from = deferred.unwrap_or_else(|| calls.new_call());
            let envelope = shield(|| {
                Envelope::call::<S>(call, Some(from), id).and_then(Envelope::check_decodes::<S>)
            });
            let envelope = envelope.and_then(|envelope| envelope);
            let envelope = envelope.map_err(|failure| trial.refuse(failure))?;
            decision.keep(handled.effects);
            decision.lock = Some(envelope);
            return Ok(decision.wait(calls, from, unit));
        }
        decision.keep(handled.effects);
        if let Course::Deferred(from) = handled.course {
            self.remember(decision, id.as_ref(), Course::Deferred(from));
            return Ok(decision.wait(calls, from, unit));
        }
        let answer = self.remember(decision, id.as_ref(), handled.course);
        Ok(answer.map_or(Outcome::Done, Outcome::Answered))
    }

    fn handle_casts(
        &self,
        unit: &Unit<S>,
        casts: &[S::Cast],
        decision: &mut Decision<S>,
        trial: &mut Trial<S>,
    ) -> Done {
        let new: Vec<_> = (0..)
            .zip(casts)
            .map(|(index, cast)| (unit.id_of(index), cast))
            .filter(|(id, _)| {
                let known = id.as_ref().and_then(|id| decision.memory.get(id));
                known.is_none()
            })
            .collect();
        if new.is_empty() {
            return Ok(Outcome::Done);
        }
        let message;
        let message = if new.len() == casts.len() {
            &unit.message
        } else {
            let casts = shield(|| new.iter().map(|(_, cast)| (*cast).clone()).collect());
            message = Message::Casts(casts.map_err(|panic| self.refuse(panic))?);
            &message
        };
        let handled = trial
            .handle(message, MessageContext::default(), usize::MAX)
            .map_err(|failure| self.refuse(failure))?;
        if matches!(handled.course, Course::Locking)
            && let [(id, cast)] = &new[..]
        {
            let envelope = shield(|| {
                Envelope::cast::<S>(cast, id.clone()).and_then(Envelope::check_decodes::<S>)
            });
            let envelope = envelope.and_then(|envelope| envelope);
            let envelope = envelope.map_err(|failure| trial.refuse(failure))?;
            decision.lock = Some(envelope);
        } else {
            for (id, _) in &new {
                self.remember(decision, id.as_ref(), Course::Done);
            }
        }
        decision.keep(handled.effects);
        Ok(Outcome::Done)
    }

    /// Remembers what a message of this id was answered; returns that answer, if there is one.
    fn remember(
        &self,
        decision: &mut Decision<S>,
        id: Option<&MessageId>,
        course: Course,
    ) -> Option<Answer> {
        let (first, answer) = match course {
            Course::Answered(answer) => (FirstAnswer::Given(answer.clone()), Some(answer)),
            Course::Deferred(_) => (FirstAnswer::Deferred(Vec::new()), None),
            Course::Done | Course::Locking => (FirstAnswer::None, None),
        };
        // What changed nothing may be sent again.
        let has_failed = matches!(first, FirstAnswer::Given(Answer::Failed(_)));
        if let Some(id) = id.filter(|_| !has_failed) {
            decision.remember(
                id,
                Remembered {
                    until_millis: self.now_millis + clock::millis(self.address.options.id_window),
                    answer: first,
                },
            );
        }
        answer
    }

    /// A unit whose handler failed is tried again from the queue, and becomes a dead letter there;
    /// unless it skips the queue.
    fn refuse(&self, failure: Failure) -> Refused {
        if self.is_urgent {
            Refused::Failed(failure)
        } else {
            Refused::NotHandled
        }
    }

    /// Breaks if the transaction holds enough. It always takes one message.
    fn check_budget(&self, decision: &Decision<S>, begun: Instant) -> ControlFlow<()> {
        let handled = decision.taken + decision.units.len();
        let is_used_up = decision.stop.is_some()
            || decision.lock.is_some()
            || handled >= self.batch_max
            || handled > 0
                && (self.address.tenant.env().now() - begun > HANDLE_TIME_MAX
                    || decision.answers_size_bytes > ANSWERS_SIZE_MAX_BYTES);
        if is_used_up {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl<S> Decision<S> {
    /// Whether callers are answered through the store.
    pub(crate) fn has_answers(&self) -> bool {
        !self.outbox.answers.is_empty() || !self.remembered.is_empty()
    }

    /// Keeps what a handler wants done, if it counts.
    fn keep(&mut self, effects: Option<Effects<S>>) {
        let Some(effects) = effects else { return };
        self.outbox.effects.extend(effects.writes);
        self.actions.extend(effects.actions);
        if self.stop.is_none() {
            self.stop = effects.stop;
        }
    }

    /// The caller of a message of the queue is answered.
    fn answer(&mut self, envelope: &Envelope, answer: Option<Answer>) {
        let (Some(from), Some(answer)) = (envelope.from, answer) else {
            return;
        };
        self.answers_size_bytes += answer.size_bytes();
        self.outbox.answers.push(ToCaller {
            from,
            until_millis: envelope.until,
            answer,
        });
    }

    /// The caller of `unit` is answered later. It waits from now on: an answer that comes before it
    /// knows that is not left in the store, where it would find it before actions have run.
    fn wait<T: Server>(&mut self, calls: &Arc<Calls>, from: From, unit: &Unit<T>) -> Outcome {
        self.waiting.push((from, unit.until_millis));
        Outcome::Later(calls.wait_for_call(from))
    }

    /// A message of an id that took effect before: its caller gets the first answer, if there is
    /// one yet, and waits for it otherwise.
    fn repeat(&mut self, id: &MessageId, known: Remembered, from: From) -> Option<Answer> {
        match known.answer {
            FirstAnswer::Given(answer) => Some(answer),
            FirstAnswer::None => Some(Answer::Failed(
                "this id is that of a cast, which has no answer".to_owned(),
            )),
            FirstAnswer::Deferred(mut waiting) => {
                waiting.push(from);
                let answer = FirstAnswer::Deferred(waiting);
                self.remember(id, Remembered { answer, ..known });
                None
            }
        }
    }

    fn remember(&mut self, id: &MessageId, remembered: Remembered) {
        self.memory.insert(id.clone(), remembered);
        self.remembered.push(id.clone());
    }
}
