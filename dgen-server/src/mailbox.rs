//! Messages handed to a process in the same OS process, without the queue.

use tokio::sync::{mpsc, oneshot};

use crate::{Failure, Server, message::Message, reply::Answer};

/// So many units may wait in a mailbox; whoever sends one more waits too.
const MAILBOX_UNITS_MAX: usize = 1_024;

/// Messages that take effect together or not at all: a call, or the casts of one batch.
pub(crate) struct Unit<S: Server> {
    pub(crate) messages: Vec<Message<S>>,
    done: oneshot::Sender<Done>,
}

/// What became of a unit: the answer, if it was a call.
pub(crate) type Done = Result<Option<Answer>, Failure>;

/// The sending end.
pub(crate) struct Mailbox<S: Server>(mpsc::Sender<Unit<S>>);

/// The receiving end.
pub(crate) type Inbox<S> = mpsc::Receiver<Unit<S>>;

pub(crate) fn mailbox<S: Server>() -> (Mailbox<S>, Inbox<S>) {
    let (sender, inbox) = mpsc::channel(MAILBOX_UNITS_MAX);
    (Mailbox(sender), inbox)
}

impl<S: Server> Mailbox<S> {
    /// Hands `messages` over and waits for what becomes of them. [`Failure::Stopped`] means that
    /// nothing did.
    pub(crate) async fn send(&self, messages: Vec<Message<S>>) -> Done {
        let (done, outcome) = oneshot::channel();
        if self.0.send(Unit { messages, done }).await.is_err() {
            return Err(Failure::Stopped);
        }
        outcome.await.unwrap_or_else(|_| {
            // The process's task was ended from outside, perhaps in the middle of a commit.
            Err(Failure::Transaction(dgen_backend::Error::CommitUnknown {
                reason: "the process that took the message was ended".to_owned(),
            }))
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

    pub(crate) fn finish(self, done: Done) {
        // Whoever sent it may be gone.
        let _ = self.done.send(done);
    }
}
