//! Callers who give up while their messages wait or are handled: who handles a message takes its word
//! for it that somebody waits, and looks nowhere else.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{pin::pin, time::Duration};

use dgen_backend::{Database, Tenant, tuple::Element};
use dgen_server::{Call, Handle};
use dgen_testkit::{
    Random,
    faults::{FaultyBackend, Rates},
};
use futures_util::future::{Either, join_all, poll_fn, select};

use crate::support::{
    elsewhere::elsewhere,
    gate::{Gate, gated},
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{go_on_until, until, while_time_passes, yield_times},
    *,
};

const MINUTE: Duration = Duration::from_secs(60);

fn call(client: &CounterHandle) -> Call<'_, Counter, i64> {
    client.call(CounterCall::Increment { by: 1 })
}

async fn start(tenant: &Tenant) -> CounterHandle {
    let started = Handle::start_with(tenant, "demo", 0, woken_only()).await;
    started.unwrap()
}

/// What callers have left: reply keys, and rows of the agenda.
async fn left(store: &Mocked) -> (usize, usize) {
    (
        store.keys_of("r").await.len(),
        store.keys_of("t").await.len(),
    )
}

async fn queued(store: &Mocked) -> usize {
    let keys = store.keys_of("q").await;
    let items = keys
        .iter()
        .filter(|key| key.get(3).and_then(Element::as_str) == Some("i"));
    items.count()
}

on_each_mocked_store! {
    /// SPEC S4: a caller who gives up while its message is in the queue leaves nothing, and nor does
    /// the answer: whether the message is small or in chunks.
    async fn a_message_is_handled_for_nobody(store: Mocked) {
        let there = elsewhere(&store.tenant);
        let client = CounterHandle::client(&there, "demo");
        let mut waiting = call(&client).into_future();
        let waits = async || left(&store).await == (1, 1);
        go_on_until(&mut waiting, "it waits", waits).await;
        drop(waiting);
        until("it has given up", async || left(&store).await == (0, 0)).await;
        assert_eq!(queued(&store).await, 1);
        let counter = start(&store.tenant).await;
        until("it is handled", async || queued(&store).await == 0).await;
        assert_eq!(value(&counter).await, 1);
        assert_eq!(left(&store).await, (0, 0));
    }

    /// SPEC S4, S2: a caller gives up between the consumer's look at its message and the commit: the
    /// message is handled once, and its answer is not left behind.
    async fn the_caller_gives_up_before_the_consumers_commit(store: Mocked) {
        let (here, gate) = gated(&store.tenant);
        let counter = start(&here).await;
        increment(&counter, 1).await;
        gate.shut();
        let there = elsewhere(&store.tenant);
        let client = CounterHandle::client(&there, "demo");
        let mut waiting = call(&client).into_future();
        {
            let arrived = pin!(gate.arrived());
            let first = select(&mut waiting, arrived).await;
            assert!(matches!(first, Either::Right(_)), "it is not answered");
        }
        drop(waiting);
        until("it has given up", async || left(&store).await == (0, 0)).await;
        gate.open();
        until("it is handled", async || queued(&store).await == 0).await;
        assert_eq!(value(&counter).await, 2);
        assert_eq!(left(&store).await, (0, 0));
    }

    /// SPEC S4, S2: the other way round, the consumer commits while the caller gives up: the message is
    /// not brought back, and its answer is taken away.
    async fn the_consumer_commits_while_the_caller_gives_up(store: Mocked) {
        let (there, gate) = gated(&store.tenant);
        let client = CounterHandle::client(&there, "demo");
        let mut waiting = call(&client).into_future();
        let waits = async || left(&store).await == (1, 1);
        go_on_until(&mut waiting, "it waits", waits).await;
        gate.shut();
        drop(waiting);
        gate.arrived().await;
        let counter = start(&store.tenant).await;
        until("it is handled", async || queued(&store).await == 0).await;
        assert_eq!(left(&store).await, (1, 1), "the answer");
        gate.open();
        until("it has given up", async || left(&store).await == (0, 0)).await;
        assert_eq!((value(&counter).await, queued(&store).await), (1, 0));
    }

    /// SPEC S4: a dead caller's message that is still in the queue when its reply key is to be swept: the
    /// key is swept once there is no answer to come, however far behind the message is.
    async fn a_reply_key_is_not_swept_before_its_message_is_handled(store: Mocked) {
        let there = elsewhere(&store.tenant);
        let client = CounterHandle::client(&there, "demo");
        // More than one batch.
        client.cast_all(vec![CounterCast::Add { by: 1 }; 1_500]).await.unwrap();
        let mut waiting = call(&client).into_future();
        let waits = async || left(&store).await == (1, 1);
        go_on_until(&mut waiting, "it waits", waits).await;
        // The dead drop nothing.
        std::mem::forget(waiting);
        store.advance(11 * MINUTE).await;
        let counter = start(&store.tenant).await;
        assert_eq!(value(&counter).await, 1_501);
        assert_eq!(left(&store).await, (1, 1), "the answer, and when to sweep it");
        store.advance(11 * MINUTE).await;
        increment(&counter, 1).await;
        until("it is swept", async || left(&store).await == (0, 0)).await;
    }

    /// SPEC S4, T2: timers that fire in the transaction that sweeps disturb nothing.
    async fn timers_and_sweeps_share_a_transaction(store: Mocked) {
        use crate::support::desk::{DeskCall, DeskCast, DeskHandle, Step, after, texts};
        let client = DeskHandle::client(&elsewhere(&store.tenant), "desk");
        let desk = crate::support::desk::desk(&store.tenant, "desk").await;
        let timers = (1..=3).map(|number| Step::Timer(after(660, &format!("timer {number}"))));
        desk.cast(DeskCast::Do(timers.collect())).await.unwrap();
        desk.stop().await;
        for number in 1..=3 {
            let call = client.call::<u32, dgen_server::Never>(DeskCall::Do(Vec::new()));
            let mut call = call.into_future();
            let waits = async || left(&store).await == (number, 3 + number);
            go_on_until(&mut call, "it waits", waits).await;
            std::mem::forget(call);
        }
        store.advance(11 * MINUTE).await;
        let desk = crate::support::desk::desk(&store.tenant, "desk").await;
        assert_eq!(texts(&desk, &store.tenant).await, ["timer 1", "timer 2", "timer 3"]);
        assert_eq!(left(&store).await, (0, 0));
    }
}

/// SPEC S4, S2: whatever callers do, and whatever becomes of their commits, each message is handled
/// at most once, and after the last sweep nothing is left but the state and an empty queue.
#[tokio::test]
async fn callers_who_give_up_at_any_time_leave_nothing() {
    for seed in 0..24 {
        let store = Mocked::in_memory();
        let faulty = |seed| {
            let db = store.tenant.database().clone();
            let db = FaultyBackend::new(db, seed, Rates::all(0.05));
            let faults = db.faults();
            let tenant = Tenant::new(Database::new(db), store.tenant.subspace().clone());
            (tenant, faults)
        };
        let consumers = [faulty(3 * seed), faulty(3 * seed + 1)];
        let (there, faults) = faulty(3 * seed + 2);
        let (mut counters, mut gates) = (Vec::new(), Vec::new());
        for (tenant, _) in &consumers {
            let (tenant, gate) = gated(tenant);
            let started = loop {
                if let Ok(started) = CounterHandle::start(&tenant, "demo", 0).await {
                    break started;
                }
            };
            counters.push(started);
            gates.push(gate);
        }
        let (there, gate) = gated(&there);
        gates.push(gate);
        let client = CounterHandle::client(&there, "demo");
        let random = std::cell::RefCell::new(Random::new(seed));
        let below = &|bound| random.borrow_mut().below(bound);
        let callers = (0..8).map(|_| async {
            let mut answered = 0;
            for _ in 0..20 {
                let patience = [1, 3, 8, 400][below(4)];
                let mut call = call(&client).timeout(60 * MINUTE).into_future();
                let mut polls = 0;
                let answer = poll_fn(|cx| {
                    polls += 1;
                    cx.waker().wake_by_ref();
                    if polls > patience {
                        return std::task::Poll::Ready(None);
                    }
                    call.as_mut().poll(cx).map(Some)
                });
                answered += i64::from(matches!(answer.await, Some(Ok(_))));
            }
            answered
        });
        // All are held up now and then, each before a commit.
        let doorman = async {
            loop {
                gates.iter().for_each(Gate::shut);
                yield_times(below(60)).await;
                gates.iter().for_each(Gate::open);
                yield_times(below(20)).await;
            }
        };
        let callers = select(Box::pin(join_all(callers)), Box::pin(doorman));
        let answered: i64 = match while_time_passes(&store.clock, &store.tenant, callers).await {
            Either::Left((answered, _)) => answered.into_iter().sum(),
            Either::Right((never, _)) => never,
        };
        gates.iter().for_each(Gate::open);
        faults.stop();
        consumers.iter().for_each(|(_, faults)| faults.stop());
        let second = Duration::from_secs(1);
        store
            .advance_until("all is handled", second, async || queued(&store).await == 0)
            .await;
        let handled = value(&counters[0]);
        let handled = while_time_passes(&store.clock, &store.tenant, handled).await;
        assert!(
            (answered..=160).contains(&handled),
            "seed {seed}: {answered} {handled}"
        );
        // What a push left that arrived after its caller had gone, or is still under way.
        for _ in 0..3 {
            store.advance(75 * MINUTE).await;
            let look = increment(&counters[0], 0);
            while_time_passes(&store.clock, &store.tenant, look).await;
        }
        store
            .advance_until("all is swept", second, async || {
                left(&store).await == (0, 0)
            })
            .await;
    }
}
