//! Looking again and again, where nothing can be watched: a database allows only so many watches.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use dgen_backend::Error;

use crate::address::Address;

/// How long to wait between two looks, at first and at most: what a call to a server that can't be
/// watched, from a caller that can't watch, costs in delay.
const PAUSE_INITIAL: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Ever longer pauses.
#[derive(Debug, Clone)]
pub(crate) struct Polling {
    pause: Duration,
    max: Duration,
}

impl Polling {
    /// For who looks every `poll_interval` even where it can watch.
    pub(crate) fn new(poll_interval: Duration) -> Self {
        let max = PAUSE_MAX.min(poll_interval);
        Self {
            pause: PAUSE_INITIAL.min(max),
            max,
        }
    }

    /// How long to wait before the next look.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }

    /// There was nothing to see.
    pub(crate) fn slow_down(&mut self) {
        self.pause = (2 * self.pause).min(self.max);
    }

    /// There was, or there is a watch.
    pub(crate) fn reset(&mut self) {
        self.pause = PAUSE_INITIAL.min(self.max);
    }
}

/// Whether the operator of a database was told.
#[derive(Debug, Default)]
struct Told(AtomicBool);

/// A watch could not be had, or failed: tells the operator if there are too many.
pub(crate) fn note_lost_watch(address: &Address, error: &Error) {
    let Error::TooManyWatches { limit } = error else {
        tracing::debug!(server = %address, %error, "no watch; polling instead");
        return;
    };
    address.metrics().watches_refused.increment(1);
    let told = address.tenant.database().extension::<Told>();
    if !told.0.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            server = %address,
            limit,
            "too many watches on this database: whoever gets none polls, which costs delay and reads; said once"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC B4: who polls slows down, up to a second, and is never slower than who watches.
    #[test]
    fn polling_slows_down() {
        let mut polling = Polling::new(Duration::from_secs(5));
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(polling.pause().as_millis());
            polling.slow_down();
        }
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1_000, 1_000]);
        polling.reset();
        assert_eq!(polling.pause(), PAUSE_INITIAL);
        let mut fast = Polling::new(Duration::from_millis(7));
        fast.slow_down();
        assert_eq!(fast.pause(), Duration::from_millis(7));
    }
}
