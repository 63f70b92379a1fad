//! How long a step took.

use std::time::{Duration, Instant};

/// Runs from the moment it is made.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a step's time is printed for whoever waits; no simulation runs xtask"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
