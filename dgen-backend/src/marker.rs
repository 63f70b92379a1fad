//! Commit markers: how a retry finds out whether an earlier attempt was committed.
//!
//! A store across a network can lose the answer to a commit. [`Tenant::transact`] then needs to know
//! whether the attempt happened. So each attempt writes, with everything else, a marker: the number
//! of the operation and of the attempt, in a slot of this process. A retry after a lost answer reads
//! the slot first, in its own transaction: if it finds its own operation there, the attempt
//! happened, and the value it computed is the answer.
//!
//! An attempt may also still be under way when its answer is given up for lost. So every attempt
//! counts as a reader of its slot, the first one too, even if it reads nothing else: of two attempts
//! that are under way together, whichever arrives second conflicts with the first.
//!
//! A slot belongs to one operation at a time and is used again by the next, so a process leaves no
//! more keys than it ever had operations at once. A store that never loses an answer gets none.
//!
//! [`Tenant::transact`]: crate::Tenant::transact

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{Error, KeyRange, Transaction, tuple::Subspace};

/// The slots of one opened database.
#[derive(Debug)]
pub(crate) struct MarkerSlots {
    process: [u8; 16],
    free: Mutex<Vec<u32>>,
    slots_made: AtomicU64,
    operations: AtomicU64,
}

/// The marker of one operation. Dropping it frees its slot, unless its operation's outcome is
/// unknown.
#[derive(Debug)]
pub(crate) struct Marker<'a> {
    slots: &'a MarkerSlots,
    slot: u32,
    key: Vec<u8>,
    operation: u64,
    is_settled: bool,
}

impl MarkerSlots {
    pub(crate) fn new(process: [u8; 16]) -> Self {
        Self {
            process,
            free: Mutex::default(),
            slots_made: AtomicU64::new(0),
            operations: AtomicU64::new(0),
        }
    }

    /// A marker for one operation in the tenant below `subspace`.
    pub(crate) fn marker(&self, subspace: &Subspace) -> Marker<'_> {
        let free = self
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let slot = free.unwrap_or_else(|| {
            // Wraps only after four thousand million operations with unknown outcomes.
            self.slots_made.fetch_add(1, Ordering::Relaxed) as u32
        });
        Marker {
            slots: self,
            slot,
            key: key(subspace, &self.process, slot),
            operation: self.operations.fetch_add(1, Ordering::Relaxed),
            is_settled: true,
        }
    }
}

impl Marker<'_> {
    /// Which attempt of this operation was committed, if one was.
    pub(crate) async fn committed_attempt(&self, tx: &Transaction) -> Result<Option<u32>, Error> {
        let Some(value) = tx.get(&self.key).await? else {
            return Ok(None);
        };
        let (operation, attempt) = value.split_at_checked(8).unwrap_or((&[], &[]));
        let is_mine = operation == self.operation.to_le_bytes();
        Ok(attempt
            .try_into()
            .ok()
            .filter(|_| is_mine)
            .map(u32::from_le_bytes))
    }

    /// Marks `attempt` as committed if `tx` is, and makes `tx` conflict with every other attempt of
    /// the operation that is committed after `tx` was begun.
    pub(crate) fn write(&self, tx: &Transaction, attempt: u32) -> Result<(), Error> {
        // Before the set: behind it, the slot would count as the transaction's own and not as read.
        tx.add_read_conflict(&KeyRange::key(&self.key))?;
        let mut value = self.operation.to_le_bytes().to_vec();
        value.extend_from_slice(&attempt.to_le_bytes());
        tx.set(&self.key, &value)
    }

    /// Whether the outcome of every attempt is known. A slot that is not settled is never used
    /// again: an attempt under way may still write it.
    pub(crate) fn set_settled(&mut self, is_settled: bool) {
        self.is_settled = is_settled;
    }
}

impl Drop for Marker<'_> {
    fn drop(&mut self) {
        if self.is_settled {
            self.slots
                .free
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(self.slot);
        }
    }
}

/// `(0, process, slot)` in the tenant; servers' tuids begin with a string.
fn key(subspace: &Subspace, process: &[u8; 16], slot: u32) -> Vec<u8> {
    subspace.pack(&(0, process.as_slice(), slot))
}
