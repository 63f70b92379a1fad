//! Random worlds in the simulator, built for release.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use crate::{cargo, outcome::Outcome};

/// What looks for bugs on purpose, and the feature that has them.
const PLANTED: &str = "--planted";

/// Builds and runs them with `options`. Says what they say: their last line is the last.
pub(crate) fn run(options: &[OsString]) -> Outcome<ExitCode> {
    let mut arguments = vec!["run", "--release", "--package", "dgen-sim"];
    if options.iter().any(|option| option == PLANTED) {
        arguments.extend(["--features", "planted-bugs"]);
    }
    arguments.push("--");
    let arguments = arguments.into_iter().map(OsStr::new);
    let mut command = cargo::command(arguments.chain(options.iter().map(OsString::as_os_str)));
    Ok(match command.status()?.success() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Tests them: some worlds, and whether bugs on purpose are found.
pub(crate) fn test() -> Outcome {
    cargo::run([
        "test",
        "--package",
        "dgen-sim",
        "--features",
        "planted-bugs",
    ])
}
