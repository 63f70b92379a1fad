//! What can go wrong, one enum per operation.

use std::{error::Error as StdError, fmt};

use dgen_backend::Error as BackendError;

/// Why indices could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The ends are equal or in the wrong order, so nothing lies between them.
    #[error("no index between {low} and {high}: the first must sort before the second")]
    NotBefore {
        /// The text of the end that should be lower.
        low: String,
        /// The text of the end that should be higher.
        high: String,
    },
    /// Bytes that are the text of no index.
    #[error("\"{text}\" is not a fractional index")]
    Malformed {
        /// The bytes, escaped.
        text: String,
    },
}

/// What is wrong with a stored key or value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A key that no encoding writes.
    #[error("the key belongs to no encoding")]
    UnknownKey,
    /// Keys of two encodings where one value should be.
    #[error("two encodings of one value")]
    MixedEncodings,
    /// A map or list whose own key is not there.
    #[error("the marker of the map or list is missing")]
    MissingMarker,
    /// A marker of another format: written by a newer dgen, perhaps.
    #[error("the marker says \"{value}\", which this version does not read")]
    UnknownMarker {
        /// The marker's value, escaped.
        value: String,
    },
    /// The chunks of a value are not numbered 0, 1, 2 and so on.
    #[error("chunk {expected} is missing")]
    MissingChunk {
        /// The first number that is not there.
        expected: u64,
    },
    /// Bytes that end before the value does, go on behind it, or are none.
    #[error("{size_bytes} bytes that are not one MessagePack value")]
    NotOneValue {
        /// How many bytes there are, all chunks together.
        size_bytes: usize,
    },
    /// An item's key holds no fractional index.
    #[error("{0}")]
    BadIndex(#[from] IndexError),
    /// Two items at one index.
    #[error("two items have index {index}")]
    DuplicateIndex {
        /// The index they share.
        index: String,
    },
    /// Two items with one id.
    #[error("two items have this id")]
    DuplicateId,
    /// A list without an item, which is never written.
    #[error("a list without items")]
    EmptyList,
    /// A list item that is not a map.
    #[error("a list item that is not a map")]
    ItemNotAMap,
    /// Maps and lists nested more deeply than they are ever written.
    #[error("nested more than {max} deep")]
    TooDeep {
        /// The deepest that is written.
        max: usize,
    },
    /// A state without its version.
    #[error("the version is missing")]
    MissingVersion,
    /// A version that is not 10 bytes long.
    #[error("a version of {size_bytes} bytes")]
    BadVersion {
        /// How long it is.
        size_bytes: usize,
    },
    /// A version without a state.
    #[error("a version without a state")]
    MissingState,
}

/// Why a state could not be read. Nothing was written or cleared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The transaction failed. Retry if [`is_retryable`](Self::is_retryable).
    #[error("transaction failed: {0}")]
    Backend(#[from] BackendError),
    /// Stored keys or values are not what was written. Restore them, or
    /// [`clear`](crate::clear) the state.
    #[error("state at {base} is damaged at {path}: {damage}")]
    Damaged {
        /// The state's key prefix, escaped.
        base: String,
        /// Where below it, as in `.orders[id="o-17"].total`.
        path: String,
        /// What is wrong there.
        damage: Damage,
    },
    /// What is stored is intact, but the type does not read it: give the type a default, an alias
    /// or an option for what changed.
    #[error("state at {base} does not decode at {path}: {source}")]
    Decode {
        /// The state's key prefix, escaped.
        base: String,
        /// Where below it, as in `.orders[id="o-17"].total`.
        path: String,
        /// What serde says.
        source: Box<dyn StdError + Send + Sync>,
    },
}

impl LoadError {
    /// Whether running the same transaction again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Backend(error) if error.is_retryable())
    }

    /// Whether the transaction may have been committed all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        matches!(self, Self::Backend(error) if error.maybe_executed())
    }
}

/// Why a state could not be written. What was written of it before the failure is in the
/// transaction: don't commit that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The transaction failed. Retry if [`is_retryable`](Self::is_retryable).
    #[error("transaction failed: {0}")]
    Backend(#[from] BackendError),
    /// The value's `Serialize` failed. Nothing was written.
    #[error("state at {base} does not encode: {source}")]
    Encode {
        /// The state's key prefix, escaped.
        base: String,
        /// What serde says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The value's `Serialize` announced more or fewer elements than it then wrote, so what it
    /// wrote could not be read again. Nothing was written.
    #[error(
        "state at {base} does not encode: a Serialize implementation announced another length than it wrote"
    )]
    WrongLength {
        /// The state's key prefix, escaped.
        base: String,
    },
}

impl StoreError {
    /// Whether running the same transaction again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Backend(error) if error.is_retryable())
    }

    /// Whether the transaction may have been committed all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        matches!(self, Self::Backend(error) if error.maybe_executed())
    }
}

/// Why states could not be merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// The value's `Serialize` failed, or it is nested too deep: it could not be stored either.
    #[error("{input} does not encode: {source}")]
    Encode {
        /// Which of the three.
        input: MergeInput,
        /// What serde says.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The value's `Serialize` announced more or fewer elements than it then wrote.
    #[error(
        "{input} does not encode: a Serialize implementation announced another length than it wrote"
    )]
    WrongLength {
        /// Which of the three.
        input: MergeInput,
    },
    /// The type's `Deserialize` does not read what its `Serialize` writes. Make them agree: such a
    /// state could not be loaded either.
    #[error("merged state does not decode: {0}")]
    Decode(#[source] Box<dyn StdError + Send + Sync>),
}

/// One of the three states of a [`merge`](crate::merge).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MergeInput {
    /// The state that both sides began with.
    Base,
    /// The state whose changes win.
    Mine,
    /// The other state.
    Theirs,
}

impl fmt::Display for MergeInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Mine => "mine",
            Self::Theirs => "theirs",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC B5: the retry loop walks `source`, so the transaction's error must be in that chain; a
    /// transparent variant would hide it.
    #[test]
    fn the_retry_loop_finds_the_transactions_error() {
        let load = LoadError::from(BackendError::Conflict);
        let store = StoreError::from(BackendError::Conflict);
        assert!(matches!(
            BackendError::find(&load),
            Some(BackendError::Conflict)
        ));
        assert!(matches!(
            BackendError::find(&store),
            Some(BackendError::Conflict)
        ));
    }
}
