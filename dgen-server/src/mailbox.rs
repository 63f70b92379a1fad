//! Messages handed to a process in the same OS process, without the queue.

use dgen_queue::Item;
use tokio::sync::{mpsc, oneshot};

use crate::{Failure, Server, message::Message, reply::Answer};

/// So many units may wait in a mailbox; whoever sends one more waits too.
const MAILBOX_UNITS_MAX: usize = 1_024;

/// A message that waits in a mailbox, and where its outcome goes.
pub(crate) struct Unit<S: Server> {
    pub(crate) message: Message<S>,
    /// The version at which the queue was first looked at for this unit: what was pushed later may
    /// wait behind it.
    seen_at: Option<u64>,
    done: oneshot::Sender<Done>,
}

/// What became of a unit: the answer, if it was a call.
pub(crate) type Done = Result<Option<Answer>, Refused>;

/// Why a unit has no effect.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Nothing was done with it: the queue takes it.
    NotHandled,
    Failed(Failure),
}

/// The sending end.
pub(crate) struct Mailbox<S: Server>(mpsc::Sender<Unit<S>>);

/// The receiving end.
pub(crate) type Inbox<S> = mpsc::Receiver<Unit<S>>;

pub(crate) fn mailbox<S: Server>() -> (Mailbox<S>, Inbox<S>) {
    let (sender, inbox) = mpsc::channel(MAILBOX_UNITS_MAX);
    (Mailbox(sender), inbox)
}

impl<S: Server> Mailbox<S> {
    /// Hands `message` over and waits for what becomes of it.
    pub(crate) async fn send(self, message: Message<S>) -> Done {
        let (done, outcome) = oneshot::channel();
        let unit = Unit {
            message,
            seen_at: None,
            done,
        };
        // The sender is dropped here: an inbox that is dropped takes its units with it.
        let Self(sender) = self;
        let sent = sender.send(unit).await;
        drop(sender);
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
}

impl<S: Server> Clone for Mailbox<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Server> Unit<S> {
    /// Whether nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.done.is_closed()
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

    pub(crate) fn finish(self, done: Done) {
        // Whoever sent it may be gone.
        let _ = self.done.send(done);
    }
}
