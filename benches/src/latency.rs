//! How long single operations took.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A histogram of durations, in nanoseconds, with three digits.
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) fn new() -> Self {
        Self(Histogram::new(3).expect("three digits are within bounds"))
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0
            .record(nanoseconds)
            .expect("a histogram that resizes takes any number");
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0
            .add(&other.0)
            .expect("a histogram that resizes takes any other");
    }

    /// The duration that `share` of all operations stayed within, in microseconds; NaN if there were
    /// none.
    pub(crate) fn quantile_us(&self, share: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        self.0.value_at_quantile(share) as f64 / 1_000.0
    }
}
