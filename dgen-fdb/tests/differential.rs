//! The same random transactions on a cluster and on the embedded stores: everything that can be seen
//! is the same.

use dgen_backend::{Database, env::Env};
use dgen_testkit::differential::{Options, compare};

fn cluster() -> Database {
    let opened = dgen_fdb::Options::default().database();
    opened.expect("FDB_CLUSTER_FILE names a cluster; `cargo xtask fdb-test` starts one")
}

/// The seed of the run: another one each time, shown by a failure, and `DGEN_SEED` replays it.
fn seed() -> u64 {
    let from_variable = std::env::var("DGEN_SEED").ok();
    from_variable
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from_le_bytes(Env::system().random()))
}

/// SPEC B9, F1: a store on disk, which imitates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_and_disk_show_the_same() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let disk = dgen_local::open(folder.path()).expect("an empty folder can be opened");
    let report = compare(&cluster(), &disk, &Options::new(seed())).await;
    let report = report.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(report.commits > 0 && report.conflicts > 0, "{report:?}");
}

/// SPEC B9, F1: the reference model.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_and_model_show_the_same() {
    let model = dgen_testkit::model::in_memory();
    let report = compare(&cluster(), &model, &Options::new(seed())).await;
    let report = report.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(report.commits > 0 && report.conflicts > 0, "{report:?}");
}
