//! Messages handed to a process in the same OS process, without the queue.

use dgen_queue::Item;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Failure, InfoError, Server,
    calls::WaitingCall,
    message::{Message, MessageId},
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
pub(crate) struct Mailbox<S: Server> {
    units: mpsc::Sender<Unit<S>>,
    urgent: mpsc::Sender<Unit<S>>,
}

/// The receiving end of one kind.
pub(crate) type Inbox<S> = mpsc::Receiver<Unit<S>>;

/// A mailbox, where its units are received, and where its urgent ones are.
pub(crate) fn mailbox<S: Server>() -> (Mailbox<S>, Inbox<S>, Inbox<S>) {
    let (units, inbox) = mpsc::channel(MAILBOX_UNITS_MAX);
    let (urgent, urgent_inbox) = mpsc::channel(MAILBOX_UNITS_MAX);
    (Mailbox { units, urgent }, inbox, urgent_inbox)
}

impl<S: Server> Mailbox<S> {
    /// Hands `unit` over and waits for what becomes of it.
    pub(crate) async fn send(self, unit: Unit<S>) -> Done {
        let Self { units, urgent } = self;
        drop(urgent);
        hand_over(units, unit).await
    }

    /// The same, to be handled ahead of the queue.
    pub(crate) async fn send_urgent(self, unit: Unit<S>) -> Done {
        let Self { units, urgent } = self;
        drop(units);
        hand_over(urgent, unit).await
    }

    /// Hands an info over, and waits for nothing.
    pub(crate) fn info(&self, info: S::Info) -> Result<(), InfoError> {
        let unit = Unit::new(Message::Info(info), None, u64::MAX);
        self.urgent.try_send(unit).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => InfoError::Full,
            mpsc::error::TrySendError::Closed(_) => InfoError::NotRunning,
        })
    }
}

async fn hand_over<S: Server>(to: mpsc::Sender<Unit<S>>, mut unit: Unit<S>) -> Done {
    let (done, outcome) = oneshot::channel();
    unit.done = Some(done);
    // The sender is dropped with this: an inbox that is dropped takes its units with it.
    let sent = to.send(unit).await;
    drop(to);
    if sent.is_err() {
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

impl<S: Server> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self {
            units: self.units.clone(),
            urgent: self.urgent.clone(),
        }
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
