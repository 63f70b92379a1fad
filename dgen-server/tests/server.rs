//! Servers: start, call, cast, state, stop.

mod support;

use dgen_server::{
    CallError, Context, Failure, Handle, Never, Reply, Server, StartOptions, StopReason,
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use support::*;

on_each_store! {
    /// SPEC S1, S2
    async fn counts_from_zero_to_one(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        assert_eq!(increment(&counter, 1).await, 1);
        assert_eq!(value(&counter).await, 1);
    }

    /// SPEC S1: servers with different ids, or of different names, do not see each other.
    async fn ids_and_names_keep_servers_apart(store: Store) {
        let one = CounterHandle::start(&store.tenant, "one", 0).await.unwrap();
        let two = CounterHandle::start(&store.tenant, ("one", "s"), 10).await.unwrap();
        let options = StartOptions::default().name("Other");
        let other = CounterHandle::start_with(&store.tenant, "one", 20, options).await.unwrap();
        increment(&one, 1).await;
        assert_eq!(value(&one).await, 1);
        assert_eq!(value(&two).await, 10);
        assert_eq!(value(&other).await, 20);
    }

    /// SPEC S1: the id defaults to the type's name alone.
    async fn the_id_defaults_to_the_type(store: Store) {
        let started = CounterHandle::start(&store.tenant, (), 7).await.unwrap();
        assert_eq!(started.name(), "Counter");
        let client = CounterHandle::client(&store.tenant, ());
        assert_eq!(value(&client).await, 7);
    }

    /// SPEC S1: a state that exists wins over init; reset begins anew.
    async fn existing_state_wins_over_init(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 5).await.unwrap();
        increment(&counter, 1).await;
        counter.stop().await;
        let again = CounterHandle::start(&store.tenant, "demo", 100).await.unwrap();
        assert_eq!(value(&again).await, 6);
        again.stop().await;
        let options = StartOptions::default().reset(true);
        let reset = CounterHandle::start_with(&store.tenant, "demo", 100, options).await.unwrap();
        assert_eq!(value(&reset).await, 100);
    }

    /// SPEC S2: many casts, then a call sees them all, in order.
    async fn a_call_sees_the_casts_before_it(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        for number in 0..200 {
            counter.cast(CounterCast::Remember { number }).await.unwrap();
        }
        let seen: Vec<i64> = counter.call::<_, Never>(CounterCall::Seen).await.unwrap();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
    }

    /// SPEC S2: messages to a server that nobody consumes wait in its queue, in order.
    async fn casts_wait_for_a_consumer(store: Store) {
        let client = CounterHandle::client(&store.tenant, "demo");
        for number in 0..50 {
            client.cast(CounterCast::Remember { number }).await.unwrap();
        }
        let batch = (50..1_200).map(|number| CounterCast::Remember { number }).collect();
        client.cast_all(batch).await.unwrap();
        assert_eq!(client.queue_len().await.unwrap(), 1_200);
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        let seen: Vec<i64> = counter.call::<_, Never>(CounterCall::Seen).await.unwrap();
        assert_eq!(seen, (0..1_200).collect::<Vec<_>>());
        assert_eq!(client.queue_len().await.unwrap(), 0);
    }

    /// SPEC S2, S3: calls of many callers take effect once each.
    async fn concurrent_increments_are_exact(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        let callers = (0..16).map(|_| async {
            for _ in 0..25 {
                increment(&counter, 1).await;
            }
        });
        join_all(callers).await;
        assert_eq!(value(&counter).await, 400);
    }

    /// SPEC S8: two processes of one server see each other's writes, with and without cache.
    async fn two_processes_serve_one_server(store: Store) {
        for cache in [true, false] {
            let options = StartOptions::default().cache(cache).name(format!("Cache{cache}"));
            let start = || CounterHandle::start_with(&store.tenant, "demo", 0, options.clone());
            let (one, two) = (start().await.unwrap(), start().await.unwrap());
            assert_eq!(increment(&one, 1).await, 1);
            // The second takes over when the first is gone.
            one.stop().await;
            assert_eq!(increment(&two, 1).await, 2);
            let three = start().await.unwrap();
            two.stop().await;
            assert_eq!(increment(&three, 1).await, 3);
        }
    }

    /// SPEC S2: a handler's error is the answer, and the state stays as it was.
    async fn a_handler_error_changes_nothing(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 5).await.unwrap();
        let withdraw = |by| counter.call::<i64, Overdrawn>(CounterCall::Withdraw { by });
        match withdraw(8).await {
            Err(CallError::Handler(error)) => assert_eq!(error, Overdrawn { missing: 3 }),
            other => panic!("{other:?}"),
        }
        assert_eq!(withdraw(5).await.unwrap(), 0);
    }

    /// SPEC S12: a panicking handler changes nothing, and the process survives it.
    async fn the_process_survives_a_panic(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 5).await.unwrap();
        let panicked = counter.call::<(), Never>(CounterCall::Panic).await;
        assert!(
            matches!(
                &panicked,
                Err(CallError::Failed(Failure::Panicked { message })) if message == "asked to"
            ),
            "{panicked:?}"
        );
        assert_eq!(value(&counter).await, 5);
    }

    /// SPEC S12: a queued message that can't be handled stays, and callers are told where.
    async fn a_stuck_queue_names_its_first_message(store: Store) {
        let client = CounterHandle::client(&store.tenant, "demo");
        client.cast(CounterCast::Add { by: 1 }).await.unwrap();
        client.cast(CounterCast::Panic).await.unwrap();
        client.cast(CounterCast::Add { by: 1 }).await.unwrap();
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        let stuck = counter.call::<i64, Never>(CounterCall::Value).await.unwrap_err();
        assert!(matches!(stuck, CallError::Failed(Failure::Stuck { .. })), "{stuck:?}");
        assert!(stuck.to_string().contains("asked to"), "{stuck}");
        assert_eq!(counter.queue_len().await.unwrap(), 2, "the first was handled, none is lost");
        // A cast waits with them, as it would had it come from elsewhere.
        counter.cast(CounterCast::Add { by: 1 }).await.unwrap();
        assert_eq!(counter.queue_len().await.unwrap(), 3);
    }

    /// SPEC S2, S12: a cast whose handler panics is in the queue, handled inline or not.
    async fn a_panicking_cast_is_queued(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        counter.cast(CounterCast::Panic).await.unwrap();
        assert_eq!(counter.queue_len().await.unwrap(), 1);
    }

    /// SPEC S12, M4: a message that this build does not know stays in the queue, and callers are told
    /// at which key.
    async fn an_unknown_message_stays_and_is_named(store: Store) {
        let newer = Handle::<Newer>::client(&store.tenant, "demo");
        newer.cast(NewerCast::Rename { to: "tea".to_owned() }).await.unwrap();
        let counter = CounterHandle::start(&store.tenant, "demo", 3).await.unwrap();
        let stuck = counter.call::<i64, Never>(CounterCall::Value).await.unwrap_err();
        let text = stuck.to_string();
        assert!(matches!(stuck, CallError::Failed(Failure::Stuck { .. })), "{text}");
        assert!(text.contains("does not decode") && text.contains("Rename"), "{text}");
        assert!(text.contains("Counter") && text.contains("demo"), "{text}");
        assert_eq!(counter.queue_len().await.unwrap(), 1, "it is not lost");
    }

    /// SPEC S4: a reply of many chunks arrives, inline and through the queue.
    async fn replies_may_be_large(store: Store) {
        let size_bytes = 1_000_000;
        let options = StartOptions::default();
        let counter =
            CounterHandle::start_with(&store.tenant, "demo", 0, options.clone()).await.unwrap();
        let echo = CounterCall::Echo { size_bytes };
        let inline: String = counter.call::<_, Never>(echo.clone()).await.unwrap();
        assert_eq!(inline.len(), size_bytes);
        counter.stop().await;

        let client = CounterHandle::client(&store.tenant, "demo");
        let queued = client.call::<String, Never>(echo);
        let consumer = async {
            while client.queue_len().await.unwrap() == 0 {
                tokio::task::yield_now().await;
            }
            CounterHandle::start(&store.tenant, "demo", 0).await.unwrap()
        };
        let (reply, _counter) = tokio::join!(queued.into_future(), consumer);
        assert_eq!(reply.unwrap().len(), size_bytes);
    }

    /// SPEC S4: a caller that times out leaves nothing behind but its message.
    async fn a_timed_out_call_leaves_no_key_behind(store: Store) {
        let client = CounterHandle::client(&store.tenant, "demo");
        let keys = || async {
            let range = dgen_backend::KeyRange::prefix(store.tenant.subspace().bytes());
            let db = store.tenant.database();
            db.begin().unwrap().collect_range(range).await.unwrap().len()
        };
        client.cast(CounterCast::Add { by: 1 }).await.unwrap();
        let keys_before = keys().await;
        let timeout = std::time::Duration::from_millis(1);
        let call = client.call::<i64, Never>(CounterCall::Value).timeout(timeout);
        assert!(matches!(call.await, Err(CallError::Timeout { .. })));
        // The message stays, if it was pushed before the time was over.
        while keys().await > keys_before + 1 {
            tokio::task::yield_now().await;
        }
    }

    /// SPEC S12: stop waits for what is under way; the handle says why the process ended.
    async fn stop_ends_the_process_alone(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        increment(&counter, 1).await;
        counter.stop().await;
        assert_eq!(counter.stopped().await, StopReason::Requested);
        let again = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        assert_eq!(again.call::<i64, Never>(CounterCall::Stop).await.unwrap(), 2);
        assert_eq!(again.stopped().await, StopReason::Handler("asked to".to_owned()));
        let third = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        assert_eq!(value(&third).await, 2, "what the stopping handler did is committed");
    }
}

/// SPEC S1, L2: what was acknowledged is there when the store is opened again.
#[tokio::test]
async fn state_survives_a_restart() {
    let mut store = Store::on_disk();
    for round in 1..=3 {
        let counter = CounterHandle::start(&store.tenant, "demo", 0)
            .await
            .unwrap();
        assert_eq!(increment(&counter, 1).await, round);
        counter.stop().await;
        drop(counter);
        store = store.reopen();
    }
}

/// A later version of the counter, which knows a message more.
#[derive(Clone, Serialize, Deserialize)]
struct Newer;

#[derive(Clone, Serialize, Deserialize)]
enum NewerCast {
    Rename { to: String },
}

impl Server for Newer {
    const NAME: &'static str = "Counter";
    type Args = ();
    type InitError = Never;
    type Call = Never;
    type Cast = NewerCast;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self)
    }

    fn handle_call(&mut self, call: Never, _cx: &mut Context<Self>) -> Reply {
        match call {}
    }

    fn handle_cast(&mut self, _cast: NewerCast, _cx: &mut Context<Self>) {}
}

/// Handles and the futures of their calls move between threads.
#[test]
fn public_futures_are_send() {
    fn is_send<T: Send>(_: T) {}
    fn check(handle: &CounterHandle, tenant: &dgen_server::Tenant) {
        is_send(handle.clone());
        is_send(handle.call::<i64, Never>(CounterCall::Value).into_future());
        is_send(handle.cast(CounterCast::Stop).into_future());
        is_send(Handle::<Counter>::start(tenant, "demo", 0));
        is_send(handle.stop());
        is_send(handle.stopped());
        is_send(handle.queue_len());
    }
    let _ = check;
}
