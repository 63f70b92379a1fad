//! How far the attempts of one transaction came: what there is to know when they fail.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use dgen_backend::limits::TRANSACTION_AGE_MAX;
use dgen_queue::Item;

use crate::{batch_size::half, decision::Decision, hold::Mark};

/// Kept outside of the transaction, since that is gone when it fails.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    maybe_executed: AtomicBool,
    /// How many attempts were too old.
    too_old: AtomicUsize,
    /// How many messages the last attempt was to handle at most, if earlier ones were too old.
    batch_max: AtomicUsize,
    /// How many messages the last attempt that came so far had before it.
    found: AtomicUsize,
    handled_units: AtomicUsize,
    /// By the last attempt, units and messages of the queue.
    handled: AtomicUsize,
    /// How long the last attempt's handlers took, in milliseconds.
    took_millis: AtomicU64,
    has_stored_answer: AtomicBool,
    /// The place of the queue's first message, if the last attempt found one, and its hold.
    head: Mutex<Option<([u8; 12], Option<Mark>)>>,
    /// That of an attempt before.
    earlier_first: Mutex<Option<[u8; 12]>>,
    /// Whether a message that an earlier attempt had found first was not there any more.
    is_overtaken: AtomicBool,
}

impl Progress {
    /// An attempt begins; an earlier one may have been committed.
    pub(crate) fn begin(&self, maybe_executed: bool) {
        self.maybe_executed
            .fetch_or(maybe_executed, Ordering::Relaxed);
        self.has_stored_answer.store(false, Ordering::Relaxed);
        if let Some((first, _)) = lock(&self.head).take() {
            *lock(&self.earlier_first) = Some(first);
        }
    }

    /// How many messages an attempt is to handle at most, which would be `batch_max`: half of those that
    /// the one before had before it, if that was not the first to be too old. What takes so long may be
    /// the reads of each.
    pub(crate) fn batch_max(&self, batch_max: usize, is_too_old: bool) -> usize {
        let batch_max = self.reduced_to().unwrap_or(batch_max);
        if !is_too_old || self.too_old.fetch_add(1, Ordering::Relaxed) == 0 {
            return batch_max;
        }
        let batch_max = match self.found.load(Ordering::Relaxed) {
            0 => half(batch_max, batch_max),
            found => half(batch_max, found),
        };
        self.batch_max.store(batch_max, Ordering::Relaxed);
        batch_max
    }

    /// How many messages an attempt was to handle at most, if that became fewer from one to the next.
    pub(crate) fn reduced_to(&self) -> Option<usize> {
        let batch_max = self.batch_max.load(Ordering::Relaxed);
        (batch_max > 0).then_some(batch_max)
    }

    /// So many messages are there to handle.
    pub(crate) fn found(&self, messages: usize) {
        self.found.store(messages, Ordering::Relaxed);
    }

    /// The queue was read.
    pub(crate) fn set_head(&self, first: Option<&Item>, hold: Option<Mark>) {
        let head = first.map(|first| (*first.stamp().as_bytes(), hold));
        *lock(&self.head) = head;
        let earlier_first = *lock(&self.earlier_first);
        if earlier_first.is_some() && earlier_first != head.map(|(first, _)| first) {
            self.is_overtaken.store(true, Ordering::Relaxed);
        }
    }

    /// Whether an attempt failed since somebody else was faster with the queue's first message.
    pub(crate) fn is_overtaken(&self) -> bool {
        self.is_overtaken.load(Ordering::Relaxed) && !self.maybe_executed()
    }

    /// Messages were handled, which took so long.
    pub(crate) fn decided<S>(&self, decision: &Decision<S>, took: Duration) {
        let units = decision.handled_units;
        self.handled_units.fetch_max(units, Ordering::Relaxed);
        self.handled
            .store(units + decision.taken, Ordering::Relaxed);
        self.has_stored_answer
            .store(decision.has_answers(), Ordering::Relaxed);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.took_millis.store(millis, Ordering::Relaxed);
    }

    /// Whether handling took the last attempt longer than a transaction may be old: it will again.
    pub(crate) fn is_too_slow(&self) -> bool {
        Duration::from_millis(self.took_millis.load(Ordering::Relaxed)) >= TRANSACTION_AGE_MAX
    }

    /// How many messages the last attempt handled.
    pub(crate) fn handled(&self) -> usize {
        self.handled.load(Ordering::Relaxed)
    }

    /// Whether an attempt that was followed by another may have been committed.
    pub(crate) fn maybe_executed(&self) -> bool {
        self.maybe_executed.load(Ordering::Relaxed)
    }

    /// How many units an attempt handled at most.
    pub(crate) fn handled_units(&self) -> usize {
        self.handled_units.load(Ordering::Relaxed)
    }

    /// Whether the last attempt was to store an answer.
    pub(crate) fn has_stored_answer(&self) -> bool {
        self.has_stored_answer.load(Ordering::Relaxed)
    }

    /// The place of the first message of the queue, if there was one, and its hold.
    pub(crate) fn head(&self) -> Option<([u8; 12], Option<Mark>)> {
        *lock(&self.head)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
