//! Durable commits by many at once: how well they share a flush.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dgen_backend::{Error, Tenant, tuple::Subspace};
use tokio::sync::mpsc;

use crate::{
    Outcome,
    case::Case,
    latency::Latency,
    pace::{Pace, Sample},
    report::Report,
    scratch::Scratch,
    stopwatch::Stopwatch,
    workload::Workload,
};

const COMMITTERS: [u64; 4] = [1, 8, 64, 256];

/// What the committers of a case share.
struct Shared {
    tenant: Tenant,
    is_measured: AtomicBool,
    is_over: AtomicBool,
    committed: AtomicU64,
    attempts: AtomicU64,
}

/// Runs the cases, each in a store of its own.
pub(crate) async fn run(
    scratch: &Scratch,
    pace: &Pace,
    flushes_per_s: f64,
    report: &mut Report,
) -> Outcome {
    for committers in COMMITTERS {
        let name = format!("commit/{committers}");
        if report.wants(&name) {
            let case = measure(scratch, pace, flushes_per_s, name, committers).await?;
            report.add(case);
        }
    }
    Ok(())
}

async fn measure(
    scratch: &Scratch,
    pace: &Pace,
    flushes_per_s: f64,
    name: String,
    committers: u64,
) -> Outcome<Case> {
    let (db, disk) = scratch.store(&name)?;
    let subspace = Subspace::from("bench");
    let shared = Arc::new(Shared {
        tenant: Tenant::new(db.clone(), subspace.clone()),
        is_measured: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        committed: AtomicU64::new(0),
        attempts: AtomicU64::new(0),
    });
    Workload::new(&subspace, 0).fill(&shared.tenant).await?;

    let flushes_before = disk.counts().syncs;
    let (done, mut finished) = mpsc::unbounded_channel();
    for seed in 1..=committers {
        let (shared, done) = (Arc::clone(&shared), done.clone());
        let workload = Workload::new(&subspace, seed);
        db.env().spawn(async move {
            let result = commit_on(&shared, workload).await;
            // The receiver is gone only if another committer failed first.
            let _ = done.send(result);
        })?;
    }
    drop(done);
    let ops_per_s = pace
        .watch(
            async |slice| shared.watch(slice).await,
            || shared.is_measured.store(true, Ordering::Relaxed),
        )
        .await;
    shared.is_over.store(true, Ordering::Relaxed);
    let mut latency = Latency::new();
    while let Some(result) = finished.recv().await {
        latency.add(&result?);
    }

    let flushes = disk.counts().syncs - flushes_before;
    let committed = shared.committed.load(Ordering::Relaxed);
    let retries = shared.attempts.load(Ordering::Relaxed) - committed;
    Ok(Case::rate(name, ops_per_s, latency)
        .to(flushes_per_s, "floor/1 flushes per second")
        .note(format!(
            "{:.1} commits a flush, {:.1} % retried",
            committed as f64 / flushes as f64,
            retries as f64 / committed as f64 * 100.0
        )))
}

/// Commits one transaction after the other until the case is over.
async fn commit_on(shared: &Shared, mut workload: Workload) -> Result<Latency, Error> {
    let mut latency = Latency::new();
    while !shared.is_over.load(Ordering::Relaxed) {
        let work = workload.next();
        let watch = Stopwatch::start();
        shared
            .tenant
            .transact(|tx| {
                shared.attempts.fetch_add(1, Ordering::Relaxed);
                work.clone().run(tx)
            })
            .await?;
        if shared.is_measured.load(Ordering::Relaxed) {
            latency.record(watch.elapsed());
        }
        shared.committed.fetch_add(1, Ordering::Relaxed);
    }
    Ok(latency)
}

impl Shared {
    /// Waits for about `slice`; returns what was committed meanwhile.
    async fn watch(&self, slice: Duration) -> Sample {
        let before = self.committed.load(Ordering::Relaxed);
        let watch = Stopwatch::start();
        self.tenant.env().sleep(slice).await;
        Sample {
            ops: self.committed.load(Ordering::Relaxed) - before,
            took: watch.elapsed(),
        }
    }
}
