//! What can go wrong for callers, and what they may do about it.

use std::{fmt, sync::Arc, time::Duration};

use dgen_backend::Error;
use dgen_codec::LoadError;

use crate::Never;

/// Why a call has no answer.
///
/// `E` is the handler's own error; [`Never`] for a handler that returns no `Result`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E = Never> {
    /// The handler's own error. The call is done, and changed nothing.
    #[error("{0}")]
    Handler(E),

    /// No answer came in time. The call may be handled yet, or have been.
    #[error("no answer within {after:?}; the call may be handled yet")]
    Timeout {
        /// How long was waited.
        after: Duration,
    },

    /// The call was not handled; see [`Failure`].
    #[error(transparent)]
    Failed(#[from] Failure),

    /// The answer is not what the caller's type says. The call was handled.
    #[error("the call was handled, but its answer does not decode: {what}")]
    Decode {
        /// What serde says.
        what: String,
    },
}

/// Why a cast was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CastError {
    /// The store did not answer in time. The cast may be in the queue.
    #[error("the cast was not accepted within {after:?}; it may be in the queue")]
    Timeout {
        /// How long was waited.
        after: Duration,
    },

    /// The cast was not accepted; see [`Failure`].
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Why a server did not handle a message. Shared by every caller whom it concerns.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The handler panicked. It changed nothing.
    #[error("the handler panicked, and changed nothing: {message}")]
    Panicked {
        /// The panic's text.
        message: String,
    },

    /// The first message in the queue can't be handled, so those behind it wait. Nothing is lost;
    /// mend what it names.
    #[error("the server is stuck at the first message of its queue, {key}: {reason}")]
    Stuck {
        /// The message's key in the store.
        key: String,
        /// Why it can't be handled.
        reason: String,
    },

    /// More casts in one batch than one transaction takes. None was sent; send them in several.
    #[error("{count} casts in one batch are over the limit of {max}")]
    TooManyCasts {
        /// How many there were.
        count: usize,
        /// How many there may be.
        max: usize,
    },

    /// A message, a reply or a state that serde can't encode. Nothing was changed.
    #[error("{what} can't be encoded: {reason}")]
    Encode {
        /// Which of them.
        what: &'static str,
        /// What serde says.
        reason: String,
    },

    /// The stored state can't be read. Nothing was overwritten.
    #[error("state of {server} can't be read: {source}")]
    State {
        /// The server's name and id.
        server: String,
        /// What is wrong with it, and at which key.
        source: Arc<LoadError>,
    },

    /// The queue can't be read. Nothing was removed from it.
    #[error("queue of {server} can't be read: {source}")]
    Queue {
        /// The server's name and id.
        server: String,
        /// What is wrong with it, and at which key.
        source: Arc<dgen_queue::Error>,
    },

    /// An error of the transaction or of the store.
    #[error("transaction failed: {0}")]
    Transaction(#[from] Error),
}

impl Failure {
    /// Whether sending the message again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transaction(Error::DeadlineExceeded { last, .. }) => {
                last.as_ref().is_none_or(|last| last.is_retryable())
            }
            Self::Transaction(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// Whether the message may have been handled all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::Transaction(error) => error.maybe_executed(),
            _ => false,
        }
    }
}

impl<E> CallError<E> {
    /// Whether calling again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Failed(failure) => failure.is_retryable(),
            Self::Handler(_) | Self::Decode { .. } => false,
        }
    }

    /// Whether the call may have been handled all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Decode { .. } => true,
            Self::Failed(failure) => failure.maybe_executed(),
            Self::Handler(_) => false,
        }
    }
}

impl CastError {
    /// Whether casting again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Failed(failure) => failure.is_retryable(),
        }
    }

    /// Whether the cast may have been accepted all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Failed(failure) => failure.maybe_executed(),
        }
    }
}

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError<E = Never> {
    /// `init` failed. Nothing was stored.
    #[error("init failed: {0}")]
    Init(#[source] E),

    /// The state could not be read or stored.
    #[error(transparent)]
    Failed(#[from] Failure),

    /// There is no tokio runtime to run the process on. Start it inside of one.
    #[error("no runtime to run the process on: {0}")]
    NoRuntime(#[source] std::io::Error),
}

/// Why a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// [`Handle::stop`](crate::Handle::stop) asked for it.
    Requested,
    /// A handler stopped it, with this reason.
    Handler(String),
    /// It could not go on: the store is closed, or the process's task was ended from outside.
    Failed(String),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("stopped on request"),
            Self::Handler(reason) => write!(f, "stopped by a handler: {reason}"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}
