//! What can go wrong when a queue is read.

use dgen_backend::KeyPreview;

/// An error of a read of a queue. Writes fail with [`dgen_backend::Error`] alone, since they look at
/// nothing that is stored.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The transaction or the store below it failed; the source says how, and whether to retry.
    #[error("queue: {0}")]
    Store(#[from] dgen_backend::Error),

    /// A stored row is not what a queue writes. Nothing was popped, and nothing can be that lies
    /// behind it: restore the row from a backup or, to give the item up, clear its keys.
    #[error("damaged queue: key {key}: {damage}")]
    Damaged {
        /// The row that is wrong, or that should be there.
        key: KeyPreview,
        /// What is wrong with it.
        damage: Damage,
    },
}

impl Error {
    /// Whether running the same transaction again can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Damaged { .. } => false,
        }
    }

    /// Whether the transaction may have been committed all the same.
    #[must_use]
    pub fn maybe_executed(&self) -> bool {
        match self {
            Self::Store(error) => error.maybe_executed(),
            Self::Damaged { .. } => false,
        }
    }

    pub(crate) fn damaged(key: &[u8], damage: Damage) -> Self {
        Self::Damaged {
            key: KeyPreview::new(key),
            damage,
        }
    }
}

/// What is wrong with a stored row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The key is none that a queue writes.
    #[error("no item has a row with this key")]
    UnknownRow,

    /// The item goes on with this row, which is not there.
    #[error("chunk {index} of {count} is missing")]
    ChunkMissing {
        /// The chunk's place in the item, from 0.
        index: usize,
        /// How many chunks the item has.
        count: usize,
    },

    /// A chunk that is longer or shorter than the size in the item's keys says.
    #[error("a chunk of {size_bytes} bytes where {expected_bytes} were written")]
    ChunkSize {
        /// The length that is stored.
        size_bytes: usize,
        /// The length that was written.
        expected_bytes: usize,
    },

    /// A counter that is no 64-bit integer.
    #[error("a counter of {size_bytes} bytes, not 8")]
    CounterSize {
        /// The length that is stored.
        size_bytes: usize,
    },

    /// Counters that contradict each other.
    #[error("{popped} items popped of {pushed} pushed")]
    NegativeLength {
        /// The counter of pushes.
        pushed: i64,
        /// The counter of pops.
        popped: i64,
    },
}
