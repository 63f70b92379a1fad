//! How long a case is measured, and how its rate is taken: behind a warm-up, the median of slices,
//! so that one disturbance of the machine does not decide.

use std::time::Duration;

use crate::{Outcome, latency::Latency, options::Options};

/// The slices of a case.
pub(crate) const SLICES: u32 = 5;

/// The times of a case. The warm-up is as long as a slice.
pub(crate) struct Pace {
    pub(crate) slice: Duration,
}

/// A timed part of a case.
pub(crate) struct Sample {
    /// How many operations it did.
    pub(crate) ops: u64,
    /// How long they took together; what is done between samples does not count.
    pub(crate) took: Duration,
}

/// What the slices of a case come to.
pub(crate) struct Measured {
    /// The median of the slices.
    pub(crate) ops_per_s: f64,
    /// Of each sample.
    pub(crate) latency: Latency,
}

impl Pace {
    pub(crate) fn new(options: &Options) -> Self {
        let seconds = if options.quick { 0.5 } else { options.seconds };
        Self {
            slice: Duration::from_secs_f64(seconds) / SLICES,
        }
    }

    /// Takes samples one after the other for as long as the case lasts. Each slice has one at least.
    pub(crate) async fn measure(
        &self,
        mut sample: impl AsyncFnMut() -> Outcome<Sample>,
    ) -> Outcome<Measured> {
        let mut warm_up = Duration::ZERO;
        while warm_up < self.slice {
            warm_up += sample().await?.took;
        }
        let mut latency = Latency::new();
        let mut rates = Vec::new();
        for _ in 0..SLICES {
            let mut slice = Sample {
                ops: 0,
                took: Duration::ZERO,
            };
            while slice.took < self.slice {
                let next = sample().await?;
                latency.record(next.took);
                slice.ops += next.ops;
                slice.took += next.took;
            }
            rates.push(slice.rate());
        }
        Ok(Measured {
            ops_per_s: median(rates),
            latency,
        })
    }

    /// The median rate of a counter that others move, over all slices. The warm-up comes first;
    /// `begin` is called behind it.
    pub(crate) async fn watch(
        &self,
        mut sleep: impl AsyncFnMut(Duration) -> Sample,
        begin: impl FnOnce(),
    ) -> f64 {
        sleep(self.slice).await;
        begin();
        let mut rates = Vec::new();
        for _ in 0..SLICES {
            rates.push(sleep(self.slice).await.rate());
        }
        median(rates)
    }
}

impl Sample {
    pub(crate) fn rate(&self) -> f64 {
        self.ops as f64 / self.took.as_secs_f64()
    }
}

/// The one in the middle.
pub(crate) fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
