//! A clock that stands still until a test moves it.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant, SystemTime},
};

use dgen_backend::env::{BoxFuture, Env, Environment};
use tokio::sync::Notify;

use crate::Random;

/// An environment with virtual time and seeded randomness. Tasks run on the caller's tokio runtime
/// and threads are real.
///
/// Time moves when a test calls [`advance`](Self::advance). Sleeps up to
/// [`auto_advance_max`](Self::auto_advance_max) take no waiting: they move the clock themselves.
///
/// A clone is the same clock.
///
/// # Examples
/// ```
/// use std::time::Duration;
/// use dgen_testkit::clock::MockClock;
///
/// let clock = MockClock::new(1);
/// let env = clock.env();
/// let started = env.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(env.now() - started, Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct MockClock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    started: Instant,
    state: Mutex<State>,
    slept: Notify,
}

#[derive(Debug)]
struct State {
    elapsed: Duration,
    auto_advance_max: Duration,
    random: Random,
    sleepers_made: u64,
    /// Who sleeps, by the time at which to wake.
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

impl MockClock {
    /// A clock that stands still, and randomness from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            inner: Arc::new(Inner {
                started: Env::system().now(),
                state: Mutex::new(State {
                    elapsed: Duration::ZERO,
                    auto_advance_max: Duration::ZERO,
                    random: Random::new(seed),
                    sleepers_made: 0,
                    sleepers: BTreeMap::new(),
                }),
                slept: Notify::new(),
            }),
        }
    }

    /// Lets every sleep of at most `max` end at once and move the clock by its length, so that a
    /// backoff needs no hand. Longer ones, such as deadlines, still wait for
    /// [`advance`](Self::advance). Default: zero.
    #[must_use]
    pub fn auto_advance_max(self, max: Duration) -> Self {
        self.set_auto_advance_max(max);
        self
    }

    /// Changes [`auto_advance_max`](Self::auto_advance_max) for the sleeps that begin from now on.
    pub fn set_auto_advance_max(&self, max: Duration) {
        self.lock().auto_advance_max = max;
    }

    /// The environment to hand to a backend.
    #[must_use]
    pub fn env(&self) -> Env {
        Env::new(self.clone())
    }

    /// How far the clock has been moved.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.lock().elapsed
    }

    /// Moves the clock and wakes whoever slept until then.
    pub fn advance(&self, duration: Duration) {
        let target = self.lock().elapsed + duration;
        self.inner.advance_to(target);
    }

    /// How many sleeps wait for the clock.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    /// Resolves once at least `count` sleeps wait for the clock: then moving it is seen by all of
    /// them.
    ///
    /// # Cancel safety
    /// Safe: it only looks.
    pub async fn until_sleepers(&self, count: usize) {
        loop {
            let mut slept = pin!(self.inner.slept.notified());
            slept.as_mut().enable();
            if self.sleepers() >= count {
                return;
            }
            slept.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.lock()
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never moves back. Wakes with the lock released: a waker may poll at once.
    fn advance_to(&self, target: Duration) {
        let due = {
            let mut state = self.lock();
            state.elapsed = state.elapsed.max(target);
            let first_later = (state.elapsed, u64::MAX);
            let later = state.sleepers.split_off(&first_later);
            std::mem::replace(&mut state.sleepers, later)
        };
        due.into_values().for_each(Waker::wake);
    }
}

impl Environment for MockClock {
    fn now(&self) -> Instant {
        self.inner.started + self.elapsed()
    }

    /// The beginning of 2020, and what the clock was moved by.
    fn wall_clock(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800) + self.elapsed()
    }

    fn random(&self, buffer: &mut [u8]) {
        self.lock().random.fill(buffer);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        let mut state = self.lock();
        state.sleepers_made += 1;
        Box::pin(Sleep {
            clock: Arc::clone(&self.inner),
            ends: (state.elapsed.saturating_add(duration), state.sleepers_made),
            is_auto: duration <= state.auto_advance_max,
        })
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        drop(runtime.spawn(task));
        Ok(())
    }

    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map(drop)
    }
}

struct Sleep {
    clock: Arc<Inner>,
    ends: (Duration, u64),
    is_auto: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_auto {
            self.clock.advance_to(self.ends.0);
        }
        let mut state = self.clock.lock();
        if state.elapsed >= self.ends.0 {
            state.sleepers.remove(&self.ends);
            return Poll::Ready(());
        }
        state.sleepers.insert(self.ends, cx.waker().clone());
        drop(state);
        self.clock.slept.notify_waiters();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleep_ends_when_the_clock_reaches_it() {
        let clock = MockClock::new(1);
        let sleep = clock.sleep(Duration::from_secs(10));
        let mover = async {
            clock.until_sleepers(1).await;
            clock.advance(Duration::from_secs(9));
            assert_eq!(clock.sleepers(), 1);
            clock.advance(Duration::from_secs(1));
        };
        tokio::join!(sleep, mover);
        assert_eq!(clock.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test]
    async fn short_sleep_moves_the_clock_itself() {
        let clock = MockClock::new(1).auto_advance_max(Duration::from_secs(1));
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(clock.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn timeout_is_over_only_when_the_clock_says_so() {
        let clock = MockClock::new(1);
        let env = clock.env();
        let (result, ()) = tokio::join!(
            env.timeout(Duration::from_secs(5), std::future::pending::<()>()),
            async {
                clock.until_sleepers(1).await;
                clock.advance(Duration::from_secs(5));
            }
        );
        assert!(result.is_err());
        assert_eq!(clock.sleepers(), 0, "the timer is freed");
    }

    #[test]
    fn randomness_follows_from_the_seed() {
        let bytes = |seed| MockClock::new(seed).env().random::<16>();
        assert_eq!(bytes(3), bytes(3));
        assert_ne!(bytes(3), bytes(4));
    }
}
