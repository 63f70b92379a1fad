//! FoundationDB's error codes, as errors of the contract. What has no place there keeps its code,
//! and the client library's own word on retries and on what may have happened.

use dgen_backend::{Error, KeyPreview};
use foundationdb::FdbError;

// https://apple.github.io/foundationdb/api-error-codes.html
const TRANSACTION_TOO_OLD: i32 = 1007;
const NOT_COMMITTED: i32 = 1020;
const COMMIT_UNKNOWN_RESULT: i32 = 1021;
const TRANSACTION_CANCELLED: i32 = 1025;
const TOO_MANY_WATCHES: i32 = 1032;
const ACCESSED_UNREADABLE: i32 = 1036;
const USED_DURING_COMMIT: i32 = 2017;
const NO_COMMIT_VERSION: i32 = 2021;
const TRANSACTION_TOO_LARGE: i32 = 2101;

/// An error of a transaction.
pub(crate) fn of(error: FdbError) -> Error {
    match error.code() {
        NOT_COMMITTED => Error::Conflict,
        COMMIT_UNKNOWN_RESULT => Error::CommitUnknown {
            reason: error.message().to_owned(),
        },
        TRANSACTION_TOO_OLD => Error::TransactionTooOld,
        TRANSACTION_CANCELLED | USED_DURING_COMMIT => Error::UsedAfterCommit,
        code => Error::Native {
            code,
            message: error.message().to_owned(),
            retryable: error.is_retryable(),
            maybe_executed: error.is_maybe_committed(),
        },
    }
}

/// An error of a read that begins at `key`.
pub(crate) fn of_read(error: FdbError, key: &KeyPreview) -> Error {
    match error.code() {
        ACCESSED_UNREADABLE => Error::Unreadable { key: key.clone() },
        _ => of(error),
    }
}

/// An error of the commit of a transaction in which `size_bytes` were counted.
pub(crate) fn of_commit(error: FdbError, size_bytes: usize) -> Error {
    match error.code() {
        TRANSACTION_TOO_LARGE => Error::TransactionTooLarge { size_bytes },
        _ => of(error),
    }
}

/// An error of a watch on a database with at most `watches_max`.
pub(crate) fn of_watch(error: FdbError, watches_max: u32) -> Error {
    match error.code() {
        TOO_MANY_WATCHES => Error::TooManyWatches {
            limit: watches_max as usize,
        },
        // Its transaction is gone.
        TRANSACTION_CANCELLED => Error::NotCommitted,
        _ => of(error),
    }
}

/// An error of a versionstamp.
pub(crate) fn of_versionstamp(error: FdbError) -> Error {
    match error.code() {
        NO_COMMIT_VERSION | TRANSACTION_CANCELLED => Error::NotCommitted,
        _ => of(error),
    }
}

/// A transaction that can't be begun.
pub(crate) fn of_begin(error: FdbError) -> Error {
    Error::Closed {
        reason: format!("{} ({})", error.message(), error.code()).into(),
        cause: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(code: i32) -> Error {
        of(FdbError::from_code(code))
    }

    /// SPEC F1, B5: a conflict is retried and did not happen; a lost answer is retried and may have.
    #[test]
    fn outcomes_of_commits_are_told_apart() {
        let conflict = native(NOT_COMMITTED);
        assert!(conflict.is_retryable() && !conflict.maybe_executed());
        let unknown = native(COMMIT_UNKNOWN_RESULT);
        assert!(unknown.is_retryable() && unknown.maybe_executed());
        // cluster_version_changed
        let changed = native(1039);
        assert!(changed.is_retryable() && changed.maybe_executed());
    }

    /// SPEC F1: an error without a variant keeps its code, its text, and what may be done about it.
    #[test]
    fn other_errors_keep_their_code() {
        // process_behind, which is retried, and key_outside_legal_range, which is not.
        for (code, is_retryable) in [(1037, true), (2004, false)] {
            let error = native(code);
            assert_eq!(error.is_retryable(), is_retryable, "{error}");
            assert!(!error.maybe_executed(), "{error}");
            assert!(error.to_string().contains(&code.to_string()), "{error}");
        }
    }
}
