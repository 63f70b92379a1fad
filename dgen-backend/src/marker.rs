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
//! more keys than it ever had operations at once. If an operation ends and nobody knows whether it
//! happened, its slot rests until no attempt of it can arrive any more: an attempt commits within
//! the age that a transaction may have, or never. Markers of processes that are gone are cleared
//! by whoever opens the tenant a day later. A store that never loses an answer gets none.
//!
//! [`Tenant::transact`]: crate::Tenant::transact

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use crate::{
    Error, KeyRange, RangeRead, Transaction, env::Env, limits::TRANSACTION_AGE_MAX, tuple::Subspace,
};

/// How long a slot rests whose operation may still be under way: long after the last attempt that
/// could be has grown too old to commit, by anybody's clock.
const REST: Duration = TRANSACTION_AGE_MAX.saturating_mul(12);

/// How long a marker is kept that nobody writes again. No operation takes nearly as long.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// At most so many are looked at when a tenant is opened.
const CLEARED_MAX: usize = 1_000;

/// The bytes of a marker: operation, attempt, and when it was written, in milliseconds since 1970.
const SIZE_BYTES: usize = 8 + 4 + 8;

/// The slots of one opened database.
#[derive(Debug)]
pub(crate) struct MarkerSlots {
    process: [u8; 16],
    env: Env,
    slots: Mutex<Slots>,
    operations: AtomicU64,
}

#[derive(Debug, Default)]
struct Slots {
    free: Vec<u32>,
    /// With the time at which each may be used again, in order.
    resting: VecDeque<(Instant, u32)>,
    made: u32,
}

impl Slots {
    fn take(&mut self, now: Instant) -> u32 {
        let is_rested = |(until, _): &(Instant, u32)| *until <= now;
        while self.resting.front().is_some_and(is_rested) {
            self.free
                .extend(self.resting.pop_front().map(|(_, slot)| slot));
        }
        self.free.pop().unwrap_or_else(|| {
            let slot = self.made;
            // Wraps only when as many operations are under way or rest at once.
            self.made = slot.wrapping_add(1);
            slot
        })
    }
}

/// The marker of one operation. Dropping it frees its slot, later if the operation's outcome is
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
    pub(crate) fn new(env: Env) -> Self {
        Self {
            process: env.random(),
            env,
            slots: Mutex::default(),
            operations: AtomicU64::new(0),
        }
    }

    /// A marker for one operation in the tenant below `subspace`.
    pub(crate) fn marker(&self, subspace: &Subspace) -> Marker<'_> {
        let slot = self.lock().take(self.env.now());
        Marker {
            slots: self,
            slot,
            key: key(subspace, &self.process, slot),
            operation: self.operations.fetch_add(1, Ordering::Relaxed),
            is_settled: true,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clears markers in the tenant below `subspace` that processes which are gone have left behind.
pub(crate) async fn clear_old(
    tx: &Transaction,
    subspace: &Subspace,
    now: SystemTime,
) -> Result<(), Error> {
    let markers = RangeRead::from(KeyRange::subspace(&subspace.subspace(&0)));
    let oldest = millis(now).saturating_sub(KEPT.as_millis() as u64);
    for row in tx
        .snapshot()
        .get_range(markers.limit(CLEARED_MAX))
        .await?
        .rows
    {
        let written = row.value.last_chunk().copied().map(u64::from_le_bytes);
        if row.value.len() != SIZE_BYTES || written.is_some_and(|written| written < oldest) {
            tx.clear(&row.key)?;
        }
    }
    Ok(())
}

fn millis(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |since| since.as_millis() as u64)
}

impl Marker<'_> {
    /// Which attempt of this operation was committed, if one was.
    pub(crate) async fn committed_attempt(&self, tx: &Transaction) -> Result<Option<u32>, Error> {
        let Some(value) = tx.get(&self.key).await? else {
            return Ok(None);
        };
        let is_mine = value.starts_with(&self.operation.to_le_bytes());
        let attempt = value.get(8..12).and_then(|bytes| bytes.try_into().ok());
        Ok(attempt.filter(|_| is_mine).map(u32::from_le_bytes))
    }

    /// Marks `attempt` as committed if `tx` is, and makes `tx` conflict with every other attempt of
    /// the operation that is committed after `tx` was begun.
    pub(crate) fn write(&self, tx: &Transaction, attempt: u32) -> Result<(), Error> {
        // Before the set: behind it, the slot would count as the transaction's own and not as read.
        tx.add_read_conflict_key(&self.key)?;
        let mut value = Vec::with_capacity(SIZE_BYTES);
        value.extend_from_slice(&self.operation.to_le_bytes());
        value.extend_from_slice(&attempt.to_le_bytes());
        value.extend_from_slice(&millis(self.slots.env.wall_clock()).to_le_bytes());
        tx.set(&self.key, &value)
    }

    /// Whether the outcome of every attempt is known. The slot of a marker that is not settled rests:
    /// an attempt under way may still write it.
    pub(crate) fn set_settled(&mut self, is_settled: bool) {
        self.is_settled = is_settled;
    }
}

impl Drop for Marker<'_> {
    fn drop(&mut self) {
        let mut slots = self.slots.lock();
        if self.is_settled {
            slots.free.push(self.slot);
        } else {
            let until = self.slots.env.now() + REST;
            slots.resting.push_back((until, self.slot));
        }
    }
}

/// `(0, process, slot)` in the tenant; servers' tuids begin with a string.
fn key(subspace: &Subspace, process: &[u8; 16], slot: u32) -> Vec<u8> {
    subspace.pack(&(0, process.as_slice(), slot))
}
