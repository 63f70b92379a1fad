//! A process that consumes: it takes messages from its mailbox and from the queue, attempt by
//! attempt, until it is told to stop.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use dgen_backend::{Error, Watch};

use crate::{
    Failure, Server, StopReason,
    address::Address,
    attempt::{Attempt, AttemptError, Attempted, Cached, Remedy},
    control::Control,
    decision::ANSWER_SIZE_MAX_BYTES,
    handling::shielded,
    mailbox::{Inbox, Refused, Unit},
    progress::Progress,
    registry::Registration,
};

/// At most so many messages share one transaction.
const BATCH_MAX: usize = 1_000;

/// How long a process waits before it looks again at a message that it could not handle, the first
/// time and at most.
const STUCK_WAIT_INITIAL: Duration = Duration::from_millis(50);
const STUCK_WAIT_MAX: Duration = Duration::from_secs(10);

/// The shortest poll interval, so that 0 is no busy loop.
const POLL_INTERVAL_MIN: Duration = Duration::from_millis(1);

pub(crate) struct Process<S: Server> {
    pub(crate) address: Arc<Address>,
    pub(crate) initial: S,
    pub(crate) cached: Option<Arc<Cached<S>>>,
    pub(crate) keeps_cache: bool,
    pub(crate) poll_interval: Duration,
    pub(crate) inbox: Inbox<S>,
    pub(crate) control: Control,
    /// Takes the process out of the registry when it ends.
    pub(crate) registration: Registration,
    /// At most so many messages in an attempt, for now: fewer after one was too large.
    pub(crate) batch: Batch,
    /// The longest answer that is stored, for now: none after one was too much for its transaction.
    pub(crate) answer_size_max_bytes: usize,
    /// Taken from the mailbox, and waiting.
    pub(crate) units: Vec<Unit<S>>,
}

/// How many messages share a transaction: fewer after one was too much, more again after each that
/// was not.
pub(crate) struct Batch(usize);

/// What a process waits for while it has nothing to do.
enum Waking {
    /// A push to the queue, or the next poll.
    Watch(Watch, Timer),
    /// The next poll, or the next look at a message that could not be handled.
    Timer(Timer),
    /// Nothing: the queue is not empty.
    Now,
}

type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Woken {
    Work,
    Queue,
    Stop,
}

/// How a round of attempts ended.
enum Rest {
    /// The queue was found empty, and nothing waits.
    Idle,
    /// The first message can't be handled, or nothing can.
    Stuck,
    Stop(StopReason),
}

impl<S: Server> Process<S> {
    /// Runs until it is stopped; tells the reason to whoever watches.
    pub(crate) async fn run(mut self) {
        let reason = self.consume().await;
        tracing::debug!(server = %self.address, %reason, "process ended");
        let Self {
            address,
            initial,
            cached,
            mut inbox,
            control,
            registration,
            units,
            ..
        } = self;
        // Out of the registry first: whoever comes now goes to the queue.
        drop(registration);
        inbox.close();
        for unit in units {
            unit.finish(Err(Refused::NotHandled));
        }
        // Also for those who are just putting a unit in.
        while let Some(unit) = inbox.recv().await {
            unit.finish(Err(Refused::NotHandled));
        }
        // Whoever waited for the end may close the store at once.
        drop((address, initial, cached));
        control.ended(reason);
    }

    async fn consume(&mut self) -> StopReason {
        let mut stuck_wait = STUCK_WAIT_INITIAL;
        // The queue may hold messages from before this process.
        let mut rest = self.work().await;
        let mut waking = Waking::Now;
        loop {
            waking = match rest {
                Rest::Stop(reason) => return reason,
                Rest::Idle => {
                    stuck_wait = STUCK_WAIT_INITIAL;
                    match waking {
                        // A watch that has not fired yet goes on: an inline call costs none.
                        Waking::Watch(..) => waking,
                        Waking::Timer(_) | Waking::Now => self.watch().await,
                    }
                }
                Rest::Stuck => {
                    let wait = stuck_wait;
                    stuck_wait = STUCK_WAIT_MAX.min(stuck_wait * 2);
                    Waking::Timer(self.address.tenant.env().sleep(wait))
                }
            };
            rest = match self.wait(&mut waking).await {
                Woken::Stop => Rest::Stop(StopReason::Requested),
                Woken::Work => self.work().await,
                Woken::Queue => {
                    waking = Waking::Now;
                    self.work().await
                }
            };
        }
    }

    /// Attempts until nothing waits, here or in the queue, or nothing can be done.
    async fn work(&mut self) -> Rest {
        loop {
            while self.units.len() < BATCH_MAX
                && let Ok(unit) = self.inbox.try_recv()
            {
                self.units.push(unit);
            }
            self.units.retain(|unit| !unit.is_abandoned());
            if self.control.is_stop_requested() {
                return Rest::Stop(StopReason::Requested);
            }
            let progress = Progress::default();
            let rest = match self.attempt(&progress).await {
                Ok(attempted) => self.committed(attempted).await,
                Err(error) => self.failed(error, progress),
            };
            if let Some(rest) = rest {
                return rest;
            }
            // A store in memory answers at once: others want the thread too.
            tokio::task::yield_now().await;
        }
    }

    async fn attempt(&self, progress: &Progress) -> Result<Attempted<S>, AttemptError> {
        let address = &*self.address;
        let attempts = address.tenant.transact(|tx| {
            let attempt = Attempt {
                address,
                initial: &self.initial,
                cached: self.cached.clone(),
                units: &self.units,
                batch_max: self.batch.0,
                answer_size_max_bytes: self.answer_size_max_bytes,
                progress,
            };
            async move { attempt.run(&tx).await }
        });
        shielded(attempts)
            .await
            .unwrap_or_else(|panic| Err(AttemptError::Panicked(panic)))
    }

    /// Acts on what was committed; the rest if nothing is left to do.
    async fn committed(&mut self, attempted: Attempted<S>) -> Option<Rest> {
        self.batch.grow();
        self.answer_size_max_bytes = ANSWER_SIZE_MAX_BYTES;
        for (from, answer) in attempted.local_answers {
            self.address.registry.answer(&from, answer);
        }
        self.cached = attempted
            .state
            .into_cached()
            .await
            .filter(|_| self.keeps_cache);
        let done = self.units.drain(..attempted.units.len());
        for (unit, done) in done.zip(attempted.units) {
            unit.finish(done);
        }
        for unit in &mut self.units {
            unit.see(attempted.version);
        }
        if let Some(reason) = attempted.stop {
            return Some(Rest::Stop(StopReason::Handler(reason)));
        }
        if let Some(stuck) = attempted.stuck {
            tracing::warn!(server = %self.address, %stuck, "the queue's first message waits");
            return Some(Rest::Stuck);
        }
        let is_all_done = self.units.is_empty() && !attempted.has_more;
        is_all_done.then_some(Rest::Idle)
    }

    /// Decides what to do about an attempt that was not committed, or may not have been; none if it
    /// is to attempt again.
    fn failed(&mut self, error: AttemptError, progress: Progress) -> Option<Rest> {
        self.cached = None;
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
            Remedy::Fewer if progress.handled() > 1 => self.batch.halve(),
            Remedy::Fewer => self.batch.single(),
            Remedy::Single => self.batch.single(),
            Remedy::Again | Remedy::Unknown | Remedy::None => false,
        };
        if is_smaller {
            return None;
        }
        if remedy == Remedy::Fewer && progress.has_stored_answer() && self.answer_size_max_bytes > 0
        {
            // It was alone, and too much with its answer: its caller is told that instead.
            self.answer_size_max_bytes = 0;
            return None;
        }
        let failure = error.into_failure(&self.address);
        if progress.handled_units() > 0 && matches!(remedy, Remedy::Fewer | Remedy::Single) {
            // It was alone, and the queue was empty.
            let unit = self.units.remove(0);
            let refused = unit.message.refusal(failure);
            unit.finish(Err(refused));
            return None;
        }
        tracing::warn!(server = %self.address, error = text(&failure), "nothing can be handled");
        if matches!(failure, Failure::Transaction(Error::Closed { .. })) {
            return Some(Rest::Stop(StopReason::Failed(text(&failure))));
        }
        let failure = match (remedy, progress.into_head()) {
            (Remedy::Fewer | Remedy::Single, Some(key)) => Failure::Stuck {
                key,
                reason: text(&failure),
            },
            _ => failure,
        };
        for unit in self.units.drain(..) {
            let refused = unit.message.refusal(failure.clone());
            unit.finish(Err(refused));
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

    /// A watch on the queue, set in a transaction of its own since it counts as a read.
    async fn watch(&self) -> Waking {
        let queue = self.address.keys.queue();
        let tenant = &self.address.tenant;
        let watch = tenant
            .transact(|tx| {
                let queue = queue.clone();
                async move { queue.watch_if_empty(&tx).await }
            })
            .await;
        let poll = tenant
            .env()
            .sleep(self.poll_interval.max(POLL_INTERVAL_MIN));
        match watch {
            Ok(Some(watch)) => Waking::Watch(watch, poll),
            Ok(None) => Waking::Now,
            Err(error) => {
                tracing::debug!(server = %self.address, %error, "no watch; polling instead");
                Waking::Timer(poll)
            }
        }
    }

    /// Waits for something to do.
    async fn wait(&mut self, waking: &mut Waking) -> Woken {
        let Self {
            inbox,
            control,
            units,
            ..
        } = self;
        let mut stop = std::pin::pin!(control.stop_requested());
        poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::Stop);
            }
            if let Poll::Ready(received) = inbox.poll_recv_many(cx, units, BATCH_MAX)
                && received > 0
            {
                return Poll::Ready(Woken::Work);
            }
            waking.poll(cx).map(|()| Woken::Queue)
        })
        .await
    }
}

impl Waking {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Now => Poll::Ready(()),
            Self::Timer(timer) => timer.as_mut().poll(cx),
            Self::Watch(watch, poll) => match Pin::new(watch).poll(cx) {
                Poll::Ready(Ok(())) => Poll::Ready(()),
                // It says nothing, and would say so again: poll.
                Poll::Ready(Err(_)) => {
                    let timer = std::mem::replace(poll, Box::pin(std::future::pending()));
                    *self = Self::Timer(timer);
                    self.poll(cx)
                }
                Poll::Pending => poll.as_mut().poll(cx),
            },
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self(BATCH_MAX)
    }
}

impl Batch {
    fn grow(&mut self) {
        self.0 = BATCH_MAX.min(self.0 * 2);
    }

    /// Whether it got smaller.
    fn halve(&mut self) -> bool {
        let before = self.0;
        self.0 = (before / 2).max(1);
        self.0 < before
    }

    /// Whether it got smaller.
    fn single(&mut self) -> bool {
        std::mem::replace(&mut self.0, 1) > 1
    }
}

/// An error with its causes.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors say their cause themselves.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
