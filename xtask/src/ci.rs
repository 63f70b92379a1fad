//! What must hold before a change is merged. Needs Rust; takes more where it is installed.

#[cfg(unix)]
use crate::fdb_test;
use crate::{cargo, counter, examples, outcome::Outcome, step::Steps};

/// Runs every step, to the first that fails.
pub(crate) fn run() -> Outcome {
    let mut steps = Steps::start();
    steps.run("fmt", || cargo::run(["fmt", "--all", "--", "--check"]))?;
    steps.run("clippy", || {
        cargo::run([
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })?;
    steps.run("doc", || {
        let mut doc = cargo::command(["doc", "--workspace", "--no-deps"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        cargo::run_command(doc)
    })?;
    steps.run("test", || cargo::run(["test"]))?;
    steps.run("test xtask", || cargo::run(["test", "--package", "xtask"]))?;
    steps.run("counter", counter::counts_on)?;
    steps.run("examples", examples::work)?;
    if cargo::is_installed("cargo", &["deny", "--version"]) {
        steps.run("deny", || cargo::run(["deny", "check"]))?;
    } else {
        steps.skip("deny", "cargo-deny is not installed");
    }
    #[cfg(unix)]
    foundationdb(&mut steps)?;
    steps.finish();
    Ok(())
}

#[cfg(unix)]
fn foundationdb(steps: &mut Steps) -> Outcome {
    if fdb_test::is_possible() {
        steps.run("fdb-test", || fdb_test::run(&fdb_test::Options::default()))
    } else {
        steps.skip("fdb-test", "no fdbserver is installed");
        Ok(())
    }
}
