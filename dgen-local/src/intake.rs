//! Where transactions wait to be committed, and which thread does what for them.
//!
//! Two threads do the same work in turns. One collects a group: it checks those that wait, and puts their writes
//! together. Then the group gets the disk; as soon as it is flushed, the next one gets that, while the first is published
//! and its callers are answered. So what a group costs of the processor is paid while others are flushed.
//!
//! As long as few wait during a flush one thread does all of it in turn, and the other sleeps: to wake it costs more
//! than it saves.
//!
//! Guarantees: one group is collected at a time, one is flushed at a time, and they are published in order. Whoever
//! collects a group finds all before it published, but the one of the other thread.

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
    /// For one that is to publish.
    published: Condvar,
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
    /// How many groups got the disk, and how many were published.
    flushed: u64,
    published: u64,
}

/// What to do next for a group.
pub(crate) enum Next {
    /// Take these in too.
    Requests(Vec<Waiting>),
    /// Flush it: the disk is the group's, until [`Intake::end_flush`]. It is to be published as the one of this number.
    Flush(u64),
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
        if state.is_flushing && !state.waiting.len().is_multiple_of(BATCH) {
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
            let is_worth = !state.is_flushing || state.waiting.len() >= BATCH;
            if !state.waiting.is_empty() && !state.is_collecting && is_worth {
                state.is_called = false;
                state.is_collecting = true;
                return true;
            }
            // Of those that wait on, a thread at work takes care.
            let is_cared_for = state.is_collecting || state.is_flushing;
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
                state.flushed += 1;
                return Next::Flush(state.flushed);
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

    /// Blocks until all groups before `number` are published.
    pub(crate) fn until_turn(&self, number: u64) {
        let mut state = self.lock();
        while state.published + 1 < number {
            state = wait(&self.published, state);
        }
    }

    /// The group whose turn it is has been published.
    pub(crate) fn end_turn(&self) {
        self.lock().published += 1;
        self.published.notify_all();
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
