//! Runs steps on the cluster.

use std::{
    io,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    cargo,
    counts::{Counts, count},
    fdb_test::{
        cluster::Cluster,
        fdbcli,
        group::Group,
        interrupt::Interrupt,
        libraries::Libraries,
        programs::Programs,
        steps::{Kind, Step},
        summary::{Row, Summary},
    },
    outcome::Outcome,
    stopwatch::Stopwatch,
};

/// How long a step may take, its building too. One that hangs is killed then.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What every step needs.
pub(super) struct Running<'a> {
    cluster: &'a Cluster,
    /// FoundationDB's command line, where there is one.
    fdbcli: Option<&'a Path>,
    libraries: &'a Libraries,
    interrupt: &'a Interrupt,
    filter: Option<&'a str>,
    /// The tests' temporary directory: those that are killed don't clear up.
    scratch: TempDir,
}

impl<'a> Running<'a> {
    pub(super) fn new(
        cluster: &'a Cluster,
        programs: &'a Programs,
        libraries: &'a Libraries,
        interrupt: &'a Interrupt,
        filter: Option<&'a str>,
    ) -> Outcome<Self> {
        Ok(Self {
            cluster,
            fdbcli: programs.fdbcli.as_deref().ok(),
            libraries,
            interrupt,
            filter,
            scratch: tempfile::Builder::new().prefix("dgen-fdb-test").tempdir()?,
        })
    }

    /// Runs `step` and notes in `summary` what became of it.
    ///
    /// # Errors
    ///
    /// Why no other step can be run.
    pub(super) fn run(&self, step: &Step, summary: &mut Summary) -> Outcome {
        if self.filter.is_some() && matches!(step.kind, Kind::Check { .. }) {
            return Ok(());
        }
        println!("==> {}", step.name);
        let watch = Stopwatch::start();
        let (status, counts) = self.carry_out(step, &watch)?;
        let is_check = matches!(step.kind, Kind::Check { .. });
        let counts = (!is_check).then_some(counts);
        let failure = match &status {
            Err(error) => Some(error.to_string()),
            Ok(status) if !status.success() => Some(status.to_string()),
            Ok(_) if self.filter.is_none() && counts.is_some_and(Counts::is_none) => {
                Some("no test was run".to_owned())
            }
            Ok(_) => None,
        };
        let row = Row {
            name: step.name,
            failure,
            counts,
            took: watch.elapsed(),
        };
        println!("<== {row}\n");
        if row.failure.is_some() {
            self.print_status();
        }
        summary.push(row);
        self.check()
    }

    /// Prints how the cluster is, which may be why a step failed.
    fn print_status(&self) {
        let Some(fdbcli) = self.fdbcli else {
            return;
        };
        match fdbcli::status(fdbcli, self.cluster.file(), || self.check()) {
            Ok(status) => println!("{}\n", status.trim()),
            Err(error) => println!("the cluster's status: {error}\n"),
        }
    }

    /// An error if there is no sense in going on.
    fn check(&self) -> Outcome {
        self.interrupt.check()?;
        self.cluster.check()
    }

    /// Runs `step`, which began with `watch`, to its end: the inner result.
    fn carry_out(&self, step: &Step, watch: &Stopwatch) -> Outcome<(Outcome<ExitStatus>, Counts)> {
        let mut command = self.command(step)?;
        let mut group = Group::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let pipe = group.take_stdout().expect("its stdout is a pipe");
        thread::scope(|scope| {
            let reader = scope.spawn(|| count(pipe, io::stdout()));
            // The pipe is at its end when this has returned, because the group is gone then.
            let status = group.wait(|| {
                if watch.elapsed() > PATIENCE {
                    let minutes = PATIENCE.as_secs() / 60;
                    return Err(format!("not over after {minutes} minutes").into());
                }
                self.check()
            });
            let counts = reader.join().expect("reading lines does not panic")?;
            Ok((status, counts))
        })
    }

    fn command(&self, step: &Step) -> Outcome<Command> {
        let mut command = cargo::command(step.cargo.split(' '));
        let words = words(step.kind, self.filter);
        if !words.is_empty() {
            command.arg("--").args(words);
        }
        if let Kind::Check { variables, .. } = step.kind {
            command.envs(variables.iter().copied());
        }
        for name in ["FDB_CLUSTER_FILE", "DGEN_CLUSTER_FILE"] {
            command.env(name, self.cluster.file());
        }
        command.env("TMPDIR", self.scratch.path());
        self.libraries.show(&mut command)?;
        Ok(command)
    }
}

/// What goes behind cargo's `--`.
fn words(kind: Kind, filter: Option<&str>) -> Vec<&str> {
    match (kind, filter) {
        (Kind::Check { words, .. }, _) => words.to_vec(),
        (Kind::Tests, filter) => filter.into_iter().collect(),
        (Kind::TestsOnCluster, None) => vec!["on_cluster"],
        // Two filters would run what matches either.
        (Kind::TestsOnCluster, Some(filter)) => {
            vec![filter, "--skip", "on_disk", "--skip", "in_memory"]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_goes_to_the_test_programs_and_keeps_other_stores_out() {
        assert_eq!(words(Kind::Tests, None), [""; 0]);
        assert_eq!(words(Kind::Tests, Some("fifo")), ["fifo"]);
        assert_eq!(words(Kind::TestsOnCluster, None), ["on_cluster"]);
        assert_eq!(
            words(Kind::TestsOnCluster, Some("fifo")),
            ["fifo", "--skip", "on_disk", "--skip", "in_memory"]
        );
    }
}
