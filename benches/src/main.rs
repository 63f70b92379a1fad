//! Benchmarks of dgen: how close commits and calls come to the disk's own flush, and a service to a bare
//! server; what a call takes of the processors, next to an actor in memory; whether a queue, a large
//! state or many servers slow anything down; what a server takes of memory, and a build of crates.
//! `docs/performance.md` has the numbers of record.
//!
//! Prints one JSON line for each case as it ends, and a table of all at the end. Disks differ by a
//! factor of a hundred, so ratios are to be taken from one run, and best with `--flush-ms 1`.
//!
//! With `--fdb`, it measures servers on a FoundationDB cluster instead, next to the cluster's own
//! transactions; that needs the feature `fdb`, and the client library.
//!
//! Leaves out: transactions that only read, and servers reached through their queue on the embedded store.

mod actor;
mod append;
mod calls;
mod case;
mod codec;
mod commit;
mod counter;
mod cpu;
mod crates;
mod crowd;
#[cfg(feature = "fdb")]
mod fdb;
mod floor;
mod grow;
mod http;
mod idle;
mod latency;
mod line;
mod options;
mod pace;
mod plot;
mod queue;
mod report;
mod scratch;
mod stopwatch;
mod target;
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
    if let Some(folder) = &options.bare_server {
        return http::serve_bare(folder).await;
    }
    if options.fdb {
        return on_cluster(&options).await;
    }
    let scratch = Scratch::new(&options)?;
    let pace = Pace::new(&options);
    let mut report = Report::new(&options)?;
    println!("{scratch}");

    let reference = floor::run(&scratch, &pace, &mut report).await?;
    commit::run(&scratch, &pace, reference, &mut report).await?;
    queue::run(&scratch, &options, &mut report).await?;
    codec::run(&scratch, &pace, &mut report).await?;
    calls::run(&scratch, &pace, reference, &mut report).await?;
    http::run(&scratch, &options, &pace, &mut report).await?;
    grow::run(&scratch, &options, &pace, &mut report).await?;
    idle::run(&scratch, &options, &mut report)?;
    crates::run(&mut report)?;
    report.finish(&options)
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
