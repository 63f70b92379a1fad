//! The cluster that tests run on, where there is one: feature `fdb`.
//!
//! It is the one that the variable `FDB_CLUSTER_FILE` names; `cargo xtask fdb-test` sees to that.

use dgen_backend::{Database, env::Env, tuple};

use crate::prefixed;

/// What the keys of tests begin with; to be cleared when all are over.
pub const PREFIX: &str = "dgen-testkit";

/// The whole database of the cluster, in the environment `env`.
///
/// # Panics
/// If there is no cluster.
#[must_use]
pub fn whole_database(env: Env) -> Database {
    let options = dgen_fdb::Options::default().env(env);
    options.database().expect("a cluster file is named")
}

/// A new, empty database for one test: a part of the cluster's.
///
/// # Panics
/// If there is no cluster.
#[must_use]
pub fn database(env: Env) -> Database {
    let whole = whole_database(env);
    let unique: [u8; 16] = Env::system().random();
    prefixed(&whole, tuple::pack(&(PREFIX, "database", &unique[..])))
}
