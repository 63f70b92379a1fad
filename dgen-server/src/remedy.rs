//! Why an attempt failed, and what may help.

use std::sync::Arc;

use crate::{Failure, address::Address, hold::Unreadable};

/// Why an attempt failed. The retry loop finds the transaction's error in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    #[error("transaction failed")]
    Transaction(#[from] dgen_backend::Error),
    #[error("state can't be read")]
    Load(#[from] dgen_codec::LoadError),
    #[error("state can't be written")]
    Store(#[from] dgen_codec::StoreError),
    #[error("what locked work changed can't be merged with what others did meanwhile")]
    Merge(#[from] dgen_codec::MergeError),
    #[error("queue can't be read")]
    Queue(#[from] dgen_queue::Error),
    #[error(transparent)]
    Hold(#[from] Unreadable),
    /// It was run again so often that somebody should look at why.
    #[error("the transaction conflicts, or its handlers take longer than it may be old")]
    GivenUp,
    /// Code of the user's panicked outside of a handler: clone, serialize, deserialize.
    #[error("{0}")]
    Panicked(Failure),
}

/// What may help against an [`AttemptError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The attempt may have been committed: nothing of it may be done again.
    Unknown,
    /// Others were faster: the same again.
    Again,
    /// It was too much for one transaction.
    Fewer,
    /// One of its messages is to blame: each alone.
    Single,
    /// Nothing.
    None,
}

impl AttemptError {
    pub(crate) fn remedy(&self) -> Remedy {
        use dgen_backend::Error;
        let cause = match Error::find(self) {
            Some(error) if error.maybe_executed() => return Remedy::Unknown,
            Some(Error::DeadlineExceeded { last, .. }) => last.as_deref(),
            cause => cause,
        };
        match (cause, self) {
            (Some(Error::Conflict), _) | (None, Self::GivenUp) => Remedy::Again,
            (
                Some(
                    Error::TransactionTooOld
                    | Error::TransactionTooLarge { .. }
                    | Error::TooManyVersionstamps,
                ),
                _,
            ) => Remedy::Fewer,
            // A handler asked for it.
            (Some(Error::KeyTooLarge { .. } | Error::ValueTooLarge { .. }), _) => Remedy::Single,
            (None, Self::Store(_) | Self::Merge(_) | Self::Panicked(_)) => Remedy::Single,
            _ => Remedy::None,
        }
    }

    /// What callers are told.
    pub(crate) fn into_failure(self, address: &Address) -> Failure {
        // Whatever it is wrapped in, the transaction's own error says most.
        if let Some(error) = dgen_backend::Error::find(&self) {
            return Failure::Transaction(error.clone());
        }
        match self {
            Self::Transaction(error) => Failure::Transaction(error),
            Self::Load(source) => Failure::State {
                server: address.to_string(),
                source: Arc::new(source),
            },
            Self::Store(error) => Failure::Encode {
                what: "the state",
                reason: error.to_string(),
            },
            Self::Merge(error) => Failure::Encode {
                what: "the state",
                reason: error.to_string(),
            },
            Self::Queue(source) => Failure::Queue {
                server: address.to_string(),
                source: Arc::new(source),
            },
            Self::Hold(Unreadable { reason }) => Failure::Unreadable {
                server: address.to_string(),
                what: "what holds its queue up",
                reason,
            },
            Self::GivenUp => Failure::Transaction(dgen_backend::Error::TransactionTooOld),
            Self::Panicked(failure) => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use dgen_backend::Error;

    use super::*;

    /// SPEC S2: an attempt that may have been committed is never run again, whatever else is said
    /// of it: its messages would take effect twice.
    #[test]
    fn an_attempt_that_may_have_happened_is_not_repeated() {
        let last = || Box::new(Error::Conflict);
        let given_up = |maybe_executed| Error::DeadlineExceeded {
            after: std::time::Duration::from_secs(30),
            attempts: 2,
            last: Some(last()),
            maybe_executed,
        };
        let remedy = |error| AttemptError::Transaction(error).remedy();
        assert_eq!(remedy(given_up(true)), Remedy::Unknown);
        assert_eq!(
            remedy(Error::OutcomeUnknown { last: last() }),
            Remedy::Unknown
        );
        assert_eq!(remedy(given_up(false)), Remedy::Again);
        assert_eq!(remedy(Error::TransactionTooOld), Remedy::Fewer);
        assert_eq!(remedy(Error::NotCommitted), Remedy::None);
    }
}
