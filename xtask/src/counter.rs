//! The README's first promise: run the counter twice, and the second run goes on where the first
//! ended.

use crate::{examples, outcome::Outcome};

/// Increments by each run of the example.
const INCREMENTS: u64 = 10;

/// Runs the example twice on a store in a temporary folder.
pub(crate) fn counts_on() -> Outcome {
    let folder = tempfile::Builder::new().prefix("dgen-ci").tempdir()?;
    let store = folder.path().join("counter-data");
    for run in 1..=2 {
        let output = examples::run("counter", [store.as_os_str()])?;
        let (found, left) = ((run - 1) * INCREMENTS, run * INCREMENTS);
        if !(shows(&output, found) && shows(&output, left)) {
            return Err(format!("run {run} does not count from {found} to {left}").into());
        }
    }
    Ok(())
}

/// Whether `number` stands somewhere in `text` by itself.
fn shows(text: &str, number: u64) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| word.parse() == Ok(number))
}
