//! What calls cost in flushes of the disk, counted and not timed.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;

use dgen_backend::{Tenant, tuple::Subspace};
use dgen_local::disk::{CountingDisk, MemoryDisk};
use dgen_server::Never;
use futures_util::future::{join, join_all};

use crate::support::{gate::gated, *};

fn counted() -> (Arc<CountingDisk>, Tenant) {
    let disk = Arc::new(CountingDisk::new(Arc::new(MemoryDisk::new())));
    let db = dgen_local::Options::default()
        .open_on(disk.clone())
        .unwrap();
    (disk, Tenant::new(db, Subspace::from("test")))
}

/// SPEC S3: a durable inline call of one caller costs exactly one flush; one that changes nothing
/// costs none.
#[tokio::test]
async fn an_inline_call_costs_one_flush() {
    let (disk, tenant) = counted();
    let counter = CounterHandle::start(&tenant, "demo", 0).await.unwrap();
    increment(&counter, 1).await;
    let before = disk.counts().syncs;
    for _ in 0..20 {
        increment(&counter, 1).await;
    }
    assert_eq!(disk.counts().syncs - before, 20);
    let before = disk.counts().syncs;
    for _ in 0..20 {
        value(&counter).await;
    }
    assert_eq!(disk.counts().syncs, before);
}

/// SPEC S3, L3: calls that wait together share one transaction and its flush.
#[tokio::test]
async fn calls_that_wait_together_share_a_flush() {
    let (disk, tenant) = counted();
    let counter = CounterHandle::start(&tenant, "demo", 0).await.unwrap();
    increment(&counter, 1).await;
    let before = disk.counts().syncs;
    join_all((0..64).map(|_| increment(&counter, 1))).await;
    let flushes = disk.counts().syncs - before;
    assert!(flushes <= 8, "64 calls took {flushes} flushes");
}

/// SPEC S3: who was just answered and calls again joins those who came meanwhile, so that callers do not fall into two
/// halves, of which one waits while the other's calls are flushed.
#[tokio::test]
async fn who_was_just_answered_joins_those_who_wait() {
    let (disk, tenant) = counted();
    let (tenant, gate) = gated(&tenant);
    let counter = CounterHandle::start(&tenant, "demo", 0).await.unwrap();
    increment(&counter, 1).await;
    let before = disk.counts().syncs;
    gate.shut();
    let first = (0..4).map(async |_| {
        increment(&counter, 1).await;
        increment(&counter, 1).await;
    });
    let meanwhile = async {
        gate.arrived().await;
        let calls = join_all((0..4).map(|_| increment(&counter, 1)));
        join(calls, async { gate.open() }).await;
    };
    join(join_all(first), meanwhile).await;
    assert_eq!(value(&counter).await, 13);
    assert_eq!(disk.counts().syncs - before, 2);
}

/// SPEC S3, T1: callers that find no room in a mailbox wait for it, and each call takes effect once.
#[tokio::test]
async fn more_callers_than_a_mailbox_holds_are_all_handled() {
    let (disk, tenant) = counted();
    let counter = CounterHandle::start(&tenant, "demo", 0).await.unwrap();
    let before = disk.counts().syncs;
    let mut answers = join_all((0..3_000).map(|_| increment(&counter, 1))).await;
    answers.sort_unstable();
    assert!(answers.into_iter().eq(1..=3_000), "each is counted once");
    let flushes = disk.counts().syncs - before;
    assert!(flushes <= 60, "3,000 calls took {flushes} flushes");
}

/// SPEC S3, T1: a process that ends sends those who wait for room to the queue, whence another takes
/// them.
#[tokio::test]
async fn callers_that_wait_for_room_outlive_the_process() {
    let (_disk, tenant) = counted();
    let first = CounterHandle::start(&tenant, "demo", 0).await.unwrap();
    let calls = join_all((0..3_000).map(|_| increment(&first, 1)));
    let stop = async {
        // They are all on their way by now: the mailbox is full.
        first.stop().await;
        CounterHandle::start(&tenant, "demo", 0).await.unwrap()
    };
    let (mut answers, _second) = join(calls, stop).await;
    answers.sort_unstable();
    assert!(answers.into_iter().eq(1..=3_000), "each is counted once");
}

/// SPEC L3: transactions of many servers that wait at the same time share flushes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_share_flushes() {
    let (disk, tenant) = counted();
    let start = |id: i64| CounterHandle::start(&tenant, id, 0);
    let counters = join_all((0..32).map(start)).await;
    let counters: Vec<_> = counters.into_iter().map(Result::unwrap).collect();
    let before = disk.counts().syncs;
    join_all(counters.iter().map(|counter| increment(counter, 1))).await;
    let flushes = disk.counts().syncs - before;
    assert!(flushes < 32, "32 servers took {flushes} flushes");
}

/// SPEC S8: a consumer that alone writes a server reads no state: a damaged copy on disk that
/// nobody reads goes unnoticed, and its answers stay right.
#[tokio::test]
async fn a_warm_cache_reads_no_state() {
    let (_disk, tenant) = counted();
    let counter = CounterHandle::start(&tenant, "demo", 5).await.unwrap();
    assert_eq!(increment(&counter, 1).await, 6);
    // Behind the server's back, and without a new version: only a read would see it.
    let state = tenant.subspace().subspace(&vec![
        dgen_backend::tuple::Element::String("Counter".into()),
        dgen_backend::tuple::Element::Tuple(vec![dgen_backend::tuple::Element::String(
            "demo".into(),
        )]),
    ]);
    let state = state.subspace(&"s");
    let db = tenant.database();
    let tx = db.begin().unwrap();
    let rows = tx
        .collect_range(dgen_backend::KeyRange::subspace(&state))
        .await
        .unwrap();
    let is_version = |key: &[u8]| key == dgen_codec::version_key(&state);
    for row in rows.iter().filter(|row| !is_version(&row.key)) {
        tx.set(&row.key, b"\xc1 is never MessagePack").unwrap();
    }
    assert!(rows.len() > 1, "there is a state to damage");
    tx.commit().await.unwrap();
    assert_eq!(
        counter
            .call::<i64, Never>(CounterCall::Value)
            .await
            .unwrap(),
        6
    );

    // A process with a cold cache reads it, says where it is damaged, and overwrites nothing.
    let error = CounterHandle::start(&tenant, "demo", 0).await.unwrap_err();
    let text = format!("{error}");
    assert!(
        text.contains("Counter(\"demo\")") && text.contains("damaged at"),
        "{text}"
    );
    let after = db.begin().unwrap();
    let kept = after
        .collect_range(dgen_backend::KeyRange::subspace(&state))
        .await
        .unwrap();
    assert_eq!(kept.len(), rows.len());
}
