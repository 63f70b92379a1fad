//! The storage contract, on disk and in memory (SPEC B9).

use dgen_backend::env::Env;
use dgen_local::Options;
use dgen_testkit::Subject;

fn on_disk(env: Env) -> Subject {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let db = options(env)
        .open(folder.path())
        .expect("an empty folder can be opened");
    Subject::from(db).keep(folder)
}

fn in_memory(env: Env) -> Subject {
    let db = options(env).in_memory().expect("memory can be had");
    Subject::from(db)
}

/// A short log, so that the suite passes through checkpoints too.
fn options(env: Env) -> Options {
    Options::default().env(env).segment_size_bytes(1 << 20)
}

mod disk {
    use super::*;

    dgen_testkit::conformance_tests! {
        database: on_disk(Env::system()),
        database_in: on_disk,
    }
}

mod memory {
    use super::*;

    dgen_testkit::conformance_tests! {
        database: in_memory(Env::system()),
        database_in: in_memory,
    }
}
