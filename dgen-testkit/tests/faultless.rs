//! The suite on a database that hands everything on and injects nothing: tests what wraps, and,
//! because such a database may lose answers, commit markers.

use dgen_backend::{Database, env::Env};
use dgen_testkit::{
    faults::{FaultyBackend, Rates},
    model,
};

fn faultless(env: Env) -> Database {
    Database::new(FaultyBackend::new(
        model::in_memory_in(env),
        0,
        Rates::default(),
    ))
}

dgen_testkit::conformance_tests! {
    database: faultless(Env::system()),
    database_in: faultless,
}
