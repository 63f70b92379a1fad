//! Ending all processes of a tenant gracefully.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use dgen_backend::tuple::Subspace;
use dgen_server::{Handle, HeldBy, Never, StartOptions, StopReason, Tenant, shutdown};
use dgen_testkit::MockClock;
use futures_util::future::join_all;

use crate::support::{
    elsewhere::elsewhere,
    ledger::{Ledger, LedgerCall, LedgerCast, stored},
    mortal::{Death, Life},
    patience::{until, while_time_passes},
    *,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// Nobody polls: whoever is not woken waits for ever.
fn options() -> StartOptions {
    StartOptions::default().poll_interval(Duration::from_secs(1_000_000))
}

async fn start(tenant: &Tenant, id: &str) -> CounterHandle {
    CounterHandle::start_with(tenant, id, 0, options())
        .await
        .unwrap()
}

async fn start_ledger(tenant: &Tenant) -> Handle<Ledger> {
    Handle::start_with(tenant, "demo", (), options())
        .await
        .unwrap()
}

/// The fence of who holds the ledger's lock.
async fn fence(ledger: &Handle<Ledger>) -> Option<u64> {
    match ledger.status().await.unwrap().hold? {
        HeldBy::Lock { fence, .. } => Some(fence),
        held_by => panic!("{held_by:?}"),
    }
}

on_each_store! {
    /// SPEC S10: shutdown ends every process of the tenant in this OS process, and no other's.
    async fn shutdown_ends_the_processes_of_its_tenant_alone(store: Store) {
        let other = Tenant::new(store.tenant.database().clone(), Subspace::from("dgen2"));
        let mut counters = Vec::new();
        for id in ["one", "one", "two"] {
            counters.push(start(&store.tenant, id).await);
        }
        let ledger = start_ledger(&store.tenant).await;
        let neighbour = start(&other, "one").await;
        let there = start(&elsewhere(&store.tenant), "three").await;
        shutdown(&store.tenant, DEADLINE).await.unwrap();
        for counter in &counters {
            assert_eq!(counter.stopped().await, StopReason::Shutdown);
        }
        assert_eq!(ledger.stopped().await, StopReason::Shutdown);
        assert_eq!(increment(&neighbour, 1).await, 1);
        assert_eq!(increment(&there, 1).await, 1);
        // There is nothing left to end.
        shutdown(&store.tenant, DEADLINE).await.unwrap();
    }

    /// SPEC S10, S2: whatever moment it is, each call that is under way is answered, by the process
    /// that ends or by the next one, and takes effect once.
    async fn shutdown_loses_no_call_that_is_under_way(store: Store) {
        for round in 1..=20 {
            let counter = start(&store.tenant, "demo").await;
            let calls = join_all((0..8).map(|_| increment(&counter, 1)));
            let restart = async {
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                shutdown(&store.tenant, DEADLINE).await.unwrap();
                assert_eq!(counter.stopped().await, StopReason::Shutdown);
                start(&store.tenant, "demo").await
            };
            let (mut answers, again) = tokio::join!(calls, restart);
            answers.sort_unstable();
            let first = (round - 1) * 8 + 1;
            assert_eq!(answers, (first..first + 8).collect::<Vec<_>>());
            again.stop().await;
        }
    }

    /// SPEC S10, S7: locked work is finished and its caller answered; what came behind it waits in
    /// the queue for the next process.
    async fn shutdown_finishes_locked_work_and_leaves_the_queue(store: Store) {
        let ledger = start_ledger(&store.tenant).await;
        let lock = ledger.call::<u32, Never>(LedgerCall::Lock(1, "other".to_owned()));
        let end = async {
            until("the lock", async || ledger.status().await.unwrap().hold.is_some()).await;
            ledger.cast(LedgerCast::Note(2)).await.unwrap();
            shutdown(&store.tenant, DEADLINE).await.unwrap();
            ledger.cast(LedgerCast::Note(3)).await.unwrap();
        };
        let (answer, ()) = tokio::join!(lock.into_future(), end);
        assert_eq!(answer.unwrap(), 1);
        let seen = stored(&store.tenant, "demo").await.seen;
        assert!(seen == [1] || seen == [1, 2], "{seen:?}");
        assert_eq!(ledger.queue_len().await.unwrap(), 4 - 1 - seen.len() as u64);
        let again = start_ledger(&store.tenant).await;
        let note = again.call::<u32, Never>(LedgerCall::Note(4));
        assert_eq!(note.await.unwrap(), 4);
        assert_eq!(stored(&store.tenant, "demo").await.seen, [1, 2, 3, 4]);
    }

    /// SPEC S10, S7: locked work that takes longer than the deadline is dropped, and named; its lock
    /// is let go, so that the next consumer does it at once.
    async fn shutdown_drops_what_is_over_its_deadline(store: Store) {
        let store = &store.tenant;
        let clock = MockClock::new(1);
        let life = Life::new(Death::Never);
        let tenant = life.open(store, &clock);
        let quick = CounterHandle::start(&tenant, "quick", 0).await.unwrap();
        let options = options().lock_lease(Duration::from_secs(1_000_000));
        let start = || Handle::<Ledger>::start_with(&tenant, "demo", (), options.clone());
        let ledger = start().await.unwrap();
        ledger.cast(LedgerCast::Block).await.unwrap();
        ledger.cast(LedgerCast::Note(1)).await.unwrap();
        let fence = fence(&ledger).await.unwrap();
        let ended = while_time_passes(&clock, store, shutdown(&tenant, DEADLINE)).await;
        let unfinished = ended.unwrap_err();
        assert_eq!(unfinished.after, DEADLINE);
        assert_eq!(unfinished.servers, [r#"Ledger("demo")"#]);
        assert_eq!(ledger.stopped().await, StopReason::Requested);
        assert_eq!(quick.stopped().await, StopReason::Shutdown);
        // Nobody has to wait for the lease.
        let (again, elapsed) = (start().await.unwrap(), clock.elapsed());
        until("a new holder", async || self::fence(&again).await.is_some_and(|now| now > fence)).await;
        assert_eq!(again.queue_len().await.unwrap(), 1);
        assert_eq!(clock.elapsed(), elapsed);
        life.end();
    }
}

/// SPEC S10, L1: once shutdown returns nothing holds the store: it can be opened again, and all is
/// there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_can_be_opened_again_after_shutdown() {
    let mut store = Store::on_disk();
    for round in 1..=20 {
        let counters = join_all(["one", "two", "three"].map(|id| start(&store.tenant, id))).await;
        for counter in &counters {
            assert_eq!(increment(counter, 1).await, round);
        }
        shutdown(&store.tenant, DEADLINE).await.unwrap();
        drop(counters);
        store = store.reopen();
    }
}
