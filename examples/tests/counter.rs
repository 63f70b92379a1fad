//! `counter`, run again and beside itself.

mod support;

use support::{Store, output};

/// SPEC L1: what a program has committed is there for the next.
#[test]
fn it_goes_on_where_it_was() {
    goes_on(&Store::in_folder());
}

#[cfg(feature = "fdb")]
#[expect(clippy::unwrap_used, reason = "a test fails by it")]
mod on_cluster {
    use super::*;
    use support::Running;

    /// SPEC F1: on a cluster too.
    #[test]
    fn it_goes_on_where_it_was() {
        goes_on(&Store::on_cluster());
    }

    /// SPEC S11: OS processes that increment one counter at the same time count each increment once.
    #[test]
    fn several_at_once_count_exactly() {
        let store = Store::on_cluster();
        let running = [(); 4].map(|()| Running::start(&mut store.example("counter")));
        for counter in running {
            counter.finish();
        }
        assert_eq!(found(&store), 40);
    }

    /// SPEC S11, S3: with many callers in each of two OS processes, every answered call is counted.
    #[test]
    fn two_with_many_callers_count_exactly() {
        let store = Store::on_cluster();
        let load = ["--callers", "16", "--seconds", "2"];
        let start = || Running::start(store.example("counter").args(load));
        let calls = [start(), start()].map(|counter| {
            let text = counter.finish();
            let (before, _) = text.split_once(" calls, ").unwrap();
            before.lines().last().unwrap().parse::<u64>().unwrap()
        });
        assert!(!calls.contains(&0), "{calls:?}");
        assert_eq!(found(&store), calls.iter().sum(), "{calls:?}");
    }

    /// What the next run finds.
    fn found(store: &Store) -> u64 {
        let text = output(&mut store.example("counter"));
        let (_, found) = text.split_once("found the counter at ").unwrap();
        found.lines().next().unwrap().parse().unwrap()
    }
}

fn goes_on(store: &Store) {
    for (found, left) in [(0, 10), (10, 20)] {
        let text = output(&mut store.example("counter"));
        assert!(
            text.contains(&format!("found the counter at {found}\n")),
            "{text}"
        );
        assert!(
            text.contains(&format!("left the counter at {left}\n")),
            "{text}"
        );
    }
}

/// A cluster that a program can't reach, because it was built without the client library, is an
/// error with the command to run.
#[cfg(not(feature = "fdb"))]
#[test]
fn a_cluster_without_the_feature_is_a_clear_error() {
    let store = Store::in_folder();
    let mut counter = store.example("counter");
    counter.env("DGEN_CLUSTER_FILE", "/etc/foundationdb/fdb.cluster");
    let refused = counter.output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(
        error.contains("cargo run --features fdb -p dgen-examples --example counter"),
        "{error}"
    );
}
