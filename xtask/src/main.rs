//! The project's own commands.
//!
//! `cargo xtask ci` is what `.ci/run` runs; `cargo xtask bench` measures; `cargo xtask sim` plays random
//! worlds; `cargo xtask crash` kills programs on an embedded store; `cargo xtask faults` runs the tests
//! of the servers on a store that fails now and then; `cargo xtask fdb-test` runs what needs a
//! FoundationDB cluster.

mod bench;
mod cargo;
mod ci;
mod counter;
mod counts;
mod crash;
mod examples;
mod faults;
#[cfg(unix)]
mod fdb_test;
mod outcome;
mod sim;
mod step;
mod stopwatch;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::outcome::Outcome;

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks all that must hold before a change is merged.
    Ci,
    /// Builds the benchmarks for release and runs them; `bench --help` shows their options.
    // The options are written down once, in the benchmarks.
    #[command(disable_help_flag = true)]
    Bench {
        /// Options of the benchmarks.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// Plays random worlds of servers under faults; `sim --help` shows its options.
    // The options are written down once, in the program that plays them.
    #[command(disable_help_flag = true)]
    Sim {
        /// Options of the program that plays them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// Kills a program on an embedded store, again and again, and checks what is left; `crash --help`
    /// shows its options.
    // The options are written down once, in the harness.
    #[command(disable_help_flag = true)]
    Crash {
        /// Options of the harness.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<OsString>,
    },
    /// Runs the tests of the servers again and again on a store that fails now and then.
    Faults(faults::Options),
    /// Tests what runs on FoundationDB, on a real cluster.
    #[cfg(unix)]
    FdbTest(fdb_test::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Outcome<ExitCode> {
    match task {
        Task::Ci => ci::run()?,
        Task::Bench { options } => bench::run(&options)?,
        Task::Sim { options } => return sim::run(&options),
        Task::Crash { options } => crash::run(&options)?,
        Task::Faults(options) => faults::run(&options)?,
        #[cfg(unix)]
        Task::FdbTest(options) => fdb_test::run(&options)?,
    }
    Ok(ExitCode::SUCCESS)
}
