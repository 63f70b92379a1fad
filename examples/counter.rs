//! A counter that survives anything.
//!
//! `cargo run --example counter` opens the store in `counter-data`, or in the folder given, and
//! increments its counter ten times. Run it again and it goes on; kill it at any moment, and the
//! next run shows that no increment that was answered is lost. `--callers 64 --seconds 10` drives
//! it hard.

use std::{error::Error, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use dgen_examples::{load, store};
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

/// Durable: each field is a key of its own.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[dgen_server]
impl Counter {
    /// Adds `by` and returns the new value.
    #[call]
    fn increment(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    /// Returns the value.
    #[call]
    fn value(&self) -> i64 {
        self.value
    }
}

/// A counter that survives anything.
#[derive(Parser)]
struct Options {
    /// The folder that holds the store.
    #[arg(default_value = "counter-data")]
    path: PathBuf,
    /// So many callers increment at once, for as long as `--seconds` says.
    #[arg(long, requires = "seconds")]
    callers: Option<usize>,
    /// How long the callers increment, in seconds.
    #[arg(long, requires = "callers")]
    seconds: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("counter: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn Error>> {
    // `dgen_server::open(&options.path)?`, or on a cluster `dgen_fdb::open(..).await?`.
    let tenant = store::open(&options.path).await?;
    let counter = CounterHandle::start(&tenant, "demo", ()).await?;
    let path = options.path.display();
    println!("{path}: found the counter at {}", counter.value().await?);

    if let (Some(callers), Some(seconds)) = (options.callers, options.seconds) {
        let increment = || async { counter.increment(1).await.map(drop) };
        let report = load::drive(callers, Duration::from_secs(seconds), increment).await?;
        println!("{report}");
    } else {
        for _ in 0..10 {
            counter.increment(1).await?;
        }
        println!("{path}: incremented it ten times");
    }

    println!("{path}: left the counter at {}", counter.value().await?);
    println!("Run it again, and it goes on from there. Kill it at any moment, and it does too.");
    Ok(())
}
