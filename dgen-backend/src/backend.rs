//! What a backend implements.
//!
//! Callers use [`Database`](crate::Database) and [`Transaction`]; they check limits, count sizes
//! and refuse use after commit before anything reaches a backend. A new backend implements the two
//! traits here and runs the conformance suite of `dgen-testkit`.

use std::{any::Any, fmt, sync::Arc};

use bytes::Bytes;

#[expect(unused_imports, reason = "for the links of the documentation")]
use crate::Transaction;
use crate::{
    CommitVersionstamp, Error, KeyRange, RangePage, RangeRead, Read, Watch,
    directory::{Directories, StandardDirectories},
    env::Env,
};

/// A transactional key-value store.
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// A short name for messages: `local`, `fdb`.
    fn name(&self) -> &'static str;

    /// A new transaction. Its read version is taken at its first read.
    ///
    /// # Errors
    /// [`Error::Closed`] if the store is closed.
    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error>;

    /// The environment that this store and everything on it runs in.
    fn env(&self) -> &Env;

    /// Whether a commit's answer can be lost while the store goes on: true for a store across a
    /// network. Where it is true, [`Tenant::transact`](crate::Tenant::transact) writes a commit
    /// marker, and every commit with a marker has a read conflict: its read version must be taken
    /// before it is sent, so that one that arrives late conflicts with its own retry. Default: true.
    fn can_lose_commit_answer(&self) -> bool {
        true
    }

    /// The directory layer. Default: [`StandardDirectories`], kept in the store itself.
    fn directories(&self) -> Arc<dyn Directories> {
        Arc::new(StandardDirectories)
    }
}

/// A write, as a transaction hands it to its backend. Keys and values are within their limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation<'a> {
    /// The key gets the value.
    Set(&'a [u8], &'a [u8]),
    /// The key is gone.
    Clear(&'a [u8]),
    /// Every key in the range is gone. The range is not inverted.
    ClearRange(&'a KeyRange),
    /// The value becomes its sum with this one, as little-endian 64-bit integers that wrap around;
    /// a missing value counts as 0, a shorter one is zero-extended, a longer one cut to 8 bytes.
    Add(&'a [u8], i64),
    /// The key, without its last four bytes, gets the value; ten bytes of the key, at the offset
    /// that those four name (little-endian), become the commit's versionstamp. The offset is
    /// within bounds. Written behind all other mutations.
    SetVersionstampedKey(&'a [u8], &'a [u8]),
    /// The same with the value's bytes.
    SetVersionstampedValue(&'a [u8], &'a [u8]),
}

/// Whether a read counts when conflicts are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// The transaction fails if what was read is written before it commits.
    Serializable,
    /// What was read may change freely.
    Snapshot,
}

/// Which list a conflict range is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// As if the range had been read.
    Read,
    /// As if the range had been written.
    Write,
}

/// One attempt at a transaction.
///
/// Methods take `&self` and may be called from several tasks; the order of concurrent calls is
/// theirs. [`Transaction`] calls nothing after [`commit`](Self::commit) or
/// [`cancel`](Self::cancel).
pub trait BackendTransaction: Send + Sync + 'static {
    /// The version that reads see. Grows with commits.
    fn read_version(&self) -> Read<u64>;

    /// The value of `key`, this transaction's own writes included.
    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>>;

    /// One page of a range, this transaction's own writes included. Only what the page covers
    /// counts as read: to its last row, or to the range's end when nothing is left.
    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage>;

    /// Adds a write.
    ///
    /// # Errors
    /// What the backend finds wrong with it at once.
    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error>;

    /// Adds a conflict range by hand.
    ///
    /// # Errors
    /// What the backend finds wrong with it at once.
    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error>;

    /// The same as a read conflict on just `key`. By default it is that; a backend may have a shorter way, and one
    /// that wraps another may hand it on.
    ///
    /// # Errors
    /// As [`add_conflict`](Self::add_conflict).
    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.add_conflict(&KeyRange::key(key), ConflictKind::Read)
    }

    /// A watch on `key`, armed by the commit. Takes a read conflict on the key.
    ///
    /// # Errors
    /// [`Error::TooManyWatches`].
    fn watch(&self, key: &[u8]) -> Result<Watch, Error>;

    /// The versionstamp of the commit. Asked for before it, resolves after it. Fails for a
    /// transaction that wrote nothing.
    fn versionstamp(&self) -> Read<CommitVersionstamp>;

    /// Commits: the answer comes when the writes are durable.
    fn commit(&self) -> Read<()>;

    /// Gives up: reads in flight and watches fail.
    fn cancel(&self);

    /// What a directory layer of the backend's own works in; see
    /// [`Transaction::native`]. A backend that wraps another hands on the other's. Default: nothing.
    fn native(&self) -> Option<&(dyn Any + Send + Sync)> {
        None
    }
}
