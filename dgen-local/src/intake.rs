//! Where transactions wait to be committed, and which thread does what for them.
//!
//! Two threads do the same work in turns. One collects a group: it checks those that wait, and puts their writes
//! together. Then the group gets the disk; as soon as it is flushed, the next one gets that, while the first is published
//! and its callers are answered. So what a group costs of the processor is paid while others are flushed.
//!
//! As long as few wait while a thread flushes, publishes and answers, that one takes them afterwards, and the other
//! sleeps: to wake it costs more than it saves, and whoever is answered last shares a flush with the first.
//!
//! Guarantees: one group is collected at a time, and one is flushed at a time, in the same order. Whoever collects a
//! group finds all before it published, but the one of the other thread. They may be published in another order, which
//! is why an older state never takes the place of a newer one.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::commit::Waiting;

/// So many that wait are worth being collected during a flush.
const BATCH: usize = 16;

/// The waiting, and the threads.
#[derive(Default)]
pub(crate) struct Intake {
    state: Mutex<State>,
    /// For threads that do nothing.
    called: Condvar,
    /// For the one that collects.
    collector: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    is_closed: bool,
    threads: usize,
    idle: usize,
    /// An idle thread was called, to collect.
    is_called: bool,
    is_collecting: bool,
    /// Whoever collects waits for the disk.
    is_collector_waiting: bool,
    is_flushing: bool,
    /// Threads that flush, publish or answer.
    at_work: usize,
}

/// What to do next for a group.
pub(crate) enum Next {
    /// Take these in too.
    Requests(Vec<Waiting>),
    /// Flush it: the disk is the group's, until [`Intake::end_flush`]; and the thread is at work, until
    /// [`Intake::end_work`].
    Flush,
    /// Nothing: there is no group.
    Nothing,
}

impl Intake {
    /// Counts a thread that is about to [`begin`](Self::begin) for the first time.
    pub(crate) fn enter(&self) {
        self.lock().threads += 1;
    }

    /// Counts a thread that ends. True for the last one.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.lock();
        state.threads -= 1;
        state.threads == 0
    }

    /// Lets a transaction wait. False if it is too late for that.
    pub(crate) fn submit(&self, waiting: Waiting) -> bool {
        let mut state = self.lock();
        if state.is_closed {
            return false;
        }
        state.waiting.push_back(waiting);
        if state.at_work > 0 && !state.waiting.len().is_multiple_of(BATCH) {
            return true;
        }
        if state.is_collecting {
            let is_to_wake = std::mem::take(&mut state.is_collector_waiting);
            drop(state);
            if is_to_wake {
                self.collector.notify_one();
            }
        } else if state.idle > 0 && !state.is_called {
            state.is_called = true;
            drop(state);
            self.called.notify_one();
        }
        true
    }

    /// Takes no more transactions. Those that wait are committed.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.called.notify_all();
    }

    /// Blocks until there is a group to collect, for this thread. False once there will be no more.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.lock();
        loop {
            let is_worth = state.at_work == 0 || state.waiting.len() >= BATCH;
            if !state.waiting.is_empty() && !state.is_collecting && is_worth {
                state.is_called = false;
                state.is_collecting = true;
                return true;
            }
            // Of those that wait on, a thread at work takes care.
            let is_cared_for = state.is_collecting || state.at_work > 0;
            if state.is_closed && (state.waiting.is_empty() || is_cared_for) {
                return false;
            }
            state.idle += 1;
            state = wait(&self.called, state);
            state.idle -= 1;
            state.is_called = false;
        }
    }

    /// What to do for the group that this thread collects, which has something in it or not, and room for so many.
    /// With [`Next::Flush`] and [`Next::Nothing`] it is collected no more.
    pub(crate) fn next(&self, has_some: bool, room: usize) -> Next {
        let mut state = self.lock();
        loop {
            let is_worth = !state.is_flushing || state.waiting.len() >= BATCH;
            let count = state.waiting.len().min(room);
            if count > 0 && is_worth {
                return Next::Requests(state.waiting.drain(..count).collect());
            }
            if !has_some {
                state.is_collecting = false;
                return Next::Nothing;
            }
            if !state.is_flushing {
                state.is_collecting = false;
                state.is_flushing = true;
                state.at_work += 1;
                return Next::Flush;
            }
            state.is_collector_waiting = true;
            state = wait(&self.collector, state);
            state.is_collector_waiting = false;
        }
    }

    /// The thread that collected does not any more: it panicked.
    pub(crate) fn give_up_collecting(&self) {
        self.lock().is_collecting = false;
    }

    /// The disk is free for the next group.
    pub(crate) fn end_flush(&self) {
        let mut state = self.lock();
        state.is_flushing = false;
        if std::mem::take(&mut state.is_collector_waiting) {
            drop(state);
            self.collector.notify_one();
        }
    }

    /// The group is answered. To be followed by [`begin`](Self::begin).
    pub(crate) fn end_work(&self) {
        self.lock().at_work -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait<'a>(condition: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    condition
        .wait(state)
        .unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::commit::Request;

    fn submit(intake: &Intake, count: usize) {
        for _ in 0..count {
            let request = Request::default();
            let (done, _) = oneshot::channel();
            assert!(intake.submit(Waiting { request, done }));
        }
    }

    fn taken(next: Next) -> usize {
        match next {
            Next::Requests(requests) => requests.len(),
            Next::Flush | Next::Nothing => 0,
        }
    }

    /// SPEC L3: one who waits is flushed at once; those that come meanwhile are left until there are enough, and then
    /// collected; the disk goes to them when it is free.
    #[test]
    fn a_group_is_collected_during_a_flush_if_it_is_worth_it() {
        let intake = Intake::default();
        submit(&intake, 1);
        assert!(intake.begin());
        assert_eq!(taken(intake.next(false, 512)), 1);
        assert!(matches!(intake.next(true, 511), Next::Flush));

        submit(&intake, BATCH - 1);
        intake.close();
        // The one that flushes takes care of them.
        assert!(!intake.begin());
        let intake = Intake::default();
        submit(&intake, 1);
        assert!(intake.begin());
        assert_eq!(taken(intake.next(false, 512)), 1);
        assert!(matches!(intake.next(true, 511), Next::Flush));
        submit(&intake, BATCH);
        assert!(intake.begin());
        assert_eq!(taken(intake.next(false, 512)), BATCH);
        submit(&intake, 3);
        intake.end_flush();
        intake.end_work();
        assert_eq!(
            taken(intake.next(true, 2)),
            2,
            "no more than there is room for"
        );
        assert!(matches!(intake.next(true, 0), Next::Flush));
        intake.end_flush();
        intake.end_work();
        assert!(intake.begin());
        assert_eq!(taken(intake.next(false, 512)), 1);
        assert!(
            matches!(intake.next(false, 512), Next::Nothing),
            "it was refused"
        );
    }

    /// SPEC L1: once it is closed nobody comes in, and those that wait are still taken.
    #[test]
    fn closing_leaves_nobody_behind() {
        let intake = Intake::default();
        intake.enter();
        intake.enter();
        submit(&intake, 2);
        intake.close();
        let (done, _) = oneshot::channel();
        let request = Request::default();
        assert!(!intake.submit(Waiting { request, done }));
        assert!(intake.begin());
        assert_eq!(taken(intake.next(false, 512)), 2);
        assert!(matches!(intake.next(true, 510), Next::Flush));
        intake.end_flush();
        intake.end_work();
        assert!(!intake.begin());
        assert!(!intake.leave());
        assert!(intake.leave(), "the last one closes the store");
    }
}
