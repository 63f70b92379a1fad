//! The benchmarks, built for release.

use std::ffi::{OsStr, OsString};

use crate::{cargo, outcome::Outcome};

/// Builds and runs them with `options`.
pub(crate) fn run(options: &[OsString]) -> Outcome {
    let run = ["run", "--release", "--package", "dgen-bench", "--"];
    cargo::run(
        run.map(OsStr::new)
            .into_iter()
            .chain(options.iter().map(OsString::as_os_str)),
    )
}
