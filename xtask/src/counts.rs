//! How many tests passed and failed, from what they print.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    ops::AddAssign,
};

/// How many tests did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Counts {
    /// Those that a line of `cargo test` tells, if it is the one behind a test program's last test.
    pub(crate) fn parse(line: &str) -> Option<Self> {
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
    pub(crate) fn is_none(self) -> bool {
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

/// Copies what tests print, and counts them.
pub(crate) fn count(from: impl Read, mut to: impl Write) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        if let Some(more) = Counts::parse(&String::from_utf8_lossy(&line)) {
            counts += more;
        }
        line.clear();
    }
    Ok(counts)
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
    fn what_tests_print_is_copied_and_counted() {
        let text =
            b"running 2 tests\n\xff\ntest result: ok. 2 passed; 0 failed; 1 ignored; 0 measured\n\
                     test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured\nno line's end";
        let mut copy = Vec::new();
        let counts = count(&text[..], &mut copy).unwrap();
        assert_eq!(copy, text);
        assert_eq!(counts.to_string(), "3 passed, 3 failed, 1 ignored");
    }
}
