//! Benchmarks of dgen's storage half: how close a commit comes to the disk's own flush, whether a
//! queue keeps its pace, and whether what a change writes depends on the size of the state.
//!
//! Prints one JSON line for each case as it ends, and a table of all at the end. Disks differ by a
//! factor of a hundred, so ratios are to be taken from one run, and best with `--flush-ms 1`.
//!
//! With `--fdb`, it measures servers on a FoundationDB cluster instead, next to the cluster's own
//! transactions; that needs the feature `fdb`, and the client library.
//!
//! Leaves out: reads by themselves, and servers on the embedded store.

mod case;
mod codec;
mod commit;
#[cfg(feature = "fdb")]
mod fdb;
mod floor;
mod latency;
mod options;
mod pace;
mod queue;
mod report;
mod scratch;
mod stopwatch;
mod unflushed;
mod workload;

use std::error::Error;

use clap::Parser;

use crate::{options::Options, pace::Pace, report::Report, scratch::Scratch};

/// Whatever goes wrong ends the run.
type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    let options = Options::parse();
    if options.fdb {
        return on_cluster(&options).await;
    }
    let scratch = Scratch::new(&options)?;
    let pace = Pace::new(&options);
    let mut report = Report::new(&options.case);
    println!("{scratch}");

    let reference = floor::run(&scratch, &pace, &mut report).await?;
    commit::run(&scratch, &pace, reference, &mut report).await?;
    queue::run(&scratch, &options, &mut report).await?;
    codec::run(&scratch, &pace, &mut report).await?;
    report.print_table();
    Ok(())
}

#[cfg(feature = "fdb")]
async fn on_cluster(options: &Options) -> Outcome {
    fdb::run(options).await
}

#[cfg(not(feature = "fdb"))]
#[expect(clippy::unused_async, reason = "the cases wait")]
async fn on_cluster(_options: &Options) -> Outcome {
    Err("--fdb: built without the feature `fdb`; `cargo xtask bench --fdb` sees to that".into())
}
