//! Ids on a store that loses answers: whoever repeats a call until it is answered has it done once.

use std::time::Duration;

use dgen_backend::Database;
use dgen_server::{CastError, Never, StartOptions, Tenant};
use dgen_testkit::faults::{FaultyBackend, Rates};
use futures_util::future::{join, join_all};

use crate::support::*;

/// The same store as another OS process would have it, over a network that fails.
fn faulty(here: &Tenant, seed: u64) -> Tenant {
    let db = FaultyBackend::new(here.database().clone(), seed, Rates::all(0.04));
    Tenant::new(Database::new(db), here.subspace().clone())
}

fn options() -> StartOptions {
    StartOptions::default().poll_interval(Duration::from_millis(20))
}

async fn start(tenant: &Tenant) -> CounterHandle {
    loop {
        let started = CounterHandle::start_with(tenant, "demo", 0, options()).await;
        if let Ok(handle) = started {
            return handle;
        }
    }
}

/// Calls until it is answered, now through one handle, now through another.
async fn increment_once(handles: &[CounterHandle], id: &str) -> i64 {
    for handle in handles.iter().cycle() {
        let call = handle.call::<i64, Never>(CounterCall::Increment { by: 1 });
        if let Ok(value) = call.id(id).timeout(Duration::from_secs(60)).await {
            return value;
        }
    }
    unreachable!("there are handles")
}

async fn add_once(handles: &[CounterHandle], id: &str) {
    for handle in handles.iter().cycle() {
        let casts = vec![CounterCast::Add { by: 1 }; 3];
        let cast: Result<(), CastError> = handle.cast_all(casts).id(id).await;
        if cast.is_ok() {
            return;
        }
    }
}

async fn repeated_messages_take_effect_once(here: &Tenant, seed: u64) {
    let handles = [
        start(&faulty(here, seed)).await,
        start(&faulty(here, seed + 1_000)).await,
        CounterHandle::client_with(&faulty(here, seed + 2_000), "demo", options()),
    ];
    let callers = (0..4).map(async |caller| {
        let mut values = Vec::new();
        for number in 0..6 {
            let id = format!("{caller} {number}");
            // Somebody else sends the same at the same time.
            let twice = join(
                increment_once(&handles, &id),
                increment_once(&handles[1..], &id),
            );
            let (value, same) = twice.await;
            assert_eq!(value, same, "seed {seed}, id {id}");
            values.push(value);
            add_once(&handles, &format!("{caller} {number} casts")).await;
        }
        values
    });
    let mut values: Vec<i64> = join_all(callers).await.into_iter().flatten().collect();
    for handle in &handles {
        handle.stop().await;
    }
    let counter = start(here).await;
    assert_eq!(value(&counter).await, 4 * 6 * (1 + 3), "seed {seed}");
    values.sort_unstable();
    values.dedup();
    assert_eq!(values.len(), 4 * 6, "seed {seed}: each call is another");
    counter.stop().await;
}

/// SPEC T3, S2: whatever the store does, what is repeated with its id takes effect once.
#[tokio::test]
async fn repeated_messages_take_effect_once_in_memory() {
    for seed in 0..10 {
        repeated_messages_take_effect_once(&Store::in_memory().tenant, seed).await;
    }
}

/// The same on disk.
#[tokio::test]
async fn repeated_messages_take_effect_once_on_disk() {
    for seed in 0..2 {
        repeated_messages_take_effect_once(&Store::on_disk().tenant, seed).await;
    }
}
