//! Callers at work, all at once: each does one thing after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dgen_backend::env::Env;
use tokio::sync::mpsc;

use crate::{
    Outcome,
    cpu::processor_time,
    latency::Latency,
    pace::{Pace, Sample, median},
    stopwatch::Stopwatch,
};

/// One of the callers.
pub(crate) trait Caller: Send + 'static {
    /// Does it once; returns how many operations that were.
    fn once(&mut self) -> impl Future<Output = Outcome<u64>> + Send;
}

/// What the callers did together.
pub(crate) struct Work {
    /// The median of the slices.
    pub(crate) ops_per_s: f64,
    /// Microseconds of this OS process's processor time for each operation; NaN where they can't be
    /// told. The median of the slices.
    pub(crate) cpu_us: f64,
    pub(crate) latency: Latency,
    /// Operations of the whole case, the warm-up included.
    pub(crate) ops: u64,
}

/// What callers share.
#[derive(Default)]
struct Shared {
    is_measured: AtomicBool,
    is_over: AtomicBool,
    done: AtomicU64,
}

/// Has the callers work for as long as a case lasts.
pub(crate) async fn measure(
    env: &Env,
    pace: &Pace,
    callers: impl IntoIterator<Item = impl Caller>,
) -> Outcome<Work> {
    let shared = Arc::new(Shared::default());
    let (ended, mut ends) = mpsc::unbounded_channel();
    for caller in callers {
        let (shared, ended) = (Arc::clone(&shared), ended.clone());
        env.spawn(async move {
            // The receiver is gone only if another caller failed first.
            let _ = ended.send(shared.work(caller).await);
        })?;
    }
    drop(ended);
    let mut cpu_us = Vec::new();
    let ops_per_s = pace
        .watch(
            async |slice| {
                let (sample, cpu) = shared.watch(env, slice).await;
                cpu_us
                    .push(cpu.map_or(f64::NAN, |cpu| cpu.as_secs_f64() * 1e6 / sample.ops as f64));
                sample
            },
            || shared.is_measured.store(true, Ordering::Relaxed),
        )
        .await;
    shared.is_over.store(true, Ordering::Relaxed);
    let mut latency = Latency::new();
    while let Some(end) = ends.recv().await {
        latency.add(&end?);
    }
    // The first is the warm-up's.
    cpu_us.remove(0);
    Ok(Work {
        ops_per_s,
        cpu_us: median(cpu_us),
        latency,
        ops: shared.done.load(Ordering::Relaxed),
    })
}

impl Shared {
    async fn work(&self, mut caller: impl Caller) -> Outcome<Latency> {
        let mut latency = Latency::new();
        while !self.is_over.load(Ordering::Relaxed) {
            let watch = Stopwatch::start();
            let ops = caller.once().await?;
            if self.is_measured.load(Ordering::Relaxed) {
                latency.record(watch.elapsed());
            }
            self.done.fetch_add(ops, Ordering::Relaxed);
        }
        Ok(latency)
    }

    /// Waits for about `slice`; returns what was done meanwhile, and the processor time it took.
    async fn watch(&self, env: &Env, slice: Duration) -> (Sample, Option<Duration>) {
        let before = self.done.load(Ordering::Relaxed);
        let cpu_before = processor_time();
        let watch = Stopwatch::start();
        env.sleep(slice).await;
        let sample = Sample {
            ops: self.done.load(Ordering::Relaxed) - before,
            took: watch.elapsed(),
        };
        let cpu = processor_time().zip(cpu_before);
        (sample, cpu.map(|(after, before)| after - before))
    }
}
