//! How many changes there were at a server: by one read, a process knows that there was none.
//!
//! Whatever makes a process look at more than its mailbox adds one: a push, a notification (a timer was set),
//! a state or a hold that is written. All of them add, and nobody overwrites, so a process that has
//! read the count together with all the rest, and has since changed the state itself, knows what to
//! find if nobody else did anything, though others change the server while it commits. A read of this key
//! and additions to it conflict with nothing.

use bytes::Bytes;
use dgen_backend::{Error, Read, Transaction};

use crate::keys::Keys;

/// Room for the changes of one version: a new server's count begins so much higher for each version of
/// the store, so above that of any server of its name that was killed before it.
const PER_VERSION: i64 = 1 << 16;

/// A number of changes. Compared for equality alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Changes(i64);

impl Changes {
    /// The count once the transaction is committed that counted one change, or none.
    pub(crate) fn after(self, has_counted: bool) -> Self {
        Self(self.0.wrapping_add(i64::from(has_counted)))
    }
}

/// Counts a change.
pub(crate) fn count(tx: &Transaction, keys: &Keys) -> Result<(), Error> {
    tx.add(keys.changes(), 1)
}

/// The count of a server that did not exist at `read_version`.
pub(crate) fn begin(tx: &Transaction, keys: &Keys, read_version: u64) -> Result<(), Error> {
    let above = read_version.cast_signed().wrapping_mul(PER_VERSION);
    // Far below zero, where what is sent to a killed server begins.
    let first = i64::MIN.wrapping_add(above);
    tx.set(keys.changes(), &first.to_le_bytes())
}

/// Reads the count. None if there is none, or what is there is no count.
pub(crate) fn read(tx: &Transaction, keys: &Keys) -> Read<Option<Changes>> {
    let read = tx.snapshot().get(keys.changes());
    read.map(|value: Option<Bytes>| {
        let bytes = value.as_deref().and_then(|bytes| bytes.try_into().ok());
        Ok(bytes.map(|bytes| Changes(i64::from_le_bytes(bytes))))
    })
}
