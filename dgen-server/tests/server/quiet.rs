//! An inline call reads one count if nothing else has happened since the last one. Whatever
//! else happens has to be seen by it.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::pin::pin;

use dgen_server::{Handle, Never, StartOptions, Tenant};
use dgen_testkit::counting::counted;
use futures_util::future::{Either, select};

use crate::support::{elsewhere::elsewhere, mocked::woken_only, patience::until, *};

async fn quiet(tenant: &Tenant) -> CounterHandle {
    quiet_with(tenant, woken_only()).await
}

/// A process that knows that nothing is to be done but what its callers bring.
async fn quiet_with(tenant: &Tenant, options: StartOptions) -> CounterHandle {
    let counter = Handle::start_with(tenant, "demo", 0, options).await;
    let counter = counter.unwrap();
    increment(&counter, 1).await;
    increment(&counter, 1).await;
    counter
}

on_each_store! {
    /// SPEC F3: an inline call to a server at which nothing else happens reads one key.
    async fn an_inline_call_reads_one_key(store: Store, faultless = "it counts what is read or written") {
        let (db, counts) = counted(store.tenant.database().clone());
        let tenant = Tenant::new(db, store.tenant.subspace().clone());
        let counter = quiet(&tenant).await;
        for by in 1..=20 {
            let before = (counts.keys_read(), counts.rows_read());
            increment(&counter, by).await;
            assert_eq!((counts.keys_read(), counts.rows_read()), (before.0 + 1, before.1));
        }
        let before = (counts.keys_read(), counts.rows_read());
        assert_eq!(value(&counter).await, 212);
        assert_eq!((counts.keys_read(), counts.rows_read()), (before.0 + 1, before.1));
    }

    /// SPEC S8, S5: a state that was changed elsewhere, inline or by a priority call, is the one that is
    /// worked on.
    async fn a_state_that_others_change_is_seen(store: Store) {
        let here = quiet(&store.tenant).await;
        let there = quiet(&elsewhere(&store.tenant)).await;
        let mut sum = value(&here).await;
        for round in 0..20 {
            let counter = if round % 3 == 0 { &here } else { &there };
            for _ in 0..round % 4 {
                sum += 1;
                assert_eq!(increment(counter, 1).await, sum);
            }
            let client = CounterHandle::client(&elsewhere(&store.tenant), "demo");
            let urgent = client.call::<i64, Never>(CounterCall::Increment { by: 10 });
            sum += 10;
            assert_eq!(urgent.priority().await.unwrap(), sum);
            sum += 1;
            assert_eq!(increment(&here, 1).await, sum);
        }
    }

    /// SPEC S3: what was pushed from elsewhere before a call came is handled before it.
    async fn what_others_push_goes_first(store: Store) {
        let here = quiet(&store.tenant).await;
        let there = CounterHandle::client(&elsewhere(&store.tenant), "demo");
        let mut sum = value(&here).await;
        for _ in 0..20 {
            there.cast(CounterCast::Add { by: 100 }).await.unwrap();
            sum += 101;
            assert_eq!(increment(&here, 1).await, sum);
            sum += 1;
            assert_eq!(increment(&here, 1).await, sum);
        }
    }

    /// SPEC S7: a server that was locked elsewhere handles no call until it is unlocked.
    async fn a_lock_that_others_take_is_seen(store: Store) {
        let here: Handle<ledger::Ledger> =
            Handle::start_with(&store.tenant, "demo", (), woken_only()).await.unwrap();
        let note = |number| here.call::<u32, Never>(ledger::LedgerCall::Note(number));
        note(1).await.unwrap();
        note(2).await.unwrap();
        let there: Handle<ledger::Ledger> =
            Handle::start_with(&elsewhere(&store.tenant), "demo", (), woken_only()).await.unwrap();
        there.cast(ledger::LedgerCast::Block).await.unwrap();
        let waits = until("it is queued", async || here.queue_len().await.unwrap() > 0);
        let call = pin!(note(3).into_future());
        match select(call, pin!(waits)).await {
            Either::Left((answer, _)) => panic!("handled in spite of the lock: {answer:?}"),
            Either::Right(((), _)) => {}
        };
    }

    /// SPEC S10: a server that was killed and started anew elsewhere is that new one.
    async fn a_server_that_others_start_anew_is_seen(store: Store) {
        for _ in 0..5 {
            let here = quiet(&store.tenant).await;
            increment(&here, 1).await;
            let there = elsewhere(&store.tenant);
            CounterHandle::client(&there, "demo").kill().await.unwrap();
            // As many changes as the first one had seen.
            let anew = Handle::start_with(&there, "demo", 1_000, woken_only()).await;
            let anew: CounterHandle = anew.unwrap();
            for _ in 0..3 {
                increment(&anew, 1).await;
            }
            assert_eq!(increment(&here, 1).await, 1_004);
            anew.stop().await;
            here.stop().await;
            CounterHandle::client(&there, "demo").kill().await.unwrap();
        }
    }
}
