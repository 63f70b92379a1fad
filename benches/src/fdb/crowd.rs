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

/// What a caller did.
struct Work {
    ops: u64,
    latency: Latency,
}

impl<'a> Crowd<'a> {
    pub(super) fn new(stage: &'a Arc<Stage>, bout: &'a Bout) -> Self {
        Self { stage, bout }
    }

    /// Has them work for about `duration`. What they have begun then counts, and the time it takes.
    pub(super) async fn work(self, duration: Duration) -> Outcome<(Sample, Latency)> {
        let Self { stage, bout } = self;
        let env = stage.tenant().env();
        let is_over = Arc::new(AtomicBool::new(false));
        let (done, mut finished) = mpsc::unbounded_channel();
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
        while let Some(work) = finished.recv().await {
            let work = work?;
            ops += work.ops;
            latency.add(&work.latency);
        }
        for server in 0..bout.servers {
            bout.load.drain(stage, server).await?;
        }
        let took = watch.elapsed();
        Ok((Sample { ops, took }, latency))
    }
}

impl Caller {
    async fn work(self) -> Outcome<Work> {
        let mut work = Work {
            ops: 0,
            latency: Latency::new(),
        };
        // Each has servers of its own as long as there are enough.
        let mut turn = self.number;
        while !self.is_over.load(Ordering::Relaxed) {
            let watch = Stopwatch::start();
            let server = turn % self.servers;
            work.ops += self.load.once(&self.stage, self.number, server).await?;
            work.latency.record(watch.elapsed());
            turn += self.callers;
        }
        Ok(work)
    }
}
