//! Every suite that knows FoundationDB, on a real cluster: one that is named, or a server that is
//! started for it and stopped again.
//!
//! A step that fails does not keep the next from running, so that the summary is complete. Ctrl-C
//! and SIGTERM end the tests, the server and their files as the end does.

mod cluster;
mod fdbcli;
mod group;
mod interrupt;
mod libraries;
mod programs;
mod running;
mod server;
mod server_log;
mod steps;
mod summary;

use std::{ffi::OsStr, path::PathBuf, process::Command};

use crate::{
    fdb_test::{
        cluster::{Choice, Cluster},
        group::Group,
        interrupt::Interrupt,
        libraries::Libraries,
        programs::Programs,
        running::Running,
        steps::STEPS,
        summary::Summary,
    },
    outcome::{Outcome, expect_success},
};

/// Behind what is missing.
const ADVICE: &str = "\
FoundationDB's packages are at https://github.com/apple/foundationdb/releases; --cluster-file FILE names
a cluster that runs already, and --fdbserver PATH of fdb-test a server that is elsewhere";

/// What `cargo xtask fdb-test` is told.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
The cluster is that of --cluster-file, else that of FDB_CLUSTER_FILE, else a server of its own, on a
free port of 127.0.0.1 and in a temporary directory. That server and its directory go at the end, after
failures, and after Ctrl-C or SIGTERM. After `kill -9` of this program the server ends by itself within
seconds, but its directory stays, and so do tests that wait for it.")]
pub(crate) struct Options {
    /// Run on the cluster of FILE. The tests write to it, and leave keys behind.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fdbserver", "memory", "keep"])]
    cluster_file: Option<PathBuf>,
    /// Start PATH, and not the fdbserver that is found.
    #[arg(long, value_name = "PATH")]
    fdbserver: Option<PathBuf>,
    /// Start the server with the memory engine, and not with ssd.
    #[arg(long)]
    memory: bool,
    /// Leave the started server running, and its directory where it is.
    #[arg(long)]
    keep: bool,
    /// Run the tests whose names contain TEXT, and nothing else.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

/// Whether there is a server that could be started here.
pub(crate) fn is_possible() -> bool {
    Programs::find(None).fdbserver.is_ok()
}

/// Whether `dgen-fdb` can be checked here, if not linked.
pub(crate) fn can_check() -> bool {
    Libraries::find().has_clang()
}

/// Finds or starts a cluster as for the tests, and runs `command` on it, which finds it by the variable
/// `FDB_CLUSTER_FILE`.
///
/// # Errors
///
/// What is missing, why there is no cluster, or that the command failed.
pub(crate) fn run_on_cluster(mut command: Command, cluster_file: Option<&OsStr>) -> Outcome {
    let options = Options {
        cluster_file: cluster_file.map(PathBuf::from),
        ..Options::default()
    };
    let choice = Choice::new(&options, std::env::var_os("FDB_CLUSTER_FILE"))?;
    let programs = Programs::find(None);
    let libraries = Libraries::find();
    complain(
        programs
            .missing(&choice)
            .into_iter()
            .chain(libraries.missing()),
    )?;

    let interrupt = Interrupt::listen()?;
    let cluster = Cluster::new(choice, &programs, &interrupt)?;
    command.env("FDB_CLUSTER_FILE", cluster.file());
    libraries.show(&mut command)?;
    let status = Group::spawn(&mut command)?.wait(|| {
        interrupt.check()?;
        cluster.check()
    })?;
    expect_success(&command, status)
}

/// Finds or starts a cluster, runs every step on it, and prints a summary.
///
/// # Errors
///
/// What is missing, why there is no cluster, or that steps failed.
pub(crate) fn run(options: &Options) -> Outcome {
    let choice = Choice::new(options, std::env::var_os("FDB_CLUSTER_FILE"))?;
    let programs = Programs::find(options.fdbserver.as_deref());
    let libraries = Libraries::find();
    complain(
        programs
            .missing(&choice)
            .into_iter()
            .chain(libraries.missing()),
    )?;

    let interrupt = Interrupt::listen()?;
    let cluster = Cluster::new(choice, &programs, &interrupt)?;
    let running = Running::new(
        &cluster,
        &programs,
        &libraries,
        &interrupt,
        options.filter.as_deref(),
    )?;
    let mut summary = Summary::default();
    let end = STEPS
        .iter()
        .try_for_each(|step| running.run(step, &mut summary));
    summary.print(STEPS);
    end?;
    summary.into_outcome()
}

/// An error that names all that is missing, unless nothing is.
fn complain(missing: impl Iterator<Item = String>) -> Outcome {
    let missing: Vec<_> = missing.map(|what| format!("\n  {what}")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.concat();
    Err(format!("this needs what is not here:{missing}\n{ADVICE}").into())
}
