//! The benchmarks, built for release.

use std::ffi::{OsStr, OsString};

use crate::{cargo, outcome::Outcome};

/// What needs the feature `fdb`, and with it FoundationDB's client library.
const ON_CLUSTER: &str = "--fdb";

/// Builds and runs them with `options`.
pub(crate) fn run(options: &[OsString]) -> Outcome {
    let mut arguments = vec!["run", "--release", "--package", "dgen-bench"];
    if options.iter().any(|option| option == ON_CLUSTER) {
        arguments.extend(["--features", "fdb"]);
    }
    arguments.push("--");
    let arguments = arguments.into_iter().map(OsStr::new);
    cargo::run(arguments.chain(options.iter().map(OsString::as_os_str)))
}
