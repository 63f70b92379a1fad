//! When a checkpoint is written, and by whom: one at a time, by a thread of its own while groups go on to be
//! committed, or at once by whoever asks.
//!
//! Leaves out: what a checkpoint is. The store knows.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::overlay::Overlay;

/// Changes that are to be written into the tree.
pub(super) struct Checkpoint {
    pub(super) overlay: Overlay,
    /// Version of the last group in it.
    pub(super) version: u64,
    /// The log segment in which the next group is.
    pub(super) log_sequence: u64,
    /// The segment that nobody needs any more once this is durable.
    pub(super) obsolete: Option<u64>,
}

/// The one checkpoint that waits or is written.
#[derive(Default)]
pub(super) struct Checkpoints {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Default)]
struct Stage {
    /// Whether there is a thread that writes them.
    has_thread: bool,
    waiting: Option<Checkpoint>,
    is_written: bool,
    is_closed: bool,
    /// Who wait in [`Checkpoints::until_idle`].
    #[cfg(test)]
    waiters: usize,
}

impl Checkpoints {
    /// From now on a thread calls [`next`](Self::next).
    pub(super) fn use_thread(&self) {
        self.lock().has_thread = true;
    }

    /// Hands a checkpoint to the thread, or back if there is none. None waits and none is written.
    pub(super) fn submit(&self, checkpoint: Checkpoint) -> Option<Checkpoint> {
        let mut stage = self.lock();
        if !stage.has_thread {
            return Some(checkpoint);
        }
        stage.waiting = Some(checkpoint);
        self.changed.notify_all();
        None
    }

    /// Blocks until no checkpoint waits and none is written.
    pub(super) fn until_idle(&self) {
        #[cfg(test)]
        self.count_waiter(1);
        drop(self.wait_while(|stage| stage.waiting.is_some() || stage.is_written));
        #[cfg(test)]
        self.count_waiter(-1);
    }

    /// Blocks until there is a checkpoint to write; `None` once there will be no more. To be followed by
    /// [`done`](Self::done).
    pub(super) fn next(&self) -> Option<Checkpoint> {
        let mut stage = self.wait_while(|stage| stage.waiting.is_none() && !stage.is_closed);
        let next = stage.waiting.take();
        stage.is_written = next.is_some();
        next
    }

    /// The last one is written, or never will be.
    pub(super) fn done(&self) {
        self.lock().is_written = false;
        self.changed.notify_all();
    }

    /// Lets the thread end, when it has written what it has begun. Returns what it had not begun.
    pub(super) fn close(&self) -> Option<Checkpoint> {
        let waiting = {
            let mut stage = self.lock();
            stage.is_closed = true;
            stage.waiting.take()
        };
        self.changed.notify_all();
        self.until_idle();
        waiting
    }

    #[cfg(test)]
    fn count_waiter(&self, change: isize) {
        let mut stage = self.lock();
        stage.waiters = stage.waiters.wrapping_add_signed(change);
        self.changed.notify_all();
    }

    /// Blocks until somebody waits for the checkpoint that waits.
    #[cfg(test)]
    pub(super) fn until_somebody_waits(&self) {
        drop(self.wait_while(|stage| stage.waiters == 0 || stage.waiting.is_none()));
    }

    /// Whether a checkpoint is being written.
    #[cfg(test)]
    pub(super) fn is_one_written(&self) -> bool {
        self.lock().is_written
    }

    /// Whether there is a checkpoint to be written.
    #[cfg(test)]
    pub(super) fn is_one_due(&self) -> bool {
        self.lock().waiting.is_some()
    }

    fn wait_while(&self, condition: impl FnMut(&mut Stage) -> bool) -> MutexGuard<'_, Stage> {
        let stage = self.changed.wait_while(self.lock(), condition);
        stage.unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
