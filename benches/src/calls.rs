//! Calls and casts to servers on the embedded store, from next door: how many share a flush, and what
//! processor time each takes.

use dgen_backend::{Tenant, tuple::Subspace};
use dgen_local::disk::CountingDisk;
use futures_util::future::try_join_all;

use crate::{
    Outcome, actor,
    case::Case,
    counter::CounterHandle,
    crowd::{self, Caller, Work},
    pace::{Measured, Pace, Sample},
    report::Report,
    scratch::Scratch,
    stopwatch::Stopwatch,
    target::Target,
};

const ONE: &str = "call/1x1";
const CROWD: &str = "call/64x1";
const MANY: &str = "call/256x256";
const CASTS: &str = "cast/100x1";
const CPU: &str = "cpu/64x1";
const READ: &str = "read/1x1";

const CASTS_A_BATCH: u64 = 100;
/// Batches of casts before one waits until all are handled.
const BATCHES: u64 = 20;

const FLUSHES: &str = "floor/1 flushes per second";

/// A store and servers in it, started.
pub(crate) struct Stage {
    pub(crate) tenant: Tenant,
    disk: CountingDisk,
    servers: Vec<CounterHandle>,
}

struct Incrementer(CounterHandle);

struct Reader(CounterHandle);

/// Runs the cases, each in a store of its own.
pub(crate) async fn run(
    scratch: &Scratch,
    pace: &Pace,
    flushes_per_s: f64,
    report: &mut Report,
) -> Outcome {
    let cases = [
        (ONE, 1, 1, 0.9),
        (CROWD, 64, 1, 45.0),
        (MANY, 256, 256, 20.0),
    ];
    let mut crowd_cpu_us = f64::NAN;
    for (name, callers, servers, target) in cases {
        // The processor time is that of the crowd's calls.
        let is_measured_for_cpu = name == CROWD && report.wants(CPU);
        if !report.wants(name) && !is_measured_for_cpu {
            continue;
        }
        let stage = Stage::open(scratch, name, servers).await?;
        let (work, note) = increments(&stage, pace, callers).await?;
        if name == CROWD {
            crowd_cpu_us = work.cpu_us;
        }
        let case = Case::rate(name, work.ops_per_s, work.latency)
            .to(flushes_per_s, FLUSHES)
            .target(Target::AtLeast(target))
            .note(note);
        report.add(case);
    }
    if report.wants(CASTS) {
        report.add(casts(scratch, pace, flushes_per_s).await?);
    }
    if report.wants_any(&[CPU, READ]) {
        let stage = Stage::open(scratch, READ, 1).await?;
        let reference = actor::run(stage.tenant.env(), pace, report).await?;
        if report.wants(CPU) {
            let case = Case::figure(CPU, crowd_cpu_us, "us")
                .to(reference.cpu_us, "actor/64x1, processor time of a call")
                .target(Target::AtMost(20.0));
            report.add(case);
        }
        if report.wants(READ) {
            report.add(reads(&stage, pace, reference.calls_per_s).await?);
        }
    }
    Ok(())
}

impl Stage {
    /// Starts so many servers in a new store.
    pub(crate) async fn open(scratch: &Scratch, case: &str, servers: usize) -> Outcome<Self> {
        let (db, disk) = scratch.store(case)?;
        let tenant = Tenant::new(db, Subspace::from("bench"));
        let starts = (0..servers).map(|number| start(&tenant, number));
        Ok(Self {
            servers: try_join_all(starts).await?,
            disk,
            tenant,
        })
    }

    pub(crate) fn server(&self, number: usize) -> &CounterHandle {
        &self.servers[number % self.servers.len()]
    }
}

/// Starts the server of that number.
pub(crate) async fn start(tenant: &Tenant, number: usize) -> Outcome<CounterHandle> {
    Ok(CounterHandle::start(tenant, format!("counter-{number}"), ()).await?)
}

/// So many callers increment, each the server of its number.
pub(crate) async fn increments(
    stage: &Stage,
    pace: &Pace,
    callers: usize,
) -> Outcome<(Work, String)> {
    let before = total(stage).await?;
    let flushes_before = stage.disk.counts().syncs;
    let callers = (0..callers).map(|number| Incrementer(stage.server(number).clone()));
    let work = crowd::measure(stage.tenant.env(), pace, callers).await?;
    let flushes = stage.disk.counts().syncs - flushes_before;
    expect_counted(stage, before + work.ops).await?;
    let note = format!(
        "{:.1} calls a flush, {:.1} us of the processors a call",
        work.ops as f64 / flushes as f64,
        work.cpu_us
    );
    Ok((work, note))
}

async fn casts(scratch: &Scratch, pace: &Pace, flushes_per_s: f64) -> Outcome<Case> {
    let stage = Stage::open(scratch, CASTS, 1).await?;
    let counter = stage.server(0);
    let mut casts = 0;
    let flushes_before = stage.disk.counts().syncs;
    let Measured { ops_per_s, latency } = pace
        .measure(async || {
            let ops = CASTS_A_BATCH * BATCHES;
            casts += ops;
            let watch = Stopwatch::start();
            for _ in 0..BATCHES {
                let batch = (0..CASTS_A_BATCH).fold(counter.batch(), |batch, _| batch.add(1));
                batch.await?;
            }
            // It is answered behind all of them.
            let value = counter.value().await?;
            let took = watch.elapsed();
            match value == casts {
                true => Ok(Sample { ops, took }),
                false => Err(format!("{value} of {casts} casts were handled").into()),
            }
        })
        .await?;
    let flushes = stage.disk.counts().syncs - flushes_before;
    Ok(Case::rate(CASTS, ops_per_s, latency)
        .to(flushes_per_s, FLUSHES)
        .target(Target::AtLeast(60.0))
        .note(format!(
            "{:.1} casts a flush; timed are {BATCHES} batches together",
            casts as f64 / flushes as f64
        )))
}

async fn reads(stage: &Stage, pace: &Pace, actor_calls_per_s: f64) -> Outcome<Case> {
    let counter = stage.server(0);
    counter.increment(1).await?;
    let flushes_before = stage.disk.counts().syncs;
    let reader = Reader(counter.clone());
    let work = crowd::measure(stage.tenant.env(), pace, [reader]).await?;
    let flushes = stage.disk.counts().syncs - flushes_before;
    Ok(Case::rate(READ, work.ops_per_s, work.latency)
        .to(actor_calls_per_s, "actor/1x1 calls per second")
        .target(Target::AtLeast(0.2))
        .note(format!(
            "{flushes} flushes, {:.2} us of the processors a call",
            work.cpu_us
        )))
}

impl Caller for Incrementer {
    async fn once(&mut self) -> Outcome<u64> {
        self.0.increment(1).await?;
        Ok(1)
    }
}

impl Caller for Reader {
    async fn once(&mut self) -> Outcome<u64> {
        self.0.value().await?;
        Ok(1)
    }
}

async fn total(stage: &Stage) -> Outcome<u64> {
    let values = stage
        .servers
        .iter()
        .map(|server| async { server.value().await });
    Ok(try_join_all(values).await?.into_iter().sum())
}

/// A call that was not counted, or twice, is no call.
async fn expect_counted(stage: &Stage, calls: u64) -> Outcome {
    let counted = total(stage).await?;
    match counted == calls {
        true => Ok(()),
        false => Err(format!("{counted} calls were counted, {calls} were made").into()),
    }
}
