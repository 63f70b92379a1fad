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
    attempt::{Attempt, AttemptError, Attempted, Cached},
    control::Control,
    mailbox::{Inbox, Unit},
    registry::Registration,
};

/// At most so many units share one transaction.
const UNITS_MAX: usize = 512;

/// How long a process waits before it looks again at a message that it could not handle, the first
/// time and at most.
const STUCK_WAIT_INITIAL: Duration = Duration::from_millis(50);
const STUCK_WAIT_MAX: Duration = Duration::from_secs(10);

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
}

/// What a process waits for while it has nothing to do.
enum Waking {
    /// A push to the queue, or the next poll.
    Watch(Watch, Pin<Box<dyn Future<Output = ()> + Send>>),
    /// The next poll, or the next look at a message that could not be handled.
    Timer(Pin<Box<dyn Future<Output = ()> + Send>>),
}

enum Woken<S: Server> {
    Units(Vec<Unit<S>>),
    Queue,
    Stop,
}

/// How a round of attempts ended.
enum Rest {
    /// The queue was found empty, and nothing waits.
    Idle,
    /// The first message can't be handled.
    Stuck,
    Stop(StopReason),
}

impl<S: Server> Process<S> {
    /// Runs until it is stopped; tells the reason to whoever watches.
    pub(crate) async fn run(mut self) {
        let reason = self.consume().await;
        tracing::debug!(server = %self.address, %reason, "process ended");
        // Out of the registry first: whoever finds the mailbox closed goes to the queue.
        drop(self.registration);
        self.inbox.close();
        while let Ok(unit) = self.inbox.try_recv() {
            unit.finish(Err(Failure::Stopped));
        }
        self.control.ended(reason);
    }

    async fn consume(&mut self) -> StopReason {
        let mut stuck_wait = STUCK_WAIT_INITIAL;
        // The queue may hold messages from before this process.
        let mut rest = self.work(Vec::new()).await;
        let mut waking = None;
        loop {
            waking = match rest {
                Rest::Stop(reason) => return reason,
                Rest::Idle => {
                    stuck_wait = STUCK_WAIT_INITIAL;
                    match waking.take() {
                        // A watch that has not fired yet goes on: an inline call costs none.
                        Some(watch @ Waking::Watch(..)) => Some(watch),
                        _ => self.watch().await,
                    }
                }
                Rest::Stuck => {
                    let wait = stuck_wait;
                    stuck_wait = STUCK_WAIT_MAX.min(stuck_wait * 2);
                    Some(Waking::Timer(self.address.tenant.env().sleep(wait)))
                }
            };
            rest = match self.wait(&mut waking).await {
                Woken::Stop => Rest::Stop(StopReason::Requested),
                Woken::Units(units) => self.work(units).await,
                Woken::Queue => {
                    waking = None;
                    self.work(Vec::new()).await
                }
            };
        }
    }

    /// Attempts until `units` are done and the queue is empty, or can't be.
    async fn work(&mut self, mut units: Vec<Unit<S>>) -> Rest {
        loop {
            units.retain(|unit| !unit.is_abandoned());
            let attempted = match self.attempt(&units).await {
                Ok(attempted) => attempted,
                Err(error) if units.len() > 1 => {
                    // One of them may be why: each alone.
                    tracing::debug!(server = %self.address, %error, "batch failed; one by one");
                    self.cached = None;
                    for unit in units {
                        if let rest @ Rest::Stop(_) = Box::pin(self.work(vec![unit])).await {
                            return rest;
                        }
                    }
                    return Rest::Idle;
                }
                Err(error) => {
                    self.cached = None;
                    let failure = self.failure(error);
                    let is_closed = matches!(failure, Failure::Transaction(Error::Closed { .. }));
                    tracing::warn!(server = %self.address, error = ?failure, "attempt failed");
                    let rest = if is_closed {
                        Rest::Stop(StopReason::Failed(text(&failure)))
                    } else {
                        Rest::Stuck
                    };
                    for unit in units {
                        unit.finish(Err(failure.clone()));
                    }
                    return rest;
                }
            };
            for (from, answer) in attempted.local_answers {
                self.address.registry.answer(&from, answer);
            }
            self.cached = attempted
                .state
                .into_cached()
                .await
                .filter(|_| self.keeps_cache);
            let is_all_done = attempted.units.len() == units.len();
            for (unit, done) in units.drain(..attempted.units.len()).zip(attempted.units) {
                unit.finish(done);
            }
            if let Some(reason) = attempted.stop {
                for unit in units {
                    unit.finish(Err(Failure::Stopped));
                }
                return Rest::Stop(StopReason::Handler(reason));
            }
            if let Some(stuck) = attempted.stuck {
                tracing::warn!(server = %self.address, %stuck, "the queue's first message waits");
                return Rest::Stuck;
            }
            if self.control.is_stop_requested() {
                for unit in units {
                    unit.finish(Err(Failure::Stopped));
                }
                return Rest::Stop(StopReason::Requested);
            }
            if is_all_done && !attempted.has_more {
                return Rest::Idle;
            }
        }
    }

    async fn attempt(&self, units: &[Unit<S>]) -> Result<Attempted<S>, AttemptError> {
        let address = &*self.address;
        address
            .tenant
            .transact(|tx| {
                let attempt = Attempt {
                    address,
                    initial: &self.initial,
                    cached: self.cached.clone(),
                    units,
                };
                async move { attempt.run(&tx).await }
            })
            .await
    }

    /// A watch on the queue, set in a transaction of its own since it counts as a read; none if the
    /// queue is not empty.
    async fn watch(&self) -> Option<Waking> {
        let queue = self.address.keys.queue();
        let tenant = &self.address.tenant;
        let watch = tenant
            .transact(|tx| {
                let queue = queue.clone();
                async move { queue.watch_if_empty(&tx).await }
            })
            .await;
        let poll = tenant.env().sleep(self.poll_interval);
        match watch {
            Ok(Some(watch)) => Some(Waking::Watch(watch, poll)),
            Ok(None) => None,
            Err(error) => {
                tracing::debug!(server = %self.address, %error, "no watch; polling instead");
                Some(Waking::Timer(poll))
            }
        }
    }

    /// Waits for something to do. With no `waking` the queue is not empty.
    async fn wait(&mut self, waking: &mut Option<Waking>) -> Woken<S> {
        let Some(waking) = waking else {
            return if self.control.is_stop_requested() {
                Woken::Stop
            } else {
                Woken::Queue
            };
        };
        let mut units = Vec::new();
        let (inbox, control) = (&mut self.inbox, &mut self.control);
        let mut stop = std::pin::pin!(control.stop_requested());
        poll_fn(|cx| {
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Woken::Stop);
            }
            if let Poll::Ready(received) = inbox.poll_recv_many(cx, &mut units, UNITS_MAX)
                && received > 0
            {
                return Poll::Ready(Woken::Units(std::mem::take(&mut units)));
            }
            waking.poll(cx).map(|()| Woken::Queue)
        })
        .await
    }

    fn failure(&self, error: AttemptError) -> Failure {
        error.into_failure(&self.address)
    }
}

impl Waking {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Watch(watch, poll) => {
                // A watch that failed says nothing: look.
                if Pin::new(watch).poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                poll.as_mut().poll(cx)
            }
            Self::Timer(timer) => timer.as_mut().poll(cx),
        }
    }
}

/// An error with its causes.
fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
