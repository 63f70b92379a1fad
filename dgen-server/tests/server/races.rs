//! Two processes of one server, of which one is faster.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{pin::pin, time::Duration};

use dgen_server::{Handle, Never, Tenant};
use futures_util::future::{Either, join, select};

use crate::support::{
    elsewhere::elsewhere,
    gate::gated,
    ledger::{Ledger, LedgerCall, LedgerCast},
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::until,
    *,
};

/// How many messages went through the queue.
async fn pushes(tenant: &Tenant) -> i64 {
    let server = tenant.subspace().subspace(&("Counter", ("demo",)));
    let tx = tenant.database().begin().unwrap();
    let pushed = tx.get(&server.pack(&("q", "pushed"))).await.unwrap();
    pushed.map_or(0, |bytes| i64::from_le_bytes(bytes[..].try_into().unwrap()))
}

mod locks {
    use super::*;

    on_each_store! {
        /// SPEC S7, S11: a lock that is taken between the look of an inline call and its commit makes the
        /// call wait, though the call had looked at nothing but the count of changes.
        async fn a_lock_between_look_and_commit_is_noticed(store: Store) {
            let (behind, gate) = gated(&store.tenant);
            let here: Handle<Ledger> =
                Handle::start_with(&behind, "demo", (), woken_only()).await.unwrap();
            let there: Handle<Ledger> =
                Handle::start_with(&elsewhere(&store.tenant), "demo", (), woken_only()).await.unwrap();
            let note = |number| here.call::<u32, Never>(LedgerCall::Note(number));
            note(1).await.unwrap();
            note(2).await.unwrap();
            gate.shut();
            let meanwhile = async {
                gate.arrived().await;
                there.cast(LedgerCast::Block).await.unwrap();
                gate.open();
                until("it is queued", async || here.queue_len().await.unwrap() > 0).await;
            };
            let call = pin!(note(3).into_future());
            match select(call, pin!(meanwhile)).await {
                Either::Left((answer, _)) => panic!("handled in spite of the lock: {answer:?}"),
                Either::Right(((), _)) => {}
            };
        }
    }
}

mod outrun {
    use super::*;

    on_each_mocked_store! {
        /// SPEC S11: a call that loses race after race goes into the queue, from where the faster process
        /// takes it; and so do the next ones, for a while.
        async fn who_is_outrun_goes_through_the_queue(store: Mocked, faultless = "it counts races") {
            let (behind, gate) = gated(&store.tenant);
            let here: CounterHandle =
                Handle::start_with(&behind, "demo", 0, woken_only()).await.unwrap();
            let there: CounterHandle =
                Handle::start_with(&elsewhere(&store.tenant), "demo", 0, woken_only()).await.unwrap();
            increment(&here, 1).await;
            increment(&there, 1).await;
            gate.shut();
            let faster = async {
                for _ in 0..3 {
                    gate.arrived().await;
                    increment(&there, 1).await;
                    gate.let_one_through();
                }
                // What comes now is the push.
                gate.arrived().await;
                assert_eq!(here.queue_len().await.unwrap(), 0);
                gate.let_one_through();
            };
            let (sum, ()) = join(increment(&here, 10), faster).await;
            assert_eq!(sum, 15);
            assert_eq!(pushes(&store.tenant).await, 1);
            gate.open();
            assert_eq!(increment(&here, 1).await, 16);
            assert_eq!(pushes(&store.tenant).await, 2);
            store.advance(Duration::from_secs(1)).await;
            assert_eq!(increment(&here, 1).await, 17);
            assert_eq!(pushes(&store.tenant).await, 2);
        }
    }
}
