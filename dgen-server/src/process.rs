//! A process that consumes: it takes messages from its mailbox and from the queue, attempt by
//! attempt, until it is told to end.

mod settling;
mod waiting;

use std::{
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::Instrument as _;

use crate::{
    Server, StopReason,
    address::Address,
    attempt::{Attempt, Attempted},
    batch_size::{BATCH_MAX, BatchSize},
    control::{Control, Request},
    handling::shielded,
    hold::{Hold, Seen, backoff},
    locked_work::{self, LockedTask},
    look::Quiet,
    mailbox::{Inbox, Refused, Unit},
    polling::Polling,
    progress::Progress,
    registry::Registration,
    remedy::AttemptError,
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
}
