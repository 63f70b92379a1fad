//! The queue on the reference model.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, in helpers too"
)]

mod queue;

use dgen_backend::{Database, env::Env};
use queue::fixture;

fn database(env: Env) -> Database {
    dgen_testkit::model::in_memory_in(env)
}
