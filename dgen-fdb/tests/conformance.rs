//! The storage contract on a cluster (SPEC B9).

use dgen_backend::Database;
use dgen_fdb::Options;

fn database() -> Database {
    let opened = Options::default().database();
    opened.expect("FDB_CLUSTER_FILE names a cluster; `cargo xtask fdb-test` starts one")
}

dgen_testkit::conformance_tests! {
    database: database(),
    skip_clock: "a cluster keeps its own time",
}
