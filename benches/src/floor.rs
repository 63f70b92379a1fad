//! The floor: the bytes of transactions appended to a file and flushed, with nothing around it. No
//! commit can be faster.

use dgen_backend::tuple::Subspace;
use dgen_local::disk::{Disk, DiskFile};

use crate::{
    Outcome,
    case::Case,
    pace::{Measured, Pace, Sample},
    report::Report,
    scratch::Scratch,
    stopwatch::Stopwatch,
    workload::Workload,
};

/// The file is written in rounds, over space that the file system has placed: a file that grows
/// takes longer to flush, and no log need do it.
const FILE_SIZE_BYTES: u64 = 16 << 20;

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
        report.add(Case {
            ratio: measured.ops_per_s / reference,
            of: "floor/1 records per second",
            target: None,
            note: String::new(),
            ops_per_s: measured.ops_per_s,
            latency: measured.latency,
            name,
        });
    }
    Ok(reference)
}

/// Measures records per second, so many a flush.
async fn measure(scratch: &Scratch, pace: &Pace, name: &str, records: usize) -> Outcome<Measured> {
    let disk = scratch.disk(name)?;
    let file = disk.open("floor", true)?;
    fill(&*file)?;
    let mut workload = Workload::new(&Subspace::from("bench"), 1);
    let mut end = 0;
    pace.measure(async || {
        let mut bytes = Vec::new();
        for _ in 0..records {
            workload.next().append_to(&mut bytes);
        }
        if end + bytes.len() as u64 > FILE_SIZE_BYTES {
            end = 0;
        }
        let watch = Stopwatch::start();
        file.write_at(end, &bytes)?;
        file.sync_data()?;
        let took = watch.elapsed();
        end += bytes.len() as u64;
        Ok(Sample {
            ops: records as u64,
            took,
        })
    })
    .await
}

fn fill(file: &dyn DiskFile) -> Outcome {
    file.write_at(0, &vec![0xff; FILE_SIZE_BYTES as usize])?;
    file.sync_data()?;
    Ok(())
}
