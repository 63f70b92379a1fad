//! The tests of the servers, with more faults than `cargo test` has, and others.

use std::{io, process::Stdio};

use crate::{
    cargo,
    counts::{Counts, count},
    outcome::Outcome,
    stopwatch::Stopwatch,
};

/// How many faults, and which.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The share of reads, and of commits for each kind of fault, that fail.
    #[arg(long, value_delimiter = ',', default_value = "0.01,0.03,0.1", value_parser = share)]
    rates: Vec<f64>,
    /// How many seeds to run at each rate.
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only tests whose names contain this.
    #[arg(long)]
    filter: Option<String>,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(share),
        _ => Err("not a share of 1".to_owned()),
    }
}

/// Runs them all at each rate with each seed, to the end, and says on the last line how many
/// failed.
///
/// # Errors
/// Some failed, or could not be run.
pub(crate) fn run(options: &Options) -> Outcome {
    let mut all = Counts::default();
    let mut failed = Vec::new();
    for rate in &options.rates {
        for seed in options.first_seed..options.first_seed.saturating_add(options.seeds) {
            let name = format!("DGEN_FAULTS={rate} DGEN_FAULTS_SEED={seed}");
            println!("==> {name}");
            let watch = Stopwatch::start();
            let (counts, is_success) = tests(*rate, seed, options.filter.as_deref())?;
            let seconds = watch.elapsed().as_secs_f64();
            println!("<== {name}: {counts} in {seconds:.1} s\n");
            if !is_success || counts.is_none() {
                failed.push(name);
            }
            all += counts;
        }
    }
    let Counts {
        passed,
        failed: failures,
        ..
    } = all;
    println!("faults: {passed} tests passed, {failures} failed");
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("failed, or without a test: {}", failed.join(", ")).into())
}

/// Runs the tests once: how many did what, and whether all is well.
fn tests(rate: f64, seed: u64, filter: Option<&str>) -> Outcome<(Counts, bool)> {
    let mut command = cargo::command(["test", "--quiet", "--package", "dgen-server", "--tests"]);
    command.args(["--no-fail-fast", "--"]);
    match filter {
        None => command.arg("with_faults"),
        // Two filters would run what matches either.
        Some(filter) => command.args([filter, "--skip", "on_disk", "--skip", "in_memory"]),
    };
    command.env("DGEN_FAULTS", rate.to_string());
    command.env("DGEN_FAULTS_SEED", seed.to_string());
    let mut running = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let pipe = running.stdout.take().expect("its stdout is a pipe");
    let counts = count(pipe, io::stdout())?;
    Ok((counts, running.wait()?.success()))
}
