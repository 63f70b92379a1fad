//! Messages handed to a process in the same OS process, without the queue.

use std::{
    any::Any,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use dgen_queue::Item;
use tokio::sync::{Notify, oneshot};

use crate::{
    Failure, InfoError, Server,
    calls::WaitingCall,
    changes::Changes,
    message::{Message, MessageId},
    reading::Known,
    reply::Answer,
};

/// So many units may wait in a mailbox, and as many urgent ones; whoever sends one more waits too.
const MAILBOX_UNITS_MAX: usize = 1_024;

/// A message that waits in a mailbox, and where its outcome goes.
pub(crate) struct Unit<S: Server> {
    pub(crate) message: Message<S>,
    /// The caller's name for the message, or for its batch.
    id: Option<String>,
    /// Until when its caller waits, in milliseconds since 1970.
    pub(crate) until_millis: u64,
    /// The version at which the queue was first looked at for this unit: what was pushed later may
    /// wait behind it.
    seen_at: Option<u64>,
    /// None if nobody is told.
    done: Option<oneshot::Sender<Done>>,
}

/// What became of a unit.
pub(crate) type Done = Result<Outcome, Refused>;

/// What a message came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Answered(Answer),
    /// The answer comes later, to this.
    Later(WaitingCall),
}

/// Why a unit has no effect.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nothing was done with it: the queue takes it.
    NotHandled,
    Failed(Failure),
}

/// The sending end.
pub(crate) struct Mailbox<S: Server>(Arc<Shared<S>>);

/// The receiving end: a process's. Dropped, it takes its units with it.
pub(crate) struct Inbox<S: Server>(Arc<Shared<S>>);

/// What waits is kept in plain vectors that are given away whole, so that one that is empty takes next
/// to no room: there may be very many.
struct Shared<S: Server> {
    kept: Mutex<Kept<S>>,
    /// Tells senders that wait for it.
    room: Notify,
}

struct Kept<S: Server> {
    units: Vec<Unit<S>>,
    /// Those that are handled ahead of the queue.
    urgent: Vec<Unit<S>>,
    is_closed: bool,
    /// The process, if it waits.
    process: Option<Waker>,
    /// What the process knows of the server, if it does not find out more at present.
    known: Option<Known<S>>,
}

/// Why a unit was not put in.
enum NotPut<S: Server> {
    Full(Unit<S>),
    Closed,
}

/// A mailbox, and where its units are received.
pub(crate) fn mailbox<S: Server>() -> (Mailbox<S>, Inbox<S>) {
    let shared = Arc::new(Shared {
        kept: Mutex::new(Kept {
            units: Vec::new(),
            urgent: Vec::new(),
            is_closed: false,
            process: None,
            known: None,
        }),
        room: Notify::new(),
    });
    (Mailbox(Arc::clone(&shared)), Inbox(shared))
}

impl<S: Server> Mailbox<S> {
    /// Hands `unit` over and waits for what becomes of it.
    pub(crate) fn send(self, unit: Unit<S>) -> impl Future<Output = Done> + Send + use<S> {
        self.hand_over(unit, false)
    }

    /// The same, to be handled ahead of the queue.
    pub(crate) fn send_urgent(self, unit: Unit<S>) -> impl Future<Output = Done> + Send + use<S> {
        self.hand_over(unit, true)
    }

    /// Hands an info over, and waits for nothing.
    pub(crate) fn info(&self, info: S::Info) -> Result<(), InfoError> {
        let unit = Unit::new(Message::Info(info), None, u64::MAX);
        self.0.put(unit, true).map_err(|refused| match refused {
            NotPut::Full(_) => InfoError::Full,
            NotPut::Closed => InfoError::NotRunning,
        })
    }

    /// What the process knows of the server, if it waits.
    pub(crate) fn known(&self) -> Option<Known<S>> {
        let kept = self.0.kept();
        let known = kept.known.as_ref();
        // Whoever puts something in takes the waker, and so does the process when it works: nothing else is here then.
        known.filter(|_| kept.process.is_some()).cloned()
    }

    /// What the process knows of that count is not so any more: it need not look at that again.
    pub(crate) fn disprove(&self, changes: Changes) {
        let mut kept = self.0.kept();
        let known = &mut kept.known;
        let disproved = known.take_if(|known| known.quiet.changes == changes);
        drop(kept);
        drop(disproved);
    }

    /// For a place that knows nothing of `S`.
    pub(crate) fn into_any(self) -> Arc<dyn Any + Send + Sync> {
        self.0
    }

    /// The mailbox that [`into_any`](Self::into_any) made, if it is one of such a server.
    pub(crate) fn from_any(any: &Arc<dyn Any + Send + Sync>) -> Option<Self> {
        let shared = Arc::clone(any).downcast::<Shared<S>>();
        shared.ok().map(Self)
    }

    /// Puts `unit` in at once, if there is room; the rest is waiting. No `async fn`, which would keep the
    /// unit several times: each call takes this room.
    fn hand_over(
        self,
        mut unit: Unit<S>,
        is_urgent: bool,
    ) -> impl Future<Output = Done> + Send + use<S> {
        let (done, outcome) = oneshot::channel();
        unit.done = Some(done);
        let shared = self.0;
        let put = match shared.put(unit, is_urgent) {
            Ok(()) => Ok(None),
            Err(NotPut::Full(unit)) => Ok(Some(Box::pin(async move {
                shared.put_when_there_is_room(unit, is_urgent).await
            }))),
            Err(NotPut::Closed) => Err(Refused::NotHandled),
        };
        async move {
            if let Some(put) = put?
                && put.await.is_err()
            {
                return Err(Refused::NotHandled);
            }
            outcome.await.unwrap_or_else(|_| {
                // The process's task was ended from outside, perhaps in the middle of a commit.
                let unknown = dgen_backend::Error::CommitUnknown {
                    reason: "the process that took the message was ended".to_owned(),
                };
                Err(Refused::Failed(Failure::Transaction(unknown)))
            })
        }
    }
}

impl<S: Server> Inbox<S> {
    /// Takes what waits, until there are `max` of either kind.
    pub(crate) fn take(&self, units: &mut Vec<Unit<S>>, urgent: &mut Vec<Unit<S>>, max: usize) {
        let mut kept = self.0.kept();
        self.0.take(&mut kept, units, urgent, max);
    }

    /// The same, and ready once there was something to take.
    pub(crate) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        units: &mut Vec<Unit<S>>,
        urgent: &mut Vec<Unit<S>>,
        max: usize,
    ) -> Poll<()> {
        let mut kept = self.0.kept();
        if self.0.take(&mut kept, units, urgent, max) {
            return Poll::Ready(());
        }
        match &mut kept.process {
            Some(process) => process.clone_from(cx.waker()),
            process => *process = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Leaves here what the process knows of the server.
    pub(crate) fn leave(&self, known: Known<S>) {
        self.0.kept().known = Some(known);
    }

    /// Takes away what it knew: it finds out more, and does not wait meanwhile.
    pub(crate) fn take_known(&self) -> Option<Known<S>> {
        let mut kept = self.0.kept();
        kept.process = None;
        kept.known.take()
    }

    /// How many units wait that are not urgent.
    pub(crate) fn len(&self) -> usize {
        self.0.kept().units.len()
    }

    /// From now on whoever puts something in is refused. What is there stays.
    pub(crate) fn close(&self) {
        self.0.kept().is_closed = true;
        self.0.room.notify_waiters();
    }
}

impl<S: Server> Shared<S> {
    fn kept(&self) -> MutexGuard<'_, Kept<S>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, unit: Unit<S>, is_urgent: bool) -> Result<(), NotPut<S>> {
        let mut kept = self.kept();
        if kept.is_closed {
            return Err(NotPut::Closed);
        }
        let units = match is_urgent {
            true => &mut kept.urgent,
            false => &mut kept.units,
        };
        if units.len() >= MAILBOX_UNITS_MAX {
            return Err(NotPut::Full(unit));
        }
        units.push(unit);
        let process = kept.process.take();
        drop(kept);
        if let Some(process) = process {
            process.wake();
        }
        Ok(())
    }

    /// An error if it was closed.
    async fn put_when_there_is_room(
        &self,
        mut unit: Unit<S>,
        is_urgent: bool,
    ) -> Result<(), NotPut<S>> {
        loop {
            let mut room = pin!(self.room.notified());
            // Room that is made between the next two lines counts.
            room.as_mut().enable();
            match self.put(unit, is_urgent) {
                Err(NotPut::Full(back)) => unit = back,
                put => return put,
            }
            room.await;
        }
    }

    /// Whether there was something to take.
    fn take(
        &self,
        kept: &mut Kept<S>,
        units: &mut Vec<Unit<S>>,
        urgent: &mut Vec<Unit<S>>,
        max: usize,
    ) -> bool {
        let was_full = [&kept.units, &kept.urgent].map(|kept| kept.len() >= MAILBOX_UNITS_MAX);
        let taken =
            take_from(&mut kept.units, units, max) + take_from(&mut kept.urgent, urgent, max);
        if taken > 0 && was_full.contains(&true) {
            self.room.notify_waiters();
        }
        taken > 0
    }
}

/// Moves units until there are `max`; returns how many.
fn take_from<S: Server>(kept: &mut Vec<Unit<S>>, taken: &mut Vec<Unit<S>>, max: usize) -> usize {
    let count = kept.len().min(max.saturating_sub(taken.len()));
    if taken.is_empty() && count == kept.len() {
        *taken = std::mem::take(kept);
    } else {
        taken.extend(kept.drain(..count));
    }
    count
}

impl<S: Server> Drop for Inbox<S> {
    fn drop(&mut self) {
        self.close();
        let (units, urgent, known) = {
            let mut kept = self.0.kept();
            (
                std::mem::take(&mut kept.units),
                std::mem::take(&mut kept.urgent),
                kept.known.take(),
            )
        };
        // Callers are told by this.
        drop((units, urgent, known));
    }
}

impl<S: Server> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Server> Unit<S> {
    pub(crate) fn new(message: Message<S>, id: Option<String>, until_millis: u64) -> Self {
        Self {
            message,
            id,
            until_millis,
            seen_at: None,
            done: None,
        }
    }

    /// The id of one of its messages.
    pub(crate) fn id_of(&self, index: u32) -> Option<MessageId> {
        let id = self.id.clone()?;
        Some(MessageId { id, index })
    }

    /// The ids of its messages.
    pub(crate) fn ids(&self) -> impl Iterator<Item = MessageId> {
        (0..)
            .take(self.messages())
            .filter_map(|index| self.id_of(index))
    }

    /// How many messages it has.
    pub(crate) fn messages(&self) -> usize {
        match &self.message {
            Message::Casts(casts) => casts.len(),
            Message::Call(_) | Message::Info(_) => 1,
        }
    }

    /// Whether nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.done.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// The queue was looked at, at `version`.
    pub(crate) fn see(&mut self, version: u64) {
        self.seen_at.get_or_insert(version);
    }

    /// Whether `item` was in the queue before this unit came, so that it goes first.
    pub(crate) fn is_behind(&self, item: &Item) -> bool {
        let pushed_at = item.stamp().transaction_version().first_chunk();
        let pushed_at = pushed_at.map_or(0, |version| u64::from_be_bytes(*version));
        self.seen_at.is_none_or(|seen_at| pushed_at <= seen_at)
    }

    /// Tells what became of it. Returns the call that was to wait for a later answer, if its caller is
    /// gone.
    pub(crate) fn finish(self, done: Done) -> Option<WaitingCall> {
        match (self.done, done) {
            (Some(sender), done) => {
                if let Err(Ok(Outcome::Later(waiting))) = sender.send(done) {
                    return Some(waiting);
                }
            }
            (None, Err(Refused::Failed(failure))) => {
                tracing::error!(%failure, "an info message had no effect");
            }
            (None, _) => {}
        }
        None
    }
}
