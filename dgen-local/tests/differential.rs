//! The same random transactions on two stores: everything that can be seen is the same.

use dgen_testkit::differential::{Options, compare};

/// SPEC B9: a store on disk, with a log so short that it is checkpointed all the time, and one in
/// memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_and_memory_show_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let options = dgen_local::Options::default().segment_size_bytes(1 << 16);
    let disk = options.open(folder.path()).unwrap();
    let memory = dgen_local::in_memory().unwrap();
    let report = compare(&disk, &memory, &Options::new(1)).await.unwrap();
    assert!(report.commits > 0 && report.conflicts > 0, "{report:?}");
}
