//! Servers: start, call, cast, state, stop.

use dgen_server::{
    CallError, Context, Failure, Handle, HeldBy, Never, Reply, Server, StartOptions, StopReason,
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::support::{
    patience::{found, until},
    *,
};

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
        for number in 0..1_000 {
            counter.cast(CounterCast::Remember { number }).await.unwrap();
        }
        let seen: Vec<i64> = counter.call::<_, Never>(CounterCall::Seen).await.unwrap();
        assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
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

    /// SPEC S3, S9, S12: a panicking inline call goes to the queue, is tried again, becomes a dead
    /// letter, and its caller gets the error. It changes nothing, and the process survives it.
    async fn a_panicking_inline_call_becomes_a_dead_letter(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 5).await.unwrap();
        let panicked = counter.call::<(), Never>(CounterCall::Panic).await;
        assert!(
            matches!(
                &panicked,
                Err(CallError::Failed(Failure::DeadLettered { error, attempts: 5 }))
                    if error.contains("asked to")
            ),
            "{panicked:?}"
        );
        assert_eq!(value(&counter).await, 5);
        assert_eq!(counter.queue_len().await.unwrap(), 0);
        assert_eq!(counter.dead_letters().await.unwrap()[0].message, r#""Panic""#);
    }

    /// SPEC S9: what came before a poison message is committed, it alone is tried again, and what
    /// came behind it is handled when it is a dead letter.
    async fn a_poison_cast_is_put_aside(store: Store) {
        let client = CounterHandle::client(&store.tenant, "demo");
        client.cast(CounterCast::Add { by: 1 }).await.unwrap();
        client.cast(CounterCast::Panic).await.unwrap();
        client.cast(CounterCast::Add { by: 1 }).await.unwrap();
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        assert_eq!(value(&counter).await, 2);
        let letters = counter.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert!(!letters[0].is_call && letters[0].error.contains("asked to"), "{letters:?}");
    }

    /// SPEC S12, M4: a message that this version does not know waits for a newer one; an operator
    /// sees it.
    async fn an_unknown_message_waits_for_a_newer_version(store: Store) {
        let newer = Handle::<Newer>::client(&store.tenant, "demo");
        newer.cast(NewerCast::Rename { to: "tea".to_owned() }).await.unwrap();
        let counter = CounterHandle::start(&store.tenant, "demo", 3).await.unwrap();
        let error = found("it failed", async || match counter.status().await.unwrap().hold? {
            HeldBy::Failing { error, .. } => Some(error),
            _ => None,
        });
        let error = error.await;
        assert!(error.contains("does not know") && error.contains("Rename"), "{error}");
        assert_eq!(counter.queue_len().await.unwrap(), 1, "it is not lost");
        counter.stop().await;
        let options = StartOptions::default().unknown_message_grace(std::time::Duration::ZERO);
        let counter = CounterHandle::start_with(&store.tenant, "demo", 3, options).await.unwrap();
        assert_eq!(value(&counter).await, 3);
        assert_eq!(counter.dead_letters().await.unwrap()[0].message, r#"{"Rename": {"to": "tea"}}"#);
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
            until("it is queued", async || client.queue_len().await.unwrap() > 0).await;
            CounterHandle::start(&store.tenant, "demo", 0).await.unwrap()
        };
        let (reply, _counter) = tokio::join!(queued.into_future(), consumer);
        assert_eq!(reply.unwrap().len(), size_bytes);
    }

    /// SPEC S4: a caller that times out leaves nothing behind but its message.
    async fn a_timed_out_call_leaves_no_key_behind(store: Store) {
        let client = CounterHandle::client(&store.tenant, "demo");
        let keys = || async {
            // Without commit markers, which a cluster needs.
            let servers = store.tenant.subspace().pack(&"Counter");
            let range = dgen_backend::KeyRange::prefix(&servers);
            let db = store.tenant.database();
            let rows = db.transact(async |tx| tx.collect_range(range.clone()).await);
            rows.await.unwrap().len()
        };
        client.cast(CounterCast::Add { by: 1 }).await.unwrap();
        let keys_before = keys().await;
        let timeout = std::time::Duration::from_millis(1);
        let call = client.call::<i64, Never>(CounterCall::Value).timeout(timeout);
        assert!(matches!(call.await, Err(CallError::Timeout { .. })));
        // The message stays, if it was pushed before the time was over.
        until("it has cleaned up", async || keys().await <= keys_before + 1).await;
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
    type Info = Never;

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
        let call = || handle.call::<i64, Never>(CounterCall::Value);
        is_send(call().id("one").into_future());
        is_send(call().priority().into_future());
        is_send(handle.cast(CounterCast::Stop).id("two").into_future());
        is_send(handle.cast(CounterCast::Stop).priority().into_future());
        is_send(handle.cast_all(vec![CounterCast::Stop]).into_future());
        is_send(Handle::<Counter>::start(tenant, "demo", 0));
        let options = StartOptions::default();
        is_send(Handle::<Counter>::start_with(tenant, "demo", 0, options));
        is_send(handle.stop());
        is_send(handle.stopped());
        is_send(handle.queue_len());
        is_send(handle.kill());
        is_send(handle.status());
        is_send(handle.break_lock());
        is_send(handle.dead_letters());
        is_send(handle.replay(1));
        is_send(handle.drop_dead_letter(1));
        is_send(dgen_server::shutdown(tenant, std::time::Duration::ZERO));
    }
    let _ = check;
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<CounterHandle>();
}
