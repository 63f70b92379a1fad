//! The callers of a case, at work for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    Outcome,
    cpu::processor_time,
    fdb::{bout::Bout, load::Load, stage::Stage},
    latency::Latency,
    pace::Sample,
    stopwatch::Stopwatch,
};

/// The callers of a case.
#[derive(Clone, Copy)]
pub(super) struct Crowd<'a> {
    stage: &'a Arc<Stage>,
    bout: &'a Bout,
}

/// One of them.
struct Caller {
    stage: Arc<Stage>,
    load: Load,
    number: usize,
    callers: usize,
    servers: usize,
    is_over: Arc<AtomicBool>,
}

/// What they did together.
pub(super) struct Work {
    sample: Sample,
    /// Of each operation, or batch of them.
    pub(super) latency: Latency,
    /// Where it can be told.
    cpu: Option<Duration>,
}

/// What one of them did.
struct Turns {
    ops: u64,
    latency: Latency,
}

impl<'a> Crowd<'a> {
    pub(super) fn new(stage: &'a Arc<Stage>, bout: &'a Bout) -> Self {
        Self { stage, bout }
    }

    /// Has them work for about `duration`. What they have begun then counts, and the time it takes.
    pub(super) async fn work(self, duration: Duration) -> Outcome<Work> {
        let Self { stage, bout } = self;
        let env = stage.tenant().env();
        let is_over = Arc::new(AtomicBool::new(false));
        let (done, mut finished) = mpsc::unbounded_channel();
        let cpu_before = processor_time();
        let watch = Stopwatch::start();
        for number in 0..bout.callers {
            let caller = Caller {
                stage: Arc::clone(stage),
                load: bout.load,
                number,
                callers: bout.callers,
                servers: bout.servers,
                is_over: Arc::clone(&is_over),
            };
            let done = done.clone();
            env.spawn(async move {
                // The receiver is gone only if another caller failed first.
                let _ = done.send(caller.work().await);
            })?;
        }
        drop(done);
        env.sleep(duration).await;
        is_over.store(true, Ordering::Relaxed);
        let mut ops = 0;
        let mut latency = Latency::new();
        while let Some(turns) = finished.recv().await {
            let turns = turns?;
            ops += turns.ops;
            latency.add(&turns.latency);
        }
        for server in 0..bout.servers {
            bout.load.drain(stage, server).await?;
        }
        let took = watch.elapsed();
        let cpu = processor_time().zip(cpu_before);
        Ok(Work {
            sample: Sample { ops, took },
            latency,
            cpu: cpu.map(|(after, before)| after.saturating_sub(before)),
        })
    }
}

impl Work {
    /// Operations per second.
    pub(super) fn rate(&self) -> f64 {
        self.sample.rate()
    }

    /// Microseconds of processor time of an operation, where they can be told.
    pub(super) fn cpu_us(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e6 / self.sample.ops as f64)
    }
}

impl Caller {
    async fn work(self) -> Outcome<Turns> {
        let mut turns = Turns {
            ops: 0,
            latency: Latency::new(),
        };
        // Each has servers of its own as long as there are enough.
        let mut turn = self.number;
        while !self.is_over.load(Ordering::Relaxed) {
            let watch = Stopwatch::start();
            let server = turn % self.servers;
            turns.ops += self.load.once(&self.stage, self.number, server).await?;
            turns.latency.record(watch.elapsed());
            turn += self.callers;
        }
        Ok(turns)
    }
}
