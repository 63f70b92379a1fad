//! What is done beside commits, and when: a checkpoint, one at a time, and the next segment of the log. Done by a
//! thread of its own, or by whoever needs it if there is none.
//!
//! Leaves out: what a checkpoint is. The store knows.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::overlay::Overlay;
use crate::log::NextSegment;

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

/// What the thread does next.
pub(super) enum Task {
    /// To be followed by [`Checkpoints::done`].
    Checkpoint(Checkpoint),
    /// Make this segment of the log. To be followed by [`Checkpoints::segment_is_made`].
    Segment(u64),
}

/// The one checkpoint that waits or is written, and the one segment that is made ahead.
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
    segment: Ahead,
    is_closed: bool,
    /// Who wait in [`Checkpoints::until_idle`].
    #[cfg(test)]
    waiters: usize,
}

/// The segment that is made ahead.
#[derive(Default)]
enum Ahead {
    #[default]
    Nothing,
    Wanted(u64),
    InWork,
    Made(NextSegment),
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

    /// Asks the thread for segment `sequence`, once.
    pub(super) fn want_segment(&self, sequence: u64) {
        let mut stage = self.lock();
        if stage.has_thread && matches!(stage.segment, Ahead::Nothing) {
            stage.segment = Ahead::Wanted(sequence);
            self.changed.notify_all();
        }
    }

    /// The segment that was made ahead. Blocks while it is being made; `None` if that was not begun.
    pub(super) fn take_segment(&self) -> Option<NextSegment> {
        let mut stage = self.wait_while(|stage| matches!(stage.segment, Ahead::InWork));
        match std::mem::take(&mut stage.segment) {
            Ahead::Made(segment) => Some(segment),
            Ahead::Nothing | Ahead::Wanted(_) | Ahead::InWork => None,
        }
    }

    /// Blocks until there is something to do; `None` once there will be no more.
    pub(super) fn next(&self) -> Option<Task> {
        let mut stage = self.wait_while(|stage| {
            stage.waiting.is_none()
                && !matches!(stage.segment, Ahead::Wanted(_))
                && !stage.is_closed
        });
        if stage.is_closed {
            return None;
        }
        if let Some(checkpoint) = stage.waiting.take() {
            stage.is_written = true;
            return Some(Task::Checkpoint(checkpoint));
        }
        match std::mem::replace(&mut stage.segment, Ahead::InWork) {
            Ahead::Wanted(sequence) => Some(Task::Segment(sequence)),
            Ahead::Nothing | Ahead::InWork | Ahead::Made(_) => unreachable!("it was waited for"),
        }
    }

    /// The segment is made; `None` if it could not be.
    pub(super) fn segment_is_made(&self, segment: Option<NextSegment>) {
        self.lock().segment = segment.map_or(Ahead::Nothing, Ahead::Made);
        self.changed.notify_all();
    }

    /// The last one is written, or never will be.
    pub(super) fn done(&self) {
        self.lock().is_written = false;
        self.changed.notify_all();
    }

    /// Lets the thread end, when it has done what it has begun. Returns the checkpoint that it had not begun.
    pub(super) fn close(&self) -> Option<Checkpoint> {
        let waiting = {
            let mut stage = self.lock();
            stage.is_closed = true;
            stage.waiting.take()
        };
        self.changed.notify_all();
        drop(self.wait_while(|stage| stage.is_written || matches!(stage.segment, Ahead::InWork)));
        waiting
    }

    #[cfg(test)]
    fn count_waiter(&self, change: isize) {
        let mut stage = self.lock();
        stage.waiters = stage.waiters.wrapping_add_signed(change);
        self.changed.notify_all();
    }

    /// Whether somebody waits for the checkpoint that waits.
    #[cfg(test)]
    pub(super) fn is_somebody_waiting(&self) -> bool {
        let stage = self.lock();
        stage.waiters > 0 && stage.waiting.is_some()
    }

    /// Whether a checkpoint is being written.
    #[cfg(test)]
    pub(super) fn is_one_written(&self) -> bool {
        self.lock().is_written
    }

    /// Whether a segment is to be made ahead.
    #[cfg(test)]
    pub(super) fn is_segment_wanted(&self) -> bool {
        matches!(self.lock().segment, Ahead::Wanted(_))
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
