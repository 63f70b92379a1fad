//! One transactional attempt: the heart of a server.
//!
//! 1. [Look](crate::look): ask together for all that says what there is to do: the hold (is the
//!    server locked, or does its first message wait?), the state's version, the head of the queue,
//!    the first row of the agenda. The state itself is read only if the cached one is not of that
//!    version.
//! 2. [Decide](crate::decision): handle messages, on a copy of the state.
//! 3. [Carry it out](crate::carrying): write the state's difference, answers, casts to other servers,
//!    timers, ids, the lock if one was asked for, and remove what was handled from the queue.
//!
//! The caller commits, and only then acts on what is returned: so all of it happens, or nothing.
//! An attempt that is run again decides anew.

use std::sync::Arc;

use dgen_backend::{Transaction, tuple::Versionstamp};
use dgen_queue::Item;

use crate::{
    Server,
    address::Address,
    agenda::{self, WorkedOff},
    carrying::{CarriedOut, carry_out},
    clock,
    dead_letters::Buried,
    decision::{QueuedMessage, Stuck, Work},
    handling::Trial,
    hold::{Hold, Lock, Seen},
    lock::{self, Acquired, TakenOver},
    look::{Found, Quiet, Scope, look},
    mailbox::Unit,
    memory::{self, Memory},
    progress::Progress,
    remedy::AttemptError,
    standby::{LOST_RACES_MAX, Standby},
    state::Cached,
};

/// So often an attempt is run before the process looks at why.
const ATTEMPTS_MAX: u32 = 8;

/// What an attempt works on.
pub(crate) struct Attempt<'a, S: Server> {
    pub(crate) address: &'a Arc<Address>,
    pub(crate) cached: Option<&'a Arc<Cached<S>>>,
    pub(crate) units: &'a [Unit<S>],
    /// Whether the last attempt left more in the queue than it had read: then its length is asked for.
    pub(crate) has_backlog: bool,
    /// That the last attempt found nothing to do but what came to the mailbox.
    pub(crate) quiet: Option<Quiet>,
    /// The hold that was seen last, and since when.
    pub(crate) seen: Option<Seen>,
    /// At most so many messages.
    pub(crate) batch_max: usize,
    /// The message of the queue whose answer was too much for its transaction.
    pub(crate) unanswerable: Option<[u8; 12]>,
    /// Whether others serve, and this one is to let them.
    pub(crate) standby: Option<Standby>,
    pub(crate) progress: &'a Progress,
}

/// What an attempt found or, if it is committed, did.
pub(crate) enum Attempted<S: Server> {
    Handled(Box<Batch<S>>),
    /// The server is locked, or its first message waits to be tried again.
    Held(Hold),
    /// Others serve; this is the place of the queue's first message.
    StoodBy([u8; 12]),
    /// Others were faster, again and again.
    Outrun,
    /// The lock is nobody's, and this version does not know its message.
    Unknown(Lock),
    /// The lock of a holder that is gone was taken over.
    TookOver(Box<Acquired<S>>),
    /// The message of such a lock is a dead letter.
    Buried(Buried),
    /// There is no state: somebody killed the server.
    Killed,
}

/// What was handled.
pub(crate) struct Batch<S: Server> {
    pub(crate) done: CarriedOut<S>,
    /// How many messages of the queue.
    pub(crate) taken: usize,
    /// Why the first message left in the queue can't be handled, if it can't.
    pub(crate) stuck: Option<Stuck>,
    /// Whether there may be more to do: in the queue, or on the agenda.
    pub(crate) has_more: bool,
    /// The version at which the queue was looked at, if units are left.
    pub(crate) version: Option<u64>,
    /// That there was nothing to do but what came to the mailbox.
    pub(crate) quiet: Option<Quiet>,
    /// What of the agenda was worked off.
    pub(crate) agenda: WorkedOff,
    /// Whether there is more in the queue than was read.
    pub(crate) has_backlog: bool,
    /// How many messages were left in the queue, if that is known.
    pub(crate) queue_length: Option<u64>,
}

impl<S: Server> Attempted<S> {
    fn of_lock(taken: TakenOver<S>) -> Self {
        match taken {
            TakenOver::Acquired(acquired) => Self::TookOver(Box::new(acquired)),
            TakenOver::Unknown(lock) => Self::Unknown(lock),
            TakenOver::Buried(buried) => Self::Buried(buried),
        }
    }
}

impl<S: Server> Attempt<'_, S> {
    pub(crate) async fn run(mut self, tx: &Transaction) -> Result<Attempted<S>, AttemptError> {
        self.begin(tx)?;
        if self.is_outrun(tx) {
            return Ok(Attempted::Outrun);
        }
        let address = self.address;
        let (keys, env) = (&address.keys, address.tenant.env());

        // Asked for together.
        let looked = look(tx, address, self.cached, self.quiet(tx), self.scope());
        let units = self.units.iter().take(self.batch_max);
        let ids_of_units = memory::Asked::new(tx, keys, units.flat_map(Unit::ids));
        let (mut found, state) = looked.await?;

        self.progress.found(found.items().len() + self.units.len());
        let mark = found.hold.as_ref().map(Hold::mark);
        self.progress.set_head(found.items().first(), mark);
        let hold = found.hold.take();
        let hold = hold.filter(|hold| holds::<S>(hold, found.items().first()));
        if let Some(hold) = &hold
            && !Seen::is_ripe(self.seen, hold, env.now())
        {
            if let Some(waiting) = found.waiting {
                address.metrics().queue_length(waiting);
            }
            return Ok(Attempted::Held(hold.clone()));
        }
        if let Some(first) = found.items().first()
            && let first = *first.stamp().as_bytes()
            && self.stands_by(first)
        {
            return Ok(Attempted::StoodBy(first));
        }
        let Some(cached) = state.current(tx, address).await? else {
            return Ok(Attempted::Killed);
        };
        if let Some(hold) = &hold
            && let Hold::Locked(lock) = hold
        {
            let unchanged_for = Seen::unchanged_for(self.seen, hold, env.now());
            let lock = lock.clone();
            let taken = Box::pin(lock::take_over(tx, address, lock, unchanged_for, cached));
            return Ok(Attempted::of_lock(taken.await?));
        }

        let wall_clock = env.wall_clock();
        let now_millis = clock::to_millis(wall_clock);
        let mut agenda = match found.first_due_millis {
            Some(due_millis) if due_millis <= now_millis => {
                let rows_max = self.agenda_rows_max(!found.items().is_empty());
                Box::pin(agenda::work_off(tx, keys, wall_clock, rows_max)).await?
            }
            next_millis => WorkedOff::nothing(next_millis),
        };

        let items: Vec<_> = found.items().iter().map(QueuedMessage::new).collect();
        let ids = items.iter().filter_map(|item| item.id().cloned());
        let ids = ids_of_units.and(memory::Asked::new(tx, keys, ids));
        let memory = match ids.is_empty() {
            true => Memory::default(),
            false => Box::pin(Memory::of(tx, ids, now_millis)).await?,
        };
        let work = Work {
            address,
            items: &items,
            may_have_more: found.may_have_more(),
            units: self.units,
            is_urgent: false,
            batch_max: self.batch_max,
            unanswerable: self.unanswerable,
            memory,
            hold: mark,
            now_millis,
        };
        let mut trial = Trial::new(address, &cached);
        let begun = env.now();
        let mut decision = work.decide(&mut trial);
        self.progress.decided(&decision, env.now() - begun);

        let (taken, stuck) = (decision.taken, decision.stuck.take());
        let version = match decision.units.len() < self.units.len() {
            true => Some(tx.read_version().await?),
            false => None,
        };
        let has_backlog = found.may_have_more();
        let has_left = has_backlog || taken < items.len();
        let is_quiet = items.is_empty() && !has_left && mark.is_none();
        drop(items);
        let popped = pop(tx, address, &mut found, taken, mark.is_some())?;
        let done = carry_out(tx, address, cached, trial.into_changed(), decision).await?;
        // Behind the answers: those to callers who are gone go too.
        agenda.sweep_replies(tx, keys, popped.as_ref(), now_millis)?;
        let changes = found.changes.filter(|_| is_quiet);
        Ok(Attempted::Handled(Box::new(Batch {
            has_more: has_left || agenda.fired > 0,
            quiet: changes.map(|changes| Quiet {
                changes: changes.after(done.state.is_changed()),
                next_due_millis: agenda.next_millis,
                until: found
                    .quiet_until
                    .unwrap_or_else(|| env.now() + address.poll_interval()),
            }),
            done,
            taken,
            stuck,
            version,
            agenda,
            has_backlog,
            queue_length: found
                .waiting
                .map(|waiting| waiting.saturating_sub(taken as u64)),
        })))
    }

    /// What is known of everything but the mailbox, if that is still to be relied on.
    fn quiet(&self, tx: &Transaction) -> Option<Quiet> {
        let env = self.address.tenant.env();
        let is_known = tx.attempt().number == 1
            && !self.units.is_empty()
            && self.cached.is_some_and(|cached| cached.version.is_some());
        self.quiet
            .filter(|quiet| is_known && quiet.is_to_be_relied_on(env, env.now()))
    }

    fn scope(&self) -> Scope {
        Scope {
            items_max: self.batch_max,
            with_length: self.has_backlog,
            with_changes: !self.has_backlog && !self.units.is_empty() && self.cached.is_some(),
        }
    }

    /// Whether to leave the queue, whose first message is at `first`, to others.
    fn stands_by(&self, first: [u8; 12]) -> bool {
        // What callers next door want waits for nobody else.
        if !self.units.is_empty() {
            return false;
        }
        let now = self.address.tenant.env().now();
        let is_serving = self
            .standby
            .is_none_or(|standby| standby.wait(first, now).is_zero());
        !is_serving || self.progress.is_overtaken()
    }

    /// Whether the messages of callers next door are better off in the queue: others are faster, or the
    /// first caller's many messages take too long together. There they are handled one by one.
    fn is_outrun(&self, tx: &Transaction) -> bool {
        let attempt = tx.attempt();
        match self.units.first() {
            Some(first) if attempt.is_too_old && !attempt.maybe_executed => {
                self.batch_max == 1 && first.messages() > 1
            }
            Some(_) => attempt.number > LOST_RACES_MAX && !attempt.maybe_executed,
            None => false,
        }
    }

    /// How much of the agenda shares the transaction: less after one was too much, and nothing beside
    /// a message that is tried alone.
    fn agenda_rows_max(&self, has_items: bool) -> usize {
        if self.batch_max == 1 && has_items {
            0
        } else {
            self.batch_max
        }
    }

    fn begin(&mut self, tx: &Transaction) -> Result<(), AttemptError> {
        let attempt = tx.attempt();
        // One that was too old is run again with less to do, until the deadline.
        let is_enough = attempt.number > ATTEMPTS_MAX && !attempt.is_too_old;
        let is_hopeless = is_enough || self.progress.is_too_slow();
        // While an earlier one may have happened, only going on finds out.
        if is_hopeless && !attempt.maybe_executed {
            return Err(AttemptError::GivenUp);
        }
        self.progress.begin(attempt.maybe_executed);
        let batch_max = self.progress.batch_max(self.batch_max, attempt.is_too_old);
        self.batch_max = batch_max;
        self.address.metrics().attempt(attempt);
        Ok(())
    }
}

/// Whether `hold` holds this consumer up. A message that failed and is not the first any more holds
/// nothing; nor does one that others did not know, and this version does.
fn holds<S: Server>(hold: &Hold, first: Option<&Item>) -> bool {
    match (hold, first) {
        (Hold::Locked(_), _) => true,
        (Hold::Failing(_), None) => false,
        (Hold::Failing(failing), Some(first)) => {
            *first.stamp().as_bytes() == failing.stamp
                && !(failing.is_unknown && QueuedMessage::<S>::new(first).is_known())
        }
    }
}

/// Removes what was handled from the queue. Returns the place of the last of it.
fn pop(
    tx: &Transaction,
    address: &Address,
    found: &mut Found,
    taken: usize,
    has_hold: bool,
) -> Result<Option<Versionstamp>, AttemptError> {
    let popped = match &mut found.head {
        Some(head) => head.pop(taken)?,
        None => Vec::new(),
    };
    if has_hold && taken > 0 {
        // It told of a message that is handled now.
        tx.clear(&address.keys.hold())?;
    }
    Ok(popped.last().map(|last| last.stamp().clone()))
}
