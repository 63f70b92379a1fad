//! What became of the steps.

use std::{fmt, time::Duration};

use crate::{counts::Counts, fdb_test::steps::Step, outcome::Outcome};

/// What became of one step.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Why it failed, if it did.
    pub(super) failure: Option<String>,
    /// None for what is not tests.
    pub(super) counts: Option<Counts>,
    pub(super) took: Duration,
}

/// What became of all steps that were run.
#[derive(Debug, Default)]
pub(super) struct Summary(Vec<Row>);

impl Summary {
    pub(super) fn push(&mut self, row: Row) {
        self.0.push(row);
    }

    /// Prints a line for each of `steps`, and one for all.
    pub(super) fn print(&self, steps: &[Step]) {
        for step in steps {
            match self.0.iter().find(|row| row.name == step.name) {
                Some(row) => println!("{row}"),
                None => println!("{:10} not run", step.name),
            }
        }
        println!("{self}");
    }

    /// An error that names what failed, unless all passed.
    pub(super) fn into_outcome(self) -> Outcome {
        let failed: Vec<_> = self.failed().collect();
        if !failed.is_empty() {
            return Err(format!("failed: {}", failed.join(", ")).into());
        }
        if self.counts().passed == 0 {
            return Err("no test was run".into());
        }
        Ok(())
    }

    fn failed(&self) -> impl Iterator<Item = &'static str> {
        let failed = self.0.iter().filter(|row| row.failure.is_some());
        failed.map(|row| row.name)
    }

    fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for counts in self.0.iter().filter_map(|row| row.counts) {
            sum += counts;
        }
        sum
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let state = match self.failure {
            None => "passed",
            Some(_) => "failed",
        };
        write!(f, "{:10} {state} {seconds:8.1} s", self.name)?;
        if let Some(counts) = self.counts {
            write!(f, "  {counts}")?;
        }
        match &self.failure {
            None => Ok(()),
            Some(why) => write!(f, "  ({why})"),
        }
    }
}

/// The last line. It says how many tests failed, and which steps did without one.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { passed, failed, .. } = self.counts();
        write!(f, "fdb-test: {passed} tests passed, {failed} failed")?;
        let failed: Vec<_> = self.failed().collect();
        if failed.is_empty() {
            return Ok(());
        }
        write!(f, "; failed steps: {}", failed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, ignored: u64) -> Counts {
        Counts {
            passed,
            failed,
            ignored,
        }
    }

    fn row(name: &'static str, failure: Option<&str>, counts: Option<Counts>) -> Row {
        Row {
            name,
            failure: failure.map(str::to_owned),
            counts,
            took: Duration::from_millis(1_250),
        }
    }

    #[test]
    fn the_last_line_and_the_outcome_agree() {
        let mut summary = Summary::default();
        summary.push(row("queue", None, Some(counts(3, 0, 1))));
        summary.push(row("server", None, Some(counts(4, 0, 0))));
        summary.push(row("clippy", None, None));
        assert_eq!(summary.to_string(), "fdb-test: 7 tests passed, 0 failed");
        assert!(summary.into_outcome().is_ok());
    }

    #[test]
    fn a_test_that_fails_fails_all() {
        let mut summary = Summary::default();
        summary.push(row("queue", None, Some(counts(3, 0, 0))));
        summary.push(row(
            "server",
            Some("exit status: 101"),
            Some(counts(4, 2, 0)),
        ));
        assert_eq!(
            summary.to_string(),
            "fdb-test: 7 tests passed, 2 failed; failed steps: server"
        );
        let error = summary.into_outcome().unwrap_err();
        assert_eq!(error.to_string(), "failed: server");
    }

    /// What does not build has no test that fails.
    #[test]
    fn a_step_without_a_failing_test_fails_all() {
        let mut summary = Summary::default();
        summary.push(row("queue", None, Some(counts(3, 0, 0))));
        summary.push(row("clippy", Some("exit status: 101"), None));
        assert_eq!(
            summary.to_string(),
            "fdb-test: 3 tests passed, 0 failed; failed steps: clippy"
        );
        assert!(summary.into_outcome().is_err());
    }

    #[test]
    fn no_test_at_all_is_not_a_success() {
        let mut summary = Summary::default();
        summary.push(row("queue", None, Some(counts(0, 0, 0))));
        let error = summary.into_outcome().unwrap_err();
        assert_eq!(error.to_string(), "no test was run");
    }

    #[test]
    fn a_row_names_the_step_its_tests_and_its_time() {
        assert_eq!(
            row("queue", None, Some(counts(3, 0, 1))).to_string(),
            "queue      passed      1.2 s  3 passed, 0 failed, 1 ignored"
        );
        assert_eq!(
            row("doc", Some("exit status: 101"), None).to_string(),
            "doc        failed      1.2 s  (exit status: 101)"
        );
    }
}
