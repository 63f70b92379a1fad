//! The README's first promise: run the counter twice, and the second run goes on where the first
//! ended.

use std::{path::Path, process::Stdio};

use crate::{
    cargo,
    outcome::{Outcome, expect_success},
};

/// Increments by each run of the example.
const INCREMENTS: u64 = 10;

/// Runs the example twice on a store in a temporary folder.
pub(crate) fn counts_on() -> Outcome {
    let folder = tempfile::Builder::new().prefix("dgen-ci").tempdir()?;
    let store = folder.path().join("counter-data");
    for run in 1..=2 {
        let output = count(&store)?;
        let (found, left) = ((run - 1) * INCREMENTS, run * INCREMENTS);
        if !(shows(&output, found) && shows(&output, left)) {
            return Err(format!("run {run} does not count from {found} to {left}").into());
        }
    }
    Ok(())
}

/// Runs the example once; returns what it printed, and prints it.
fn count(store: &Path) -> Outcome<String> {
    let mut example = cargo::command(["run", "--quiet", "--example", "counter", "--"]);
    example.arg(store).stderr(Stdio::inherit());
    let output = example.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    expect_success(&example, output.status)?;
    Ok(text)
}

/// Whether `number` stands somewhere in `text` by itself.
fn shows(text: &str, number: u64) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.parse() == Ok(number))
}
