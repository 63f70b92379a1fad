//! What can go wrong in a transaction, and the two questions every error answers: may I retry, and
//! may it have happened?

use std::{error::Error as StdError, fmt, sync::Arc, time::Duration};

use crate::limits::{
    KEY_SIZE_MAX_BYTES, TRANSACTION_AGE_MAX, TRANSACTION_SIZE_MAX_BYTES, VALUE_SIZE_MAX_BYTES,
};

/// The cause below an [`Error`], shared so that the error can be cloned.
pub type ErrorSource = Arc<dyn StdError + Send + Sync>;

/// An error of a transaction or of the store below it.
///
/// [`Database::transact`](crate::Database::transact) finds this type by walking
/// [`source`](StdError::source), so an error of yours that wraps it is retried just the same.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key or range that the transaction read was written since. An outcome, not a failure: run
    /// the transaction again.
    #[error("conflict: a key that this transaction read was written since; run it again")]
    Conflict,

    /// The commit may or may not have happened. Running the transaction again may do its work
    /// twice, unless it is run by [`Tenant::transact`](crate::Tenant::transact), which finds out.
    #[error("the outcome of the commit is unknown: {reason}")]
    CommitUnknown {
        /// Why the answer was lost.
        reason: String,
    },

    /// More than five seconds have passed since the transaction's first read.
    #[error(
        "transaction too old: more than {} seconds since its first read; run it again, with less work in each",
        TRANSACTION_AGE_MAX.as_secs()
    )]
    TransactionTooOld,

    /// A key is over its limit. Nothing was written.
    #[error("key of {size_bytes} bytes is over the limit of {KEY_SIZE_MAX_BYTES}: {key}")]
    KeyTooLarge {
        /// The beginning of the key.
        key: KeyPreview,
        /// Its whole length.
        size_bytes: usize,
    },

    /// A key that begins with the byte 0xFF: those belong to the database itself.
    #[error("key outside the legal range: {key} begins with 0xFF, which is the database's own")]
    KeyOutsideLegalRange {
        /// The beginning of the key.
        key: KeyPreview,
    },

    /// A value is over its limit. Nothing was written.
    #[error(
        "value of {size_bytes} bytes is over the limit of {VALUE_SIZE_MAX_BYTES}, for key {key}"
    )]
    ValueTooLarge {
        /// The key it was meant for.
        key: KeyPreview,
        /// The value's length.
        size_bytes: usize,
    },

    /// The transaction writes or reads too much. Nothing was written.
    #[error(
        "transaction of {size_bytes} bytes is over the limit of {TRANSACTION_SIZE_MAX_BYTES}; split it"
    )]
    TransactionTooLarge {
        /// The bytes counted when the limit was passed.
        size_bytes: usize,
    },

    /// The transaction was committed or cancelled already. Begin a new one.
    #[error("transaction used after it was committed or cancelled")]
    UsedAfterCommit,

    /// A versionstamped key or value has no room for its ten bytes at the offset it names, or no
    /// offset at all.
    #[error(
        "{size_bytes} bytes are too short for a versionstamp: ten bytes at the offset given by the last four"
    )]
    VersionstampOutOfBounds {
        /// The length of the key or value, its four bytes of offset included.
        size_bytes: usize,
    },

    /// The transaction pushed more than 65,536 versionstamped items. Split it.
    #[error("more than 65536 versionstamps in one transaction; split it")]
    TooManyVersionstamps,

    /// A read of a key that this transaction sets by versionstamp: its value exists only after the
    /// commit. The commit fails too.
    #[error(
        "key {key} is written by versionstamp in this transaction and has no value before its commit"
    )]
    Unreadable {
        /// The key read.
        key: KeyPreview,
    },

    /// A range whose begin is after its end.
    #[error("inverted range: {begin} is after {end}")]
    InvertedRange {
        /// The range's begin.
        begin: KeyPreview,
        /// The range's end.
        end: KeyPreview,
    },

    /// Too many watches wait on this database. Poll instead.
    #[error("more than {limit} watches on one database; poll instead")]
    TooManyWatches {
        /// How many may wait at once.
        limit: usize,
    },

    /// The retry loop gave up at its deadline or after its last attempt.
    #[error("gave up after {attempts} attempts in {after:?}{}", Last(last))]
    DeadlineExceeded {
        /// How long it tried.
        after: Duration,
        /// How many attempts it began.
        attempts: u32,
        /// What the last finished attempt failed with.
        last: Option<Box<Error>>,
        /// Whether one of the attempts may have been committed.
        maybe_executed: bool,
    },

    /// An attempt may have been committed, its answer lost, and a later one failed for good: nobody
    /// can say whether the transaction happened. Look at what it was to write.
    #[error("an attempt may have been committed, and a later one failed: {last}")]
    OutcomeUnknown {
        /// What the last attempt failed with.
        last: Box<Error>,
    },

    /// What was waited for comes with a commit, and the transaction was not committed, or wrote
    /// nothing.
    #[error("the transaction was not committed, or wrote nothing")]
    NotCommitted,

    /// The store is closed, by its owner or because it failed. Open it anew.
    #[error("the store is closed: {reason}")]
    Closed {
        /// What closed it.
        reason: Arc<str>,
        /// The error that closed it, if one did: [`Error::NoSpace`], [`Error::Damaged`],
        /// [`Error::Storage`].
        #[source]
        cause: Option<Arc<Error>>,
    },

    /// Stored bytes are not what was written. Nothing was overwritten; restore the store from a
    /// backup.
    #[error("damaged store: {place}: {what}")]
    Damaged {
        /// File and offset, or key.
        place: String,
        /// What is wrong there.
        what: String,
    },

    /// The disk is full. What was committed is safe; free space and open the store anew.
    #[error("no space left on the disk that holds {path}")]
    NoSpace {
        /// The file that could not grow.
        path: String,
    },

    /// The storage below failed in a way of its own.
    #[error("storage failed: {source}")]
    Storage {
        /// What it said.
        source: ErrorSource,
    },

    /// An error of the database that has no variant here, with its code.
    #[error("database error {code}: {message}")]
    Native {
        /// The database's own code.
        code: i32,
        /// The database's own text.
        message: String,
        /// Whether the database says that a retry can help.
        retryable: bool,
        /// Whether the database says that the commit may have happened.
        maybe_executed: bool,
    },
}

impl Error {
    /// Whether running the same transaction again can succeed. False for what the caller must mend
    /// first.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Conflict | Self::CommitUnknown { .. } | Self::TransactionTooOld => true,
            Self::Native { retryable, .. } => *retryable,
            _ => false,
        }
    }

    /// Whether the transaction may have been committed all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::CommitUnknown { .. } | Self::OutcomeUnknown { .. } => true,
            Self::Native { maybe_executed, .. } | Self::DeadlineExceeded { maybe_executed, .. } => {
                *maybe_executed
            }
            _ => false,
        }
    }

    /// The error of this type that `error` is or wraps, however deep.
    #[must_use]
    pub fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
        let mut current = Some(error);
        while let Some(error) = current {
            if let Some(found) = error.downcast_ref::<Error>() {
                return Some(found);
            }
            current = error.source();
        }
        None
    }
}

/// Writes the last error of a retry loop, if there was one.
struct Last<'a>(&'a Option<Box<Error>>);

impl fmt::Display for Last<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(error) => write!(f, "; the last failed with: {error}"),
            None => Ok(()),
        }
    }
}

/// The first bytes of a key, printable: ASCII as it is, the rest as `\xNN`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPreview {
    head: Vec<u8>,
    omitted_bytes: usize,
}

impl KeyPreview {
    const SHOWN_BYTES: usize = 96;

    /// The preview of `key`.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        let shown = key.len().min(Self::SHOWN_BYTES);
        Self {
            head: key[..shown].to_vec(),
            omitted_bytes: key.len() - shown,
        }
    }
}

impl fmt::Display for KeyPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.head.escape_ascii())?;
        if self.omitted_bytes > 0 {
            write!(f, " and {} bytes more", self.omitted_bytes)?;
        }
        Ok(())
    }
}

impl fmt::Debug for KeyPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
