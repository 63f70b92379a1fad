//! What can go wrong for callers, and what they may do about it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use dgen_backend::Error;
use dgen_codec::LoadError;

use crate::Never;

/// Why a call has no answer.
///
/// `E` is the handler's own error; [`Never`] for a handler that returns no `Result`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E = Never> {
    /// The handler's own error. The call is done, and changed nothing (or, an error of locked work, nothing
    /// but what its handler did before it locked).
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

    /// The handler asked for something that can't be: its own code is to be mended. It changed
    /// nothing.
    #[error("the handler asked for what can't be, and changed nothing: {what}")]
    Misused {
        /// What it asked for.
        what: String,
    },

    /// The message is not one that this version of the server knows.
    #[error("this version of the server does not know the message: {reason}")]
    UnknownMessage {
        /// What serde says.
        reason: String,
    },

    /// The message was tried as often as [`StartOptions`](crate::StartOptions) say, and is a
    /// [dead letter](crate::Handle::dead_letters) now. It changed nothing, unless it had locked the
    /// server: what its handler did before that is done. It can be replayed.
    #[error("the message was tried {attempts} times, and is a dead letter now: {error}")]
    DeadLettered {
        /// Why it could not be handled.
        error: String,
        /// How often that was tried.
        attempts: u32,
    },

    /// The server was never started, or was killed: it has no state to handle a priority message on.
    #[error("{server} has no state: it was never started, or was killed")]
    NotStarted {
        /// The server's name and id.
        server: String,
    },

    /// A priority message that would lock the server found it locked, or its id is that of the message
    /// that is being worked on under the lock. Send it again later, or without priority: then it waits
    /// in the queue.
    #[error("the server is locked since {since:?}")]
    Locked {
        /// When a message locked it.
        since: SystemTime,
    },

    /// What the call waited for is gone: the server was killed meanwhile, or its answer is lost with the
    /// process that had it. It may have been handled.
    #[error("nobody answers the call any more: its server was killed, or the answer is lost")]
    Killed,

    /// A message's id that can't be one: empty, or over 1,000 bytes. Nothing was sent.
    #[error("an id of {size_bytes} bytes: it must have 1 to 1,000")]
    BadId {
        /// How many bytes it has.
        size_bytes: usize,
    },

    /// Something stored for the server can't be read by this version. Nothing was overwritten.
    #[error("{what} of {server} can't be read: {reason}")]
    Unreadable {
        /// The server's name and id.
        server: String,
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
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

    /// A message that is too large for a queue. It was not sent.
    #[error("a message of {size_bytes} bytes is over the limit of {max_bytes}")]
    TooLarge {
        /// Its size.
        size_bytes: usize,
        /// The largest there may be.
        max_bytes: usize,
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
            Self::Locked { .. } => true,
            _ => false,
        }
    }

    /// Whether the message may have been handled all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::Transaction(error) => error.maybe_executed(),
            Self::Killed => true,
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

/// So that a caller's own transaction can have this error.
impl From<Error> for CastError {
    fn from(error: Error) -> Self {
        Self::Failed(Failure::Transaction(error))
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

/// Why an info was not handed over. Nobody will handle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// No process of the server runs in this OS process.
    #[error("no process of the server runs here")]
    NotRunning,

    /// More than a thousand messages wait for the process already. Send it again later.
    #[error("the process has too much to do")]
    Full,
}

/// What [`shutdown`](crate::shutdown) had to cut short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not finished after {after:?}, and stopped: {}", servers.join(", "))]
#[non_exhaustive]
pub struct Unfinished {
    /// How long was waited.
    pub after: Duration,
    /// The names and ids of the servers whose processes had work left. It is not lost: what was not
    /// committed is done again by their next consumer.
    pub servers: Vec<String>,
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

impl<E> StartError<E> {
    /// Whether starting again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.is_retryable(),
            Self::Init(_) | Self::NoRuntime(_) => false,
        }
    }

    /// Whether the state may have been stored all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::Failed(failure) => failure.maybe_executed(),
            Self::NoRuntime(_) => true,
            Self::Init(_) => false,
        }
    }
}

/// Why a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// [`Handle::stop`](crate::Handle::stop) asked for it.
    Requested,
    /// A handler stopped it, with this reason.
    Handler(String),
    /// [`shutdown`](crate::shutdown) asked for it, and its work is finished.
    Shutdown,
    /// Its server was [killed](crate::Handle::kill).
    Killed,
    /// It could not go on: the store is closed, or the process's task was ended from outside.
    Failed(String),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requested => f.write_str("stopped on request"),
            Self::Handler(reason) => write!(f, "stopped by a handler: {reason}"),
            Self::Shutdown => f.write_str("shut down"),
            Self::Killed => f.write_str("its server was killed"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
        }
    }
}

/// An error with its causes.
pub(crate) fn text(error: &dyn std::error::Error) -> String {
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
