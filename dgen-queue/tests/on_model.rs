//! The queue on the reference model, and behind a connection that loses answers.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, in helpers too"
)]

mod queue;
#[path = "queue/retries.rs"]
mod retries;

pub(crate) use queue::fixture;

fn database() -> dgen_backend::Database {
    dgen_testkit::model::in_memory()
}
