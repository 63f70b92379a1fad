//! The queue on the embedded store.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails, in helpers too"
)]

mod queue;

use dgen_backend::{Database, env::Env};
use queue::fixture;

fn database(env: Env) -> Database {
    let options = dgen_local::Options::default().env(env);
    options.in_memory().expect("a store in memory opens")
}

/// SPEC Q1, B3: what was pushed before a restart leaves before what was pushed after it.
#[tokio::test]
async fn order_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    for name in ["a", "b", "c"] {
        let f = fixture::Fixture::on(dgen_local::open(&path).unwrap());
        f.push([name.repeat(150_000), name.to_owned()]).await;
    }
    let f = fixture::Fixture::on(dgen_local::open(&path).unwrap());
    assert_eq!(f.len().await, 6);
    for name in ["a", "b", "c"] {
        assert!(f.consume(2).await == [name.repeat(150_000), name.to_owned()]);
    }
}
