//! FoundationDB's limits, which hold on every backend (SPEC B7): what works embedded works on a
//! cluster.

use std::time::Duration;

/// The longest key: 10,000 bytes.
pub const KEY_SIZE_MAX_BYTES: usize = 10_000;

/// The longest value: 100,000 bytes.
pub const VALUE_SIZE_MAX_BYTES: usize = 100_000;

/// The largest transaction: 10,000,000 bytes of keys and values written, and of the keys that
/// bound its conflict ranges.
pub const TRANSACTION_SIZE_MAX_BYTES: usize = 10_000_000;

/// How long after its first read a transaction may still read and commit: 5 seconds.
pub const TRANSACTION_AGE_MAX: Duration = Duration::from_secs(5);

/// The length of the part of a versionstamp that a commit fills in: 10 bytes.
pub const VERSIONSTAMP_SIZE_BYTES: usize = 10;
