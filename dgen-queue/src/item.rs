//! One item of a queue.

use bytes::Bytes;
use dgen_backend::tuple::Versionstamp;

/// An item as it was read from a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub(crate) stamp: Versionstamp,
    pub(crate) bytes: Bytes,
    pub(crate) first_key: Bytes,
    pub(crate) last_key: Bytes,
}

impl Item {
    /// What was pushed.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What was pushed.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The item's key in the store: where to find it.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        &self.first_key
    }

    /// The commit that pushed it and its place in that commit: no other item of the database has the
    /// same, and those of one queue leave it in this order.
    #[must_use]
    pub fn stamp(&self) -> &Versionstamp {
        &self.stamp
    }
}
