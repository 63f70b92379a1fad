//! Runs cargo in the workspace's root.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Command, Stdio},
};

use crate::outcome::{Outcome, expect_success};

/// Cargo with `arguments`, not yet started.
pub(crate) fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace");
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(root);
    command
}

/// Runs cargo to its end. Its output goes where ours does.
pub(crate) fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome {
    run_command(command(arguments))
}

/// Runs a command to its end. Its output goes where ours does.
pub(crate) fn run_command(mut command: Command) -> Outcome {
    let status = command.status()?;
    expect_success(&command, status)
}

/// Whether `program` can be started here and exits well.
pub(crate) fn is_installed(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
