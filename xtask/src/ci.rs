//! What must hold before a change is merged. Needs Rust; takes more where it is installed.

#[cfg(unix)]
use crate::fdb_test;
use crate::{cargo, counter, examples, outcome::Outcome, sim, step::Steps};

/// Runs every step, to the first that fails.
pub(crate) fn run() -> Outcome {
    let mut steps = Steps::start();
    steps.run("fmt", || cargo::run(["fmt", "--all", "--", "--check"]))?;
    let members = members(&steps);
    steps.run("clippy", || {
        let mut clippy = cargo::command(["clippy", "--all-targets"]);
        clippy.args(members).args(["--", "-D", "warnings"]);
        cargo::run_command(clippy)
    })?;
    steps.run("doc", || {
        let mut doc = cargo::command(["doc", "--no-deps"]);
        doc.args(members).env("RUSTDOCFLAGS", "-D warnings");
        cargo::run_command(doc)
    })?;
    steps.run("test", || cargo::run(["test"]))?;
    steps.run("test xtask", || cargo::run(["test", "--package", "xtask"]))?;
    steps.run("test sim", sim::test)?;
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

/// Cargo's words for the members that can be checked here, with the client library or without.
fn members(steps: &Steps) -> &'static [&'static str] {
    #[cfg(unix)]
    if fdb_test::can_check() {
        return &["--workspace"];
    }
    steps.skip("clippy and doc of dgen-fdb", "libclang was not found");
    &["--workspace", "--exclude", "dgen-fdb"]
}

/// What needs a cluster, where one can be had.
#[cfg(unix)]
fn foundationdb(steps: &mut Steps) -> Outcome {
    if fdb_test::is_possible() {
        steps.run("fdb-test", || fdb_test::run(&fdb_test::Options::default()))
    } else {
        steps.skip("fdb-test", "no fdbserver is installed");
        Ok(())
    }
}
