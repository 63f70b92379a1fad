//! Runs examples as their documentation says. Their tests kill them; this is a user's first try.

use std::{ffi::OsStr, process::Stdio};

use crate::{
    cargo,
    outcome::{Outcome, expect_success},
};

/// An example's name, its arguments, and what it prints then.
const COMMANDS: &[(&str, &[&str], &str)] = &[
    ("bank", &["--seconds", "1"], "left 64000 cents"),
    ("wordcount", &["clippy.toml"], " ambient\n"),
    (
        "payment",
        &["--bank-seconds", "0"],
        "paid: booked 250 cents",
    ),
    ("reminders", &["in", "0s", "tea"], "noted as 1"),
    ("reminders", &["run"], "no reminder is left"),
    ("upgrade", &["v1"], "2 messages in the queue"),
    (
        "upgrade",
        &["v2"],
        r#"["tea", "milk", "sugar"] in the basket"#,
    ),
];

/// Runs each command, on a store of its example in a temporary folder.
pub(crate) fn work() -> Outcome {
    let folder = tempfile::Builder::new().prefix("dgen-ci").tempdir()?;
    for (name, arguments, expected) in COMMANDS {
        let store = folder.path().join(name);
        let data = [OsStr::new("--data"), store.as_os_str()];
        let output = run(name, arguments.iter().map(OsStr::new).chain(data))?;
        if !output.contains(expected) {
            return Err(format!("{name} did not print {expected:?}").into());
        }
    }
    Ok(())
}

/// Runs an example once; returns what it printed, and prints it.
pub(crate) fn run<'a>(
    name: &str,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> Outcome<String> {
    let mut example = cargo::command(["run", "--quiet", "--example", name, "--"]);
    example.args(arguments).stderr(Stdio::inherit());
    let output = example.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    expect_success(&example, output.status)?;
    Ok(text)
}
