//! The floor: the bytes of transactions appended to a file and flushed, with nothing around it. No
//! commit can be faster.

use crate::{
    Outcome,
    append::Appended,
    case::Case,
    pace::{Measured, Pace, Sample},
    report::Report,
    scratch::Scratch,
    stopwatch::Stopwatch,
    workload::Workload,
};
use dgen_backend::tuple::Subspace;

const RECORDS: [usize; 2] = [1, 64];

/// Runs the cases; returns the flushes per second of `floor/1`, which the commits are compared with.
pub(crate) async fn run(scratch: &Scratch, pace: &Pace, report: &mut Report) -> Outcome<f64> {
    let mut reference = f64::NAN;
    for records in RECORDS {
        let name = format!("floor/{records}");
        let is_reference = records == 1;
        if !is_reference && !report.wants(&name) {
            continue;
        }
        let measured = measure(scratch, pace, &name, records).await?;
        if is_reference {
            reference = measured.ops_per_s;
        }
        let case = Case::rate(name, measured.ops_per_s, measured.latency);
        report.add(case.to(reference, "floor/1 records per second"));
    }
    Ok(reference)
}

/// Measures records per second, so many a flush.
async fn measure(scratch: &Scratch, pace: &Pace, name: &str, records: usize) -> Outcome<Measured> {
    let disk = scratch.disk(name)?;
    let mut file = Appended::create(&disk)?;
    let mut workload = Workload::new(&Subspace::from("bench"), 1);
    pace.measure(async || {
        let mut bytes = Vec::new();
        for _ in 0..records {
            workload.next().append_to(&mut bytes);
        }
        let watch = Stopwatch::start();
        file.append(&bytes)?;
        let took = watch.elapsed();
        Ok(Sample {
            ops: records as u64,
            took,
        })
    })
    .await
}
