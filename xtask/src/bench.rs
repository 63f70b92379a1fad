//! The benchmarks, built for release.

use std::ffi::{OsStr, OsString};

#[cfg(unix)]
use crate::fdb_test;
use crate::{cargo, outcome::Outcome};

/// What needs a cluster, and the feature `fdb`.
const ON_CLUSTER: &str = "--fdb";
/// The programs that the benchmarks start: they look for them beside themselves.
const BESIDE: [[&str; 4]; 2] = [
    ["--package", "dgen-examples", "--example", "service"],
    ["--package", "dgen-bench", "--bin", "dgen-bench-memory"],
];
#[cfg(unix)]
const CLUSTER_FILE: &str = "--cluster-file";

/// Builds and runs them with `options`.
pub(crate) fn run(options: &[OsString]) -> Outcome {
    let is_on_cluster = options.iter().any(|option| option == ON_CLUSTER);
    let mut arguments = vec![
        "run",
        "--release",
        "--package",
        "dgen-bench",
        "--bin",
        "dgen-bench",
    ];
    if is_on_cluster {
        arguments.extend(["--features", "fdb"]);
    } else {
        for program in BESIDE {
            cargo::run(["build", "--release"].into_iter().chain(program))?;
        }
    }
    arguments.push("--");
    let arguments = arguments.into_iter().map(OsStr::new);
    let command = cargo::command(arguments.chain(options.iter().map(OsString::as_os_str)));
    #[cfg(unix)]
    if is_on_cluster {
        return fdb_test::run_on_cluster(command, cluster_file(options));
    }
    cargo::run_command(command)
}

/// The file that `options` name, if they name one.
#[cfg(unix)]
fn cluster_file(options: &[OsString]) -> Option<&OsStr> {
    options.iter().enumerate().find_map(|(place, option)| {
        if option == CLUSTER_FILE {
            return options.get(place + 1).map(OsString::as_os_str);
        }
        let value = option.to_str()?.strip_prefix(CLUSTER_FILE)?;
        value.strip_prefix('=').map(OsStr::new)
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_file_is_found_among_options() {
        let named = |options: &[&str]| {
            let options: Vec<_> = options.iter().map(OsString::from).collect();
            cluster_file(&options).map(OsStr::to_owned)
        };
        assert_eq!(named(&["--fdb", "--quick"]), None);
        assert_eq!(named(&["--fdb", "--cluster-file"]), None);
        for options in [
            &["--cluster-file", "a b", "--fdb"][..],
            &["--cluster-file=a b"],
        ] {
            assert_eq!(named(options), Some("a b".into()));
        }
    }
}
