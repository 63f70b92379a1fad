//! States on the embedded store.

mod transactions;

fn database() -> dgen_backend::Database {
    dgen_local::in_memory().expect("a store in memory opens")
}
