//! The queue on a cluster.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, in helpers too"
)]

dgen_testkit::on_cluster! {
    mod queue;

    use dgen_backend::{Database, env::Env};
    use queue::fixture;

    fn database(env: Env) -> Database {
        dgen_testkit::cluster::database(env)
    }
}
