//! Timers in virtual time.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use super::Sim;

/// What is to happen, by the time at which it is.
#[derive(Default)]
pub(super) struct Timers {
    made: u64,
    waiting: BTreeMap<(Duration, u64), Timer>,
}

pub(super) enum Timer {
    Wake(Waker),
    /// The end of the freeze with this number, of this machine.
    Thaw {
        machine: usize,
        freeze: u64,
    },
}

impl Timers {
    pub(super) fn add(&mut self, at: Duration, timer: Timer) {
        self.made += 1;
        self.waiting.insert((at, self.made), timer);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes one that is due.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<Timer> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes all away.
    pub(super) fn take(&mut self) -> Vec<Timer> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }
}

/// A sleep until a time of the world.
pub(super) struct WorldSleep {
    sim: Sim,
    end: (Duration, u64),
}

impl WorldSleep {
    pub(super) fn new(sim: &Sim, duration: Duration) -> Self {
        let end = sim.elapsed().saturating_add(duration);
        Self::until(sim, end)
    }

    pub(super) fn until(sim: &Sim, end: Duration) -> Self {
        let mut state = sim.lock();
        state.timers.made += 1;
        let number = state.timers.made;
        drop(state);
        Self {
            sim: sim.clone(),
            end: (end, number),
        }
    }
}

impl Future for WorldSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.sim.lock();
        if state.elapsed >= self.end.0 {
            return Poll::Ready(());
        }
        // Nobody waits for ever by a timer: that would hide a deadlock.
        let replaced = (self.end.0 < Duration::MAX)
            .then(|| state.timers.waiting.insert(self.end, Timer::Wake(waker)));
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for WorldSleep {
    fn drop(&mut self) {
        let removed = self.sim.lock().timers.waiting.remove(&self.end);
        // With the lock released: a waker may own anything.
        drop(removed);
    }
}
