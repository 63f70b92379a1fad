//! A million items through a queue of a thousand: whether what was popped slows down what comes
//! later.

use dgen_backend::{Tenant, tuple::Subspace};
use dgen_queue::{Error, Queue};
use dgen_testkit::Random;

use crate::{
    Outcome, case::Case, latency::Latency, options::Options, pace::Sample, report::Report,
    scratch::Scratch, stopwatch::Stopwatch,
};

const NAME: &str = "queue/million";
const DEPTH: usize = 1_000;
/// Pushed and popped in one transaction.
const BATCH: usize = 64;
const ITEM_SIZE_BYTES: usize = 100;
const PARTS: usize = 5;

/// Runs the case.
pub(crate) async fn run(scratch: &Scratch, options: &Options, report: &mut Report) -> Outcome {
    if !report.wants(NAME) {
        return Ok(());
    }
    let items = if options.quick { 50_000 } else { 1_000_000 };
    let (db, disk) = scratch.store(NAME)?;
    let tenant = Tenant::new(db, Subspace::from("bench"));
    let queue = Queue::new(&tenant.subspace().subspace(&"queue"));
    let mut random = Random::new(1);

    move_items(&tenant, &queue, batch(&mut random, DEPTH), 0).await?;
    // A warm-up: once through the depth of the queue.
    for _ in 0..DEPTH / BATCH {
        move_items(&tenant, &queue, batch(&mut random, BATCH), BATCH).await?;
    }

    let flushes_before = disk.counts().syncs;
    let mut latency = Latency::new();
    let mut parts = Vec::new();
    for _ in 0..PARTS {
        let watch = Stopwatch::start();
        let mut ops = 0;
        while ops < (items / PARTS) as u64 {
            let pushed = batch(&mut random, BATCH);
            let watch = Stopwatch::start();
            ops += move_items(&tenant, &queue, pushed, BATCH).await?;
            latency.record(watch.elapsed());
        }
        let took = watch.elapsed();
        parts.push(Sample { ops, took });
    }

    let flushes = disk.counts().syncs - flushes_before;
    let rates: Vec<f64> = parts.iter().map(Sample::rate).collect();
    let moved: u64 = parts.iter().map(|part| part.ops).sum();
    let seconds: f64 = parts.iter().map(|part| part.took.as_secs_f64()).sum();
    let note = format!(
        "{moved} items, {:.1} a flush, fifths at {:.0?} per second",
        moved as f64 / flushes as f64,
        rates
    );
    report.add(Case {
        ratio: Some(rates[PARTS - 1] / rates[0]),
        of: "rate of the first fifth, the last's",
        ..Case::rate(NAME, moved as f64 / seconds, latency).note(note)
    });
    Ok(())
}

/// Pushes `pushed` and pops `popped` items, in one transaction; returns how many were popped.
async fn move_items(
    tenant: &Tenant,
    queue: &Queue,
    pushed: Vec<Vec<u8>>,
    popped: usize,
) -> Result<u64, Error> {
    tenant
        .transact(|tx| {
            let (queue, pushed) = (queue.clone(), pushed.clone());
            async move {
                // Read before the push: what is pushed has no place before the commit.
                let consumed = queue.consume_k(&tx, popped).await?;
                queue.push_k(&tx, &pushed)?;
                Ok::<_, Error>(consumed.items.len() as u64)
            }
        })
        .await
}

fn batch(random: &mut Random, count: usize) -> Vec<Vec<u8>> {
    let mut item = || {
        let mut bytes = vec![0; ITEM_SIZE_BYTES];
        random.fill(&mut bytes);
        bytes
    };
    (0..count).map(|_| item()).collect()
}
