//! A process that consumes: it takes messages from its mailbox and from the queue, attempt by
//! attempt, until it is told to end.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use dgen_backend::{Error, Watch};
use tracing::Instrument as _;

use crate::{
    Failure, Server, StopReason,
    address::Address,
    agenda,
    attempt::{Attempt, Attempted, Batch},
    batch_size::{BATCH_MAX, BatchSize},
    blame::{Blamed, blame},
    call, clock,
    control::{Control, Request},
    decision::Stuck,
    error::text,
    handling::shielded,
    hold::{Hold, Lock, Seen, backoff},
    lock::Acquired,
    locked_work::{self, LockedTask},
    look::Quiet,
    mailbox::{Done, Inbox, Refused, Unit},
    polling::{Polling, note_lost_watch},
    progress::Progress,
    reading::Known,
    registry::Registration,
    remedy::{AttemptError, Remedy},
    standby::Standby,
    state::Cached,
    urgent,
    waking::{Waking, Watched},
};

pub(crate) struct Process<S: Server> {
    address: Arc<Address>,
    cached: Option<Arc<Cached<S>>>,
    inbox: Inbox<S>,
    control: Control,
    /// The last request that was acted on.
    heeded: Request,
    /// Keeps the process in the registry: whoever finds it there sends to it.
    registration: Option<Registration>,
    /// At most so many messages in an attempt, for now: fewer after one was too large.
    batch_size: BatchSize,
    /// The message of the queue whose answer was too much for its transaction.
    unanswerable: Option<[u8; 12]>,
    /// Taken from the mailbox, and waiting.
    units: Vec<Unit<S>>,
    urgent_units: Vec<Unit<S>>,
    /// How often in a row messages next door have woken it.
    woken_by_units: u32,
    /// How many units may soon be waiting: those that do, and one of each caller who was answered.
    crowd: usize,
    /// Whether there was more in the queue than the last attempt read.
    has_backlog: bool,
    /// The hold that was seen last.
    seen: Option<Box<Seen>>,
    /// Others serve, and this one lets them.
    standby: Option<Box<Standby>>,
    /// Since when the server is locked, as this process sees it.
    locked_since: Option<Instant>,
    /// When the next timer is due.
    next_due_millis: Option<u64>,
    /// What of that the waiting process last heeded.
    waits_until: Option<u64>,
    /// The work that this process does under the lock, behind earlier work that is just ending.
    locked: Vec<LockedTask>,
    /// How often in a row nothing could be done.
    failures: u32,
    /// How often to look where nothing can be watched.
    polling: Polling,
}

/// A process that was woken by messages next door so often in a row keeps the room that it works in while it
/// waits: until the next poll.
const ACTIVE_FROM: u32 = 8;

/// So often nobody may have come before a process waits for no more callers.
const GATHER_MISSES_MAX: u32 = 2;

/// How a round of attempts ended.
enum Rest {
    /// The queue was found empty, and nothing waits.
    Idle,
    /// The server is locked, or its first message waits: to be looked at again after so long.
    Held(Hold, Duration),
    /// Others serve: to be looked at again after so long.
    StoodBy(Duration),
    /// Nothing can be done for now.
    Stuck,
    Stop(StopReason),
}

impl<S: Server> Process<S> {
    pub(crate) fn new(
        address: Arc<Address>,
        cached: Option<Arc<Cached<S>>>,
        inbox: Inbox<S>,
        control: Control,
        registration: Registration,
    ) -> Self {
        Self {
            polling: Polling::new(address.poll_interval()),
            address,
            cached,
            inbox,
            control,
            heeded: Request::None,
            registration: Some(registration),
            batch_size: BatchSize::default(),
            unanswerable: None,
            units: Vec::new(),
            urgent_units: Vec::new(),
            woken_by_units: 0,
            crowd: 0,
            has_backlog: false,
            seen: None,
            standby: None,
            locked_since: None,
            next_due_millis: None,
            waits_until: None,
            locked: Vec::new(),
            failures: 0,
        }
    }

    /// Runs until it is told to end; tells the reason to whoever watches.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps its arguments twice, and there may be very many processes"
    )]
    pub(crate) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let reason = self.consume().await;
            Box::pin(self.end(reason)).await;
        }
    }

    async fn end(mut self, reason: StopReason) {
        tracing::debug!(server = %self.address, %reason, "process ended");
        // Out of the registry first: whoever comes now goes to the queue.
        self.take_no_more();
        self.inbox
            .take(&mut self.units, &mut self.urgent_units, usize::MAX);
        for unit in self.units.drain(..).chain(self.urgent_units.drain(..)) {
            unit.finish(Err(Refused::NotHandled));
        }
        for task in self.locked.drain(..) {
            task.cancel().await;
        }
        let Self {
            address,
            cached,
            inbox,
            control,
            ..
        } = self;
        // Whoever waited for the end may close the store at once.
        drop((address, cached, inbox));
        control.ended(reason);
    }

    async fn consume(&mut self) -> StopReason {
        // The queue may hold messages from before this process.
        let mut waking = Waking::now();
        loop {
            // Boxed, so that a process that waits is small: there may be very many.
            waking = match Box::pin(self.be_active(waking)).await {
                Ok(waking) => waking,
                Err(reason) => return reason,
            };
            if let Some(reason) = self.wait(&mut waking).await {
                return reason;
            }
        }
    }

    /// Works, and waits as long as messages come one soon after the other; returns what wakes it then, or
    /// the reason to end. `waking` is what has woken it.
    async fn be_active(&mut self, mut waking: Waking) -> Result<Waking, StopReason> {
        loop {
            waking = self.work_off(waking).await?;
            if self.woken_by_units < ACTIVE_FROM {
                return Ok(waking);
            }
            if let Some(reason) = self.wait(&mut waking).await {
                return Err(reason);
            }
        }
    }

    /// Does what there is to do; returns what wakes it then, or the reason to end. `waking` is what has
    /// woken it.
    async fn work_off(&mut self, waking: Waking) -> Result<Waking, StopReason> {
        let rest = self.work().await;
        let env = self.address.tenant.env();
        Ok(match rest {
            Rest::Stop(reason) => return Err(reason),
            Rest::Idle | Rest::Held(..) | Rest::StoodBy(_) if self.heeded == Request::Finish => {
                if self.locked.is_empty() {
                    return Err(StopReason::Shutdown);
                }
                Waking::after(env, self.address.poll_interval())
            }
            // An inline call costs neither a watch nor a timer.
            Rest::Idle
                if waking.waits_for(Watched::Queue) && self.next_due_millis == self.waits_until =>
            {
                waking
            }
            // A watch that has not fired yet goes on.
            Rest::Idle => match waking.into_watch(Watched::Queue) {
                Some(watch) => self.wait_for_push(Ok(watch), self.next_due_millis),
                None => self.watch_queue().await,
            },
            Rest::Held(hold, wait) => self.wait_for_hold(&hold, wait).await,
            Rest::StoodBy(wait) => Waking::after(env, wait),
            Rest::Stuck => {
                self.failures = self.failures.saturating_add(1);
                Waking::after(env, backoff(self.failures))
            }
        })
    }

    /// Attempts until nothing waits, here or in the queue, or nothing can be done.
    async fn work(&mut self) -> Rest {
        loop {
            self.heeded = self.control.requested();
            match self.heeded {
                Request::None => {}
                Request::Finish => self.take_no_more(),
                Request::Stop => return Rest::Stop(StopReason::Requested),
                Request::Kill => return Rest::Stop(StopReason::Killed),
            }
            if let Some(reason) = locked_work::stopped(&mut self.locked) {
                return Rest::Stop(StopReason::Handler(reason));
            }
            self.receive();
            self.gather().await;
            // What is rare is boxed, here and below: each message would move the room that it needs.
            if !self.urgent_units.is_empty()
                && let Some(reason) = Box::pin(self.handle_urgent()).await
            {
                return Rest::Stop(reason);
            }
            if self.registration.is_none() && self.units.is_empty() {
                // It finishes what it has, and takes nothing from the queue any more.
                return Rest::Idle;
            }
            let progress = Progress::default();
            let begun = self.address.tenant.env().now();
            let quiet = self.inbox.take_known().map(|known| known.quiet);
            let attempted = self.attempt(quiet, &progress).await;
            match progress.reduced_to() {
                Some(batch_max) => self.batch_size.reduce_to(batch_max),
                None if matches!(attempted, Ok(Attempted::Handled(_))) => self.batch_size.grow(),
                None => {}
            }
            if progress.is_overtaken() {
                self.standby = Some(Box::new(Standby::lost(self.standby())));
            }
            let rest = match attempted {
                Ok(Attempted::Handled(batch)) => self.committed(*batch, begun).await,
                Ok(Attempted::Held(hold)) => Some(self.held(hold)),
                Ok(Attempted::StoodBy(first)) => Some(self.stood_by(first)),
                Ok(Attempted::Outrun) => {
                    let now = self.address.tenant.env().now();
                    self.standby = Some(Box::new(Standby::outrun(self.standby(), now)));
                    None
                }
                Ok(Attempted::Unknown(lock)) => Some(self.unknown_lock(lock)),
                Ok(Attempted::Buried(buried)) => {
                    buried.announce(&self.address);
                    None
                }
                Ok(Attempted::TookOver(acquired)) => {
                    tracing::warn!(server = %self.address, fence = acquired.fence, "lock taken over");
                    self.address.metrics().locks_taken_over.increment(1);
                    self.work_locked(*acquired);
                    None
                }
                Ok(Attempted::Killed) => Some(Rest::Stop(StopReason::Killed)),
                Err(error) => Box::pin(self.failed(error, progress)).await,
            };
            if let Some(rest) = rest {
                return rest;
            }
            // A store in memory answers at once: others want the thread too.
            tokio::task::yield_now().await;
        }
    }

    /// Takes what is in the mailbox, up to a batch.
    fn receive(&mut self) {
        let (units, urgent_units) = (&mut self.units, &mut self.urgent_units);
        self.inbox.take(units, urgent_units, BATCH_MAX);
        for units in [units, urgent_units] {
            units.retain(|unit| !unit.is_abandoned());
        }
        if let Some(standby) = self.standby()
            && standby.defers(self.address.tenant.env().now())
        {
            self.defer_units();
        }
    }

    /// Waits a moment for the callers who were just answered: they may be about to call again, and what
    /// they send shares the flush of those who wait already. Without this one half of many callers
    /// would wait while the other half is flushed.
    async fn gather(&mut self) {
        let mut misses = 0;
        while !self.units.is_empty() && self.units.len() < self.crowd && misses < GATHER_MISSES_MAX
        {
            let before = self.units.len();
            tokio::task::yield_now().await;
            self.receive();
            if self.units.len() <= before {
                misses += 1;
            }
        }
        self.crowd = 0;
    }

    fn standby(&self) -> Option<Standby> {
        self.standby.as_deref().copied()
    }

    /// Has callers next door put their messages into the queue.
    fn defer_units(&mut self) {
        for unit in self.units.drain(..) {
            unit.finish(Err(Refused::NotHandled));
        }
    }

    /// Out of the registry: whoever comes now goes to the queue. What is in the mailbox stays.
    fn take_no_more(&mut self) {
        self.registration = None;
        self.inbox.close();
    }

    /// Handles priority and info messages, each in a transaction of its own.
    async fn handle_urgent(&mut self) -> Option<StopReason> {
        // A stop that is asked for meanwhile leaves the rest to their callers.
        while !self.urgent_units.is_empty() && self.control.requested() <= Request::Finish {
            let unit = self.urgent_units.remove(0);
            let urgent = urgent::handle(&self.address, self.cached.as_ref(), &unit).await;
            if let Some(cached) = urgent.cached.filter(|_| self.address.options.cache) {
                self.cached = Some(cached);
            }
            self.finish(unit, urgent.done);
            if let Some(acquired) = urgent.lock {
                self.work_locked(acquired);
            }
            if let Some(reason) = urgent.stop {
                // What is left of them is handled elsewhere.
                return Some(StopReason::Handler(reason));
            }
        }
        None
    }

    async fn attempt(
        &self,
        quiet: Option<Quiet>,
        progress: &Progress,
    ) -> Result<Attempted<S>, AttemptError> {
        // Pinned here: handed over by value, it would take its room twice.
        let attempts = pin!(self.address.tenant.transact(|tx| {
            let attempt = Attempt {
                address: &self.address,
                cached: self.cached.as_ref(),
                units: &self.units,
                has_backlog: self.has_backlog,
                quiet,
                seen: self.seen.as_deref().copied(),
                batch_max: self.batch_size.get(),
                unanswerable: self.unanswerable,
                standby: self.standby(),
                progress,
            };
            async move { attempt.run(&tx).await }
        }));
        let span =
            tracing::debug_span!("attempt", server = %self.address, units = self.units.len());
        shielded(attempts)
            .instrument(span)
            .await
            .unwrap_or_else(|panic| Err(AttemptError::Panicked(panic)))
    }

    /// Acts on what was committed; the rest if nothing is left to do.
    async fn committed(&mut self, batch: Batch<S>, begun: Instant) -> Option<Rest> {
        let address = Arc::clone(&self.address);
        self.meter(&batch, begun);
        self.seen = None;
        self.failures = 0;
        if batch.taken > 0 {
            self.polling.reset();
        }
        self.has_backlog = batch.has_backlog;
        if batch.taken > 0 {
            // It serves.
            self.standby = None;
        }
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
    fn finish(&self, unit: Unit<S>, done: Done) {
        let until_millis = unit.until_millis;
        if let Some(waiting) = unit.finish(done) {
            call::abandon(&self.address, waiting, until_millis);
        }
    }

    /// The server is locked, or its first message waits: what came here waits in the queue.
    fn held(&mut self, hold: Hold) -> Rest {
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
    fn stood_by(&mut self, first: [u8; 12]) -> Rest {
        let now = self.address.tenant.env().now();
        let standby = self
            .standby
            .get_or_insert_with(|| Box::new(Standby::lost(None)));
        standby.see(first, now);
        Rest::StoodBy(standby.wait(first, now))
    }

    /// The lock may be taken over, but not by this version.
    fn unknown_lock(&mut self, lock: Lock) -> Rest {
        match self.held(Hold::Locked(lock)) {
            Rest::Held(hold, _) => Rest::Held(hold, self.address.poll_interval()),
            rest => rest,
        }
    }

    /// The first message of the queue can't be handled: none if there is a next one to attempt.
    async fn blame(&mut self, stuck: &Stuck) -> Option<Rest> {
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
    async fn failed(&mut self, error: AttemptError, progress: Progress) -> Option<Rest> {
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
    fn work_locked(&mut self, acquired: Acquired<S>) {
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

    /// What wakes a process that has nothing to do: a push, a timer that is due, the next poll.
    fn wait_for_push(&mut self, watch: Result<Watch, Error>, due_millis: Option<u64>) -> Waking {
        self.waits_until = due_millis;
        let env = self.address.tenant.env();
        let wait = self.wait_until(due_millis);
        Waking::watching(Watched::Queue, watch, env, wait, self.polling.pause())
    }

    /// How long to wait for the next timer, or poll.
    fn wait_until(&self, due_millis: Option<u64>) -> Duration {
        let wait = due_millis.map_or(Duration::MAX, |due_millis| {
            let now = self.address.tenant.env().wall_clock();
            let due = clock::from_millis(due_millis).duration_since(now);
            due.unwrap_or_default()
        });
        wait.min(self.address.poll_interval())
    }

    /// Sets the watch on the queue.
    async fn watch_queue(&mut self) -> Waking {
        let address = Arc::clone(&self.address);
        let address = &address;
        // In a transaction of its own, since it counts as a read. A timer that was set since the
        // attempt is seen by this one, or fires the watch.
        let queue = &address.keys.queue();
        let watch = address.tenant.transact(|tx| async move {
            let first_due = agenda::first(&tx, &address.keys);
            let watch = queue.watch_if_empty(&tx).await?;
            Ok::<_, AttemptError>((watch, first_due.due_millis(&address.keys).await?))
        });
        match watch.await {
            Ok((Some(watch), due_millis)) => self.wait_for_push(Ok(watch), due_millis),
            Ok((None, _)) => Waking::now(),
            Err(error) => {
                let wait = self.wait_until(self.next_due_millis);
                self.without_watch(&error, Watched::Queue, wait)
            }
        }
    }

    /// What wakes a process that could not set its watch.
    fn without_watch(&self, error: &AttemptError, watched: Watched, wait: Duration) -> Waking {
        let env = self.address.tenant.env();
        match Error::find(error) {
            Some(lost @ Error::TooManyWatches { .. }) => {
                let pause = self.polling.pause();
                Waking::watching(watched, Err(lost.clone()), env, wait, pause)
            }
            _ => {
                tracing::debug!(server = %self.address, %error, "no watch; polling instead");
                Waking::after(env, wait)
            }
        }
    }

    /// What wakes a process whose server is held: the end of that.
    async fn wait_for_hold(&self, hold: &Hold, wait: Duration) -> Waking {
        let (address, env) = (&self.address, self.address.tenant.env());
        let wait = wait.min(address.poll_interval());
        if matches!(hold, Hold::Failing(_)) {
            return Waking::after(env, wait);
        }
        let watch = address.tenant.transact(|tx| async move {
            let bytes = tx.get(&address.keys.hold()).await?;
            let now = bytes.map(|bytes| Hold::from_bytes(&bytes)).transpose()?;
            if now.as_ref() == Some(hold) {
                return Ok::<_, AttemptError>(Some(tx.watch(&address.keys.hold())?));
            }
            Ok(None)
        });
        match watch.await {
            Ok(Some(watch)) => {
                let pause = self.polling.pause();
                Waking::watching(Watched::Hold, Ok(watch), env, wait, pause)
            }
            Ok(None) => Waking::now(),
            Err(error) => self.without_watch(&error, Watched::Hold, wait),
        }
    }

    /// Waits for something to do; the reason to end if locked work gives one.
    async fn wait(&mut self, waking: &mut Waking) -> Option<StopReason> {
        let reason = poll_fn(|cx| self.poll_woken(cx, waking)).await;
        let has_units = !self.units.is_empty() || !self.urgent_units.is_empty();
        self.woken_by_units = match has_units {
            true => self.woken_by_units.saturating_add(1),
            false => 0,
        };
        match waking.lost() {
            Some(error) => {
                note_lost_watch(&self.address, error);
                if !has_units {
                    self.polling.slow_down();
                }
            }
            None => self.polling.reset(),
        }
        reason
    }

    /// Ready once there is something to do; the reason to end if locked work gives one.
    fn poll_woken(
        &mut self,
        cx: &mut Context<'_>,
        waking: &mut Waking,
    ) -> Poll<Option<StopReason>> {
        let (units, urgent_units) = (&mut self.units, &mut self.urgent_units);
        let received = self.inbox.poll_take(cx, units, urgent_units, BATCH_MAX);
        // What was requested since it worked wakes it.
        let requested = self.control.poll_more_requested(cx, self.heeded);
        if received.is_ready() || requested.is_ready() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(stop) = locked_work::poll_ended(&mut self.locked, cx) {
            return Poll::Ready(stop.map(StopReason::Handler));
        }
        waking.poll(cx).map(|()| None)
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
