//! Driving a server hard, and saying how it did.

use std::{
    cell::RefCell,
    error::Error,
    fmt,
    future::Future,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

/// The longest latency that is told apart from longer ones, in microseconds: one minute.
const LATENCY_MAX_MICROS: u64 = 60_000_000;

/// How a load did.
#[derive(Debug)]
pub struct Report {
    latencies: Histogram<u64>,
    took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls = self.latencies.len();
        let per_second = calls as f64 / self.took.as_secs_f64();
        let millis = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1_000.0;
        write!(
            f,
            "{calls} calls, {per_second:.0} a second, p50 {:.2} ms, p99 {:.2} ms",
            millis(0.50),
            millis(0.99)
        )
    }
}

/// Lets `callers` make one call after the other for `duration`, behind a progress bar.
///
/// # Errors
/// The first error of a call, which ends the load.
pub async fn drive<F, Fut, E>(callers: usize, duration: Duration, call: F) -> Result<Report, E>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Error,
{
    let bar = ProgressBar::new(duration.as_millis() as u64).with_style(
        ProgressStyle::with_template("{bar:40} {elapsed} {msg}").expect("the template is right"),
    );
    let latencies = Histogram::new_with_max(LATENCY_MAX_MICROS, 3).expect("the bounds are right");
    let latencies = RefCell::new(latencies);
    let started = now();
    let caller = || async {
        while started.elapsed() < duration {
            let called = now();
            call().await?;
            let micros = called.elapsed().as_micros() as u64;
            let mut latencies = latencies.borrow_mut();
            latencies.saturating_record(micros);
            bar.set_position(started.elapsed().as_millis() as u64);
            bar.set_message(format!("{} calls", latencies.len()));
        }
        Ok::<_, E>(())
    };
    try_join_all((0..callers).map(|_| caller())).await?;
    bar.finish();
    Ok(Report {
        took: started.elapsed(),
        latencies: latencies.into_inner(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a load is measured by the real clock"
)]
fn now() -> Instant {
    Instant::now()
}
