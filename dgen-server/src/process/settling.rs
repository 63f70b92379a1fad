//! What follows from an attempt: who is answered, what is kept, and whether to go on.

use std::{sync::Arc, time::Instant};

use dgen_backend::Error;

use super::{Process, Rest};
use crate::{
    Failure, Server, StopReason,
    attempt::Batch,
    batch_size::BATCH_MAX,
    blame::{Blamed, blame},
    call,
    decision::Stuck,
    error::text,
    hold::{Hold, Lock, Seen},
    lock::Acquired,
    locked_work,
    mailbox::{Done, Refused, Unit},
    progress::Progress,
    reading::Known,
    remedy::{AttemptError, Remedy},
    standby::Standby,
    urgent,
};

impl<S: Server> Process<S> {
    /// Acts on what was committed; the rest if nothing is left to do.
    pub(super) async fn committed(&mut self, batch: Batch<S>, begun: Instant) -> Option<Rest> {
        let address = Arc::clone(&self.address);
        self.meter(&batch, begun);
        self.seen = None;
        self.failures = 0;
        if batch.taken > 0 {
            self.polling.reset();
            // It serves.
            self.standby = None;
        }
        self.has_backlog = batch.has_backlog;
        self.next_due_millis = batch.agenda.next_millis;
        let (cached, done, lock, stop) = batch.done.committed(&address).await;
        let acquired = lock.and_then(|lock| urgent::acquired(lock, &cached));
        let cached = Some(cached).filter(|_| address.options.cache);
        // Dropped behind the answers: it may be large.
        let _old = std::mem::replace(&mut self.cached, cached);
        if let Some(quiet) = batch.quiet
            && let Some(cached) = self.cached.clone()
            && cached.version.is_some()
        {
            self.inbox.leave(Known { cached, quiet });
        }
        self.crowd = match done.len() {
            0 | 1 => 0,
            _ => (self.units.len() + self.inbox.len()).min(BATCH_MAX),
        };
        let handled: Vec<_> = self.units.drain(..done.len()).collect();
        for (unit, done) in handled.into_iter().zip(done) {
            self.finish(unit, done);
        }
        if let Some(version) = batch.version {
            for unit in &mut self.units {
                unit.see(version);
            }
        }
        if let Some(acquired) = acquired {
            self.work_locked(acquired);
        }
        if let Some(reason) = stop {
            return Some(Rest::Stop(StopReason::Handler(reason)));
        }
        if let Some(stuck) = batch.stuck {
            return Box::pin(self.blame(&stuck)).await;
        }
        let is_all_done = self.units.is_empty() && !batch.has_more;
        is_all_done.then_some(Rest::Idle)
    }

    /// Tells what became of a unit. A caller that is gone leaves nothing behind.
    pub(super) fn finish(&self, unit: Unit<S>, done: Done) {
        let until_millis = unit.until_millis;
        if let Some(waiting) = unit.finish(done) {
            call::abandon(&self.address, waiting, until_millis);
        }
    }

    /// The server is locked, or its first message waits: what came here waits in the queue.
    pub(super) fn held(&mut self, hold: Hold) -> Rest {
        let now = self.address.tenant.env().now();
        let seen = Seen::again(self.seen.as_deref().copied(), &hold, now);
        let wait = seen.wait(&hold, now);
        self.seen = Some(Box::new(seen));
        if matches!(hold, Hold::Locked(_)) {
            self.locked_since.get_or_insert(now);
        }
        self.defer_units();
        Rest::Held(hold, wait)
    }

    /// Others serve the queue, whose first message is at `first`.
    pub(super) fn stood_by(&mut self, first: [u8; 12]) -> Rest {
        let now = self.address.tenant.env().now();
        let standby = self
            .standby
            .get_or_insert_with(|| Box::new(Standby::lost(None)));
        standby.see(first, now);
        Rest::StoodBy(standby.wait(first, now))
    }

    /// The lock may be taken over, but not by this version.
    pub(super) fn unknown_lock(&mut self, lock: Lock) -> Rest {
        match self.held(Hold::Locked(lock)) {
            Rest::Held(hold, _) => Rest::Held(hold, self.address.poll_interval()),
            rest => rest,
        }
    }

    /// The first message of the queue can't be handled: none if there is a next one to attempt.
    pub(super) async fn blame(&mut self, stuck: &Stuck) -> Option<Rest> {
        tracing::warn!(server = %self.address, failure = text(&stuck.failure), "the queue's first message failed");
        self.address.metrics().failures.increment(1);
        match blame(&self.address, stuck).await {
            Ok(Blamed::Held(hold)) => {
                // It waits from now on, whoever counted.
                self.seen = None;
                Some(self.held(hold))
            }
            Ok(Blamed::Dead(buried)) => {
                buried.announce(&self.address);
                None
            }
            Ok(Blamed::Gone) => None,
            Err(error) => {
                tracing::warn!(server = %self.address, error = text(&error), "a failure was not counted");
                Some(Rest::Stuck)
            }
        }
    }

    /// Decides what to do about an attempt that was not committed, or may not have been; none if it
    /// is to attempt again.
    pub(super) async fn failed(&mut self, error: AttemptError, progress: Progress) -> Option<Rest> {
        tracing::debug!(server = %self.address, error = text(&error), "attempt failed");
        if progress.maybe_executed() || error.remedy() == Remedy::Unknown {
            return Some(self.unknown(error, progress.handled_units()));
        }
        let remedy = match error.remedy() {
            Remedy::Again if !progress.is_too_slow() => return None,
            Remedy::Again => Remedy::Fewer,
            remedy => remedy,
        };
        let is_smaller = match remedy {
            Remedy::Fewer if progress.handled() > 1 => self.batch_size.halve(progress.handled()),
            Remedy::Fewer => self.batch_size.single(),
            Remedy::Single => self.batch_size.single(),
            Remedy::Again | Remedy::Unknown | Remedy::None => false,
        };
        if is_smaller {
            return None;
        }
        let head = progress.head();
        if remedy == Remedy::Fewer
            && progress.has_stored_answer()
            && progress.handled_units() == 0
            && let Some((stamp, _)) = head
            && self.unanswerable.replace(stamp) != Some(stamp)
        {
            // It was alone, and too much with its answer: its caller is told that instead.
            return None;
        }
        let failure = error.into_failure(&self.address);
        let is_messages = matches!(remedy, Remedy::Fewer | Remedy::Single);
        if is_messages && progress.handled_units() > 0 {
            // It was alone, and the queue was empty: it is tried again from there.
            self.units.remove(0).finish(Err(Refused::NotHandled));
            return None;
        }
        if is_messages && let Some((stamp, hold)) = head {
            let stuck = Stuck {
                stamp,
                hold,
                is_unknown: false,
                failure,
            };
            return self.blame(&stuck).await;
        }
        tracing::warn!(server = %self.address, error = text(&failure), "nothing can be handled");
        if matches!(failure, Failure::Transaction(Error::Closed { .. })) {
            return Some(Rest::Stop(StopReason::Failed(text(&failure))));
        }
        for unit in self.units.drain(..) {
            unit.finish(Err(Refused::Failed(failure.clone())));
        }
        Some(Rest::Stuck)
    }

    /// What was handled may have been committed: it is not done again, and whoever sent it is told.
    fn unknown(&mut self, error: AttemptError, handled_units: usize) -> Rest {
        let failure = match error.into_failure(&self.address) {
            failure if failure.maybe_executed() => failure,
            failure => Failure::Transaction(Error::CommitUnknown {
                reason: text(&failure),
            }),
        };
        tracing::warn!(server = %self.address, error = text(&failure), "outcome unknown");
        let handled_units = handled_units.min(self.units.len());
        for unit in self.units.drain(..handled_units) {
            unit.finish(Err(Refused::Failed(failure.clone())));
        }
        Rest::Stuck
    }

    /// The lock was taken here: its work begins.
    pub(super) fn work_locked(&mut self, acquired: Acquired<S>) {
        match locked_work::spawn(&self.address, acquired) {
            Ok(task) => {
                // An earlier one has committed its result, and may yet stop the process, or has lost
                // its lock.
                for earlier in &mut self.locked {
                    earlier.drop_work();
                }
                self.locked.push(task);
            }
            Err(error) => {
                tracing::warn!(server = %self.address, %error, "locked work waits for its lease to end");
            }
        }
    }

    fn meter(&mut self, batch: &Batch<S>, begun: Instant) {
        let now = self.address.tenant.env().now();
        let metrics = self.address.metrics();
        let units = self.units.iter().zip(&batch.done.units);
        let units = units.filter(|(_, done)| done.is_ok());
        let handled = batch.taken + units.map(|(unit, _)| unit.messages()).sum::<usize>();
        if handled > 0 {
            metrics.committed(handled, now.saturating_duration_since(begun));
        }
        if let Some(queue_length) = batch.queue_length {
            metrics.queue_length(queue_length);
        }
        metrics.timers_fired.increment(batch.agenda.fired as u64);
        metrics.swept.increment(batch.agenda.swept as u64);
        if let Some(since) = self.locked_since.take() {
            metrics.waited_for_lock(now.saturating_duration_since(since));
        }
    }
}
