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

#[cfg(test)]
mod tests {
    use dgen_backend::{Tenant, tuple::Subspace};

    use super::*;
    use crate::Tuid;

    async fn stored(tenant: &Tenant, keys: &Keys) -> i64 {
        let tx = tenant.database().begin().unwrap();
        let value = tx.get(keys.changes()).await.unwrap().unwrap();
        i64::from_le_bytes(value[..].try_into().unwrap())
    }

    /// SPEC S8, S10: no count of a server that was killed comes back in a later one of its name, nor in
    /// what is sent to it meanwhile.
    #[tokio::test]
    async fn no_count_comes_back() {
        let tenant = Tenant::new(dgen_local::in_memory().unwrap(), Subspace::from("shop"));
        let keys = &Keys::new(&tenant, "Counter", &Tuid::from("demo"));
        let mut highest = i64::MIN;
        for version in [0, 1, 2, 1_000_000, 1 << 46] {
            let begun = tenant.transact(|tx| async move { begin(&tx, keys, version) });
            begun.await.unwrap();
            let first = stored(&tenant, keys).await;
            assert!(highest <= first && first < 0, "{highest} {first}");
            for _ in 0..3 {
                let changed = tenant.transact(|tx| async move {
                    count(&tx, keys)?;
                    count(&tx, keys)
                });
                changed.await.unwrap();
            }
            assert_eq!(stored(&tenant, keys).await, first + 6);
            highest = first + i64::from(u16::MAX);
        }
    }

    /// SPEC S12: what is no count is none, and fails nothing.
    #[tokio::test]
    async fn a_damaged_count_is_none() {
        let tenant = Tenant::new(dgen_local::in_memory().unwrap(), Subspace::from("shop"));
        let keys = Keys::new(&tenant, "Counter", &Tuid::from("demo"));
        for bytes in [&b""[..], b"1234567", b"123456789"] {
            let tx = tenant.database().begin().unwrap();
            tx.set(keys.changes(), bytes).unwrap();
            tx.commit().await.unwrap();
            let tx = tenant.database().begin().unwrap();
            assert_eq!(read(&tx, &keys).await.unwrap(), None);
        }
    }
}
