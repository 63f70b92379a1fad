//! Time, randomness, sleep and spawn: the only way that any crate of dgen reaches them, so that a
//! whole system runs in a seeded simulation.

use std::{
    future::Future,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::{Duration, Instant, SystemTime},
};

/// A boxed task or timer.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What a system takes from outside of itself.
///
/// Implement it to run dgen under a clock and a generator of your own; [`Env::system`] is the real
/// one.
pub trait Environment: Send + Sync + 'static {
    /// A clock that never goes back, for durations.
    fn now(&self) -> Instant;
    /// The calendar's time. May jump.
    fn wall_clock(&self) -> SystemTime;
    /// Fills `buffer` with random bytes.
    fn random(&self, buffer: &mut [u8]);
    /// Resolves after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<()>;
    /// Resolves when a transaction that failed is to be run again, after `duration`. Default: a
    /// [`sleep`](Self::sleep); other under a clock that stands still.
    fn back_off(&self, duration: Duration) -> BoxFuture<()> {
        self.sleep(duration)
    }
    /// Runs `task` beside the caller.
    ///
    /// # Errors
    /// Where there is nothing to run it on.
    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()>;
    /// Runs `work` on a thread of its own, for work that blocks.
    ///
    /// # Errors
    /// Where the thread can't be made.
    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()>;
}

/// A shared [`Environment`].
#[derive(Clone)]
pub struct Env(Arc<dyn Environment>);

/// The time given to [`Env::timeout`] is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

impl Env {
    /// An environment of your own.
    #[must_use]
    pub fn new(environment: impl Environment) -> Self {
        Self(Arc::new(environment))
    }

    /// The real one: the system's clocks, the operating system's randomness, and the tokio runtime
    /// that the caller runs in, whose time driver must be enabled.
    #[must_use]
    pub fn system() -> Self {
        Self::new(System)
    }

    /// A clock that never goes back, for durations.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.now()
    }

    /// The calendar's time. May jump.
    #[must_use]
    pub fn wall_clock(&self) -> SystemTime {
        self.0.wall_clock()
    }

    /// `N` random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut buffer = [0; N];
        self.0.random(&mut buffer);
        buffer
    }

    /// A random duration of at most `max`.
    #[must_use]
    pub fn jitter(&self, max: Duration) -> Duration {
        let share = u32::from_le_bytes(self.random());
        // Far above any sensible wait, and far below what the product could overflow.
        let max = max.min(Duration::from_secs(86_400 * 365));
        max.mul_f64(f64::from(share) / f64::from(u32::MAX))
    }

    /// Resolves after `duration`.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.0.sleep(duration)
    }

    /// Resolves when a transaction that failed is to be run again, after `duration`.
    pub fn back_off(&self, duration: Duration) -> BoxFuture<()> {
        self.0.back_off(duration)
    }

    /// Runs `task` beside the caller.
    ///
    /// # Errors
    /// Where there is nothing to run it on: no tokio runtime.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        self.0.spawn(Box::pin(task))
    }

    /// Runs `work` on a thread of its own, for work that blocks.
    ///
    /// # Errors
    /// Where the thread can't be made.
    pub fn spawn_thread(&self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.0.spawn_thread(name, Box::new(work))
    }

    /// What `future` returns, or [`Elapsed`] if that takes longer than `duration`.
    ///
    /// # Errors
    /// [`Elapsed`].
    ///
    /// # Cancel safety
    /// That of `future`, which is dropped when the time is over.
    pub async fn timeout<F: Future>(
        &self,
        duration: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        // Most futures are done at the first poll: make no timer for those.
        let mut timer = None;
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            timer
                .get_or_insert_with(|| self.sleep(duration))
                .as_mut()
                .poll(cx)
                .map(|()| Err(Elapsed))
        })
        .await
    }
}

impl Default for Env {
    fn default() -> Self {
        Self::system()
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}

struct System;

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads what every other crate asks it for"
)]
impl Environment for System {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_clock(&self) -> SystemTime {
        SystemTime::now()
    }

    fn random(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the operating system has randomness");
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        drop(runtime.spawn(task));
        Ok(())
    }

    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map(drop)
    }
}
