//! The inner seam: an ordered store that takes whole groups and gives isolated snapshots.
//!
//! The layer above decides what is in a group and when readers may see it. [`Base`] makes a group
//! durable ([`append`](Base::append)) and then visible ([`apply`](Base::apply)); the two are apart
//! so that nothing is seen that could still be lost.
//!
//! Leaves out: transactions, conflicts, watches.

mod below;
mod checkpoints;
pub(crate) mod damage;
mod group;
mod layers;
mod options;
mod overlay;
mod poison;
mod ranges;
mod redb_store;
mod row;
pub(crate) mod store_error;
mod tree;

use bytes::Bytes;

pub(crate) use self::group::{Group, Write};
pub(crate) use self::options::StoreOptions;
pub(crate) use self::redb_store::RedbStore;
pub use self::store_error::StoreError;

/// An ordered store of bytes, changed by groups.
///
/// One caller at a time appends and applies, in order: `append(1)`, `apply(1)`, `append(2)`.
/// Snapshots may be taken at any time from any thread.
///
/// Any error closes the store (see [`StoreError`]).
pub(crate) trait Base: Send + Sync {
    type Snapshot: BaseSnapshot;

    /// The state after the last group applied.
    ///
    /// # Errors
    ///
    /// `Closed`, or what a read may return.
    fn snapshot(&self) -> Result<Self::Snapshot, StoreError>;

    /// Makes the group durable; it is when this returns. Costs one flush, and those of a new segment where
    /// the log's is full. Waits for a checkpoint that is being written where the next one is due, and writes
    /// that one itself where no thread does.
    ///
    /// # Errors
    ///
    /// After any error the group is durable or not, as a whole: it shows at the next open.
    fn append(&self, group: &Group) -> Result<(), StoreError>;

    /// Makes the group that was appended last visible to later snapshots.
    ///
    /// # Errors
    ///
    /// The group stays durable whatever happens here.
    fn apply(&self, group: &Group) -> Result<(), StoreError>;

    /// Version of the last group applied; 0 for an empty store.
    fn version(&self) -> u64;

    /// Checkpoints and closes. A store that is dropped without this loses nothing, and replays
    /// its log at the next open.
    fn close(&self) -> Result<(), StoreError>;
}

/// The state of a [`Base`] at one version. Groups applied later do not change it.
///
/// Holds on to the space of everything that was replaced since: keep it short.
pub(crate) trait BaseSnapshot: Send + Sync + 'static {
    /// Version of the last group in this state.
    fn version(&self) -> u64;

    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Some rows of a range, in its order.
    fn range(&self, request: &RangeRequest<'_>) -> Result<RangeRows, StoreError>;
}

/// What rows to read, and how many at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RangeRequest<'a> {
    /// First key, included.
    pub(crate) begin: &'a [u8],
    /// Last key, excluded. A range with `end <= begin` is empty.
    pub(crate) end: &'a [u8],
    /// From `end` down to `begin`.
    pub(crate) is_reverse: bool,
    pub(crate) limit_rows: usize,
    /// Stop after the row that reaches this many bytes of keys and values. At least one row is
    /// returned if there is one and `limit_rows` allows it.
    pub(crate) limit_bytes: usize,
}

/// The rows found, and whether the range has more.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RangeRows {
    pub(crate) rows: Vec<(Bytes, Bytes)>,
    pub(crate) has_more: bool,
}

#[cfg(test)]
mod tests;
