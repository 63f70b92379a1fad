//! What became of the steps.

use std::{fmt, ops::AddAssign, time::Duration};

use crate::{fdb_test::steps::Step, outcome::Outcome};

/// How many tests did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) ignored: u64,
}

impl Counts {
    /// Those that a line of `cargo test` tells, if it is the one behind a test program's last test.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let (_, numbers) = line
            .trim()
            .strip_prefix("test result: ")?
            .split_once(". ")?;
        let mut counts = Self::default();
        for part in numbers.split("; ") {
            let (number, what) = part.split_once(' ')?;
            let count = match what {
                "passed" => &mut counts.passed,
                "failed" => &mut counts.failed,
                "ignored" => &mut counts.ignored,
                _ => continue,
            };
            *count = number.parse().ok()?;
        }
        Some(counts)
    }

    /// Whether not one test was run.
    pub(super) fn is_none(self) -> bool {
        self.passed + self.failed == 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            passed,
            failed,
            ignored,
        } = self;
        write!(f, "{passed} passed, {failed} failed, {ignored} ignored")
    }
}

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
    fn a_result_line_is_counted() {
        let passed = "test result: ok. 41 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out; \
                      finished in 1.25s\n";
        assert_eq!(Counts::parse(passed), Some(counts(41, 0, 2)));
        let failed = "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered \
                      out; finished in 0.00s";
        assert_eq!(Counts::parse(failed), Some(counts(3, 1, 0)));
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in [
            "",
            "running 41 tests",
            "test on_cluster::holds ... ok",
            "test result: ",
            "test result: ok. many passed; 0 failed",
            "it said: test result: ok. 1 passed; 0 failed",
        ] {
            assert_eq!(Counts::parse(line), None, "{line}");
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
