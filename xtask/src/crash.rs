//! The crash harness.

use std::ffi::{OsStr, OsString};

use crate::{cargo, outcome::Outcome};

/// Builds and runs it with `options`.
///
/// As tests are built: with debug assertions, and without waiting for a build of its own.
pub(crate) fn run(options: &[OsString]) -> Outcome {
    let arguments = ["run", "--quiet", "--package", "dgen-crash", "--"].map(OsStr::new);
    let options = options.iter().map(OsString::as_os_str);
    cargo::run_command(cargo::command(arguments.into_iter().chain(options)))
}
