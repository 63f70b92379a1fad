//! Messages with an id: sent twice, they take effect once, and are answered the same.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use dgen_server::{CallError, CastError, Failure, Never};
use futures_util::future::{join, join_all};

use crate::support::{
    CounterCall, CounterCast, CounterHandle, Overdrawn,
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{until, until_quiet},
    value,
};

async fn counter(store: &Mocked) -> CounterHandle {
    CounterHandle::start_with(&store.tenant, "demo", 0, woken_only())
        .await
        .unwrap()
}

async fn increment(counter: &CounterHandle, id: &str) -> i64 {
    let call = CounterCall::Increment { by: 1 };
    counter.call::<i64, Never>(call).id(id).await.unwrap()
}

const ADD: CounterCast = CounterCast::Add { by: 1 };

on_each_mocked_store! {
    /// SPEC T3: a call that is repeated gets the first answer, inline, and through the queue from
    /// another OS process; other ids, and none, are calls of their own.
    async fn a_repeated_call_takes_effect_once(store: Mocked) {
        let here = counter(&store).await;
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        for handle in [&here, &there, &here, &there] {
            assert_eq!(increment(handle, "first").await, 1);
        }
        for handle in [&there, &here] {
            assert_eq!(increment(handle, "second").await, 2);
        }
        assert_eq!(crate::support::increment(&here, 1).await, 3);
        assert_eq!(increment(&there, "first").await, 1);
        assert_eq!(value(&here).await, 3);
    }

    /// SPEC T3: so does one that is repeated while the first is under way, whichever way each takes.
    async fn concurrent_calls_with_one_id_take_effect_once(store: Mocked) {
        let here = counter(&store).await;
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        for round in 1..=5 {
            let id = format!("round {round}");
            let calls = (0..12).map(|number| {
                let handle = if number % 3 == 0 { &there } else { &here };
                increment(handle, &id)
            });
            assert_eq!(join_all(calls).await, [round; 12]);
        }
        assert_eq!(value(&here).await, 5);
    }

    /// SPEC T3: calls that wait in the queue together, before anybody consumes it.
    async fn queued_calls_with_one_id_take_effect_once(store: Mocked) {
        let clients = [
            CounterHandle::client(&store.tenant, "demo"),
            CounterHandle::client(&store.elsewhere(), "demo"),
        ];
        let calls = join_all((0..6).map(|number| increment(&clients[number % 2], "id")));
        let consumer = async {
            until("all wait", async || clients[0].queue_len().await.unwrap() == 6).await;
            counter(&store).await
        };
        let (answers, counter) = join(calls, consumer).await;
        assert_eq!(answers, [1; 6]);
        assert_eq!(value(&counter).await, 1);
    }

    /// SPEC T3: two consumers, each with callers of its own, handle it once together.
    async fn two_consumers_handle_one_id_once(store: Mocked) {
        let one = counter(&store).await;
        let two = CounterHandle::start_with(&store.elsewhere(), "demo", 0, woken_only())
            .await
            .unwrap();
        for round in 1..=5 {
            let id = format!("round {round}");
            let answers = join(increment(&one, &id), increment(&two, &id)).await;
            assert_eq!(answers, (round, round));
        }
        assert_eq!(value(&one).await, 5);
    }

    /// SPEC T3: whoever served it first is gone, and the store was closed: the answer is the same.
    async fn a_repeated_call_takes_effect_once_over_a_restart(store: Mocked) {
        let first = counter(&store).await;
        assert_eq!(increment(&first, "inline").await, 1);
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        assert_eq!(increment(&there, "queued").await, 2);
        there.cast(ADD).id("cast").await.unwrap();
        assert_eq!(value(&first).await, 3);
        first.stop().await;
        drop((first, there));
        let store = store.reopen();
        let again = counter(&store).await;
        assert_eq!(increment(&again, "queued").await, 2);
        assert_eq!(increment(&again, "inline").await, 1);
        again.cast(ADD).id("cast").await.unwrap();
        assert_eq!(value(&again).await, 3);
    }

    /// SPEC T3: an error of the handler is the answer too, though another would be given now.
    async fn a_repeated_call_gets_the_first_error(store: Mocked) {
        let here = counter(&store).await;
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        let withdraw = async |handle: &CounterHandle, id: &str| {
            let call = CounterCall::Withdraw { by: 3 };
            match handle.call::<i64, Overdrawn>(call).id(id).await {
                Ok(value) => Ok(value),
                Err(CallError::Handler(error)) => Err(error),
                Err(error) => panic!("{error:?}"),
            }
        };
        assert_eq!(withdraw(&here, "id").await, Err(Overdrawn { missing: 3 }));
        assert_eq!(withdraw(&there, "other").await, Err(Overdrawn { missing: 3 }));
        crate::support::increment(&here, 10).await;
        for handle in [&here, &there] {
            assert_eq!(withdraw(handle, "id").await, Err(Overdrawn { missing: 3 }));
            assert_eq!(withdraw(handle, "other").await, Err(Overdrawn { missing: 3 }));
        }
        assert_eq!(value(&here).await, 10);
    }

    /// SPEC T3, S4: a large answer is remembered as well.
    async fn a_repeated_call_gets_a_large_answer(store: Mocked) {
        let here = counter(&store).await;
        let echo = || {
            let call = here.call::<String, Never>(CounterCall::Echo { size_bytes: 300_000 });
            call.id("id")
        };
        assert_eq!(echo().await.unwrap().len(), 300_000);
        assert_eq!(echo().await.unwrap().len(), 300_000);
    }

    /// SPEC T3: casts too, one by one and in batches, which have one id together.
    async fn repeated_casts_take_effect_once(store: Mocked) {
        let here = counter(&store).await;
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        let batch = || (0..300).map(|number| CounterCast::Remember { number }).collect();
        for handle in [&here, &there, &there, &here] {
            handle.cast(ADD).id("one").await.unwrap();
            handle.cast_all(batch()).id("batch").await.unwrap();
        }
        for handle in [&there, &here] {
            handle.cast_all(batch()).id("other batch").await.unwrap();
        }
        until_quiet(&here, store.tenant.env()).await;
        assert_eq!(value(&here).await, 1);
        let seen: Vec<i64> = here.call::<_, Never>(CounterCall::Seen).await.unwrap();
        assert_eq!(seen, (0..300).chain(0..300).collect::<Vec<_>>());
    }

    /// SPEC T3: two of one id in one batch's transaction, too.
    async fn casts_with_one_id_next_to_each_other_take_effect_once(store: Mocked) {
        let client = CounterHandle::client(&store.tenant, "demo");
        for _ in 0..5 {
            client.cast(ADD).id("id").await.unwrap();
        }
        let counter = counter(&store).await;
        assert_eq!(value(&counter).await, 1);
    }

    /// SPEC T3, S5: a priority message is the same as one in the queue, if it has the same id: done by
    /// a process, and by the caller itself.
    async fn priority_messages_take_effect_once(store: Mocked) {
        let here = counter(&store).await;
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        let urgent = async |handle: &CounterHandle, id: &str| {
            let call = CounterCall::Increment { by: 1 };
            handle.call::<i64, Never>(call).id(id).priority().await.unwrap()
        };
        for (number, first) in (1..).zip([&here, &there]) {
            let id = format!("id {number}");
            assert_eq!(urgent(first, &id).await, number);
            for handle in [&there, &here] {
                assert_eq!(urgent(handle, &id).await, number);
                assert_eq!(increment(handle, &id).await, number);
            }
        }
        assert_eq!(increment(&here, "queue first").await, 3);
        assert_eq!(urgent(&there, "queue first").await, 3);
        for handle in [&here, &there, &here] {
            handle.cast(ADD).id("cast").priority().await.unwrap();
            handle.cast(ADD).id("cast").await.unwrap();
        }
        until_quiet(&here, store.tenant.env()).await;
        assert_eq!(value(&here).await, 4);
    }

    /// SPEC T3: a call with the id of a cast has no answer to get, and does nothing.
    async fn a_call_with_the_id_of_a_cast_is_told_so(store: Mocked) {
        let here = counter(&store).await;
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        here.cast(ADD).id("id").await.unwrap();
        for handle in [&here, &there] {
            let call = handle.call::<i64, Never>(CounterCall::Increment { by: 1 }).id("id");
            let answer = call.await;
            assert!(
                matches!(
                    &answer,
                    Err(CallError::Failed(Failure::Encode { reason, .. })) if reason.contains("cast")
                ),
                "{answer:?}"
            );
        }
        assert_eq!(value(&here).await, 1);
    }

    /// SPEC T3, S12: an id is 1 to 1,000 bytes; any other is an error, and nothing is sent.
    async fn bad_ids_are_errors(store: Mocked) {
        let here = counter(&store).await;
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        for handle in [&here, &there] {
            for (id, size) in [(String::new(), 0), ("x".repeat(1_001), 1_001)] {
                for is_priority in [true, false] {
                    let call = CounterCall::Increment { by: 1 };
                    let call = handle.call::<i64, Never>(call).id(id.clone());
                    let call = if is_priority { call.priority() } else { call };
                    let called = call.await;
                    assert!(
                        matches!(
                            called,
                            Err(CallError::Failed(Failure::BadId { size_bytes })) if size_bytes == size
                        ),
                        "{called:?}"
                    );
                    let cast = handle.cast(ADD).id(id.clone());
                    let cast = if is_priority { cast.priority() } else { cast };
                    let cast = cast.await;
                    assert!(
                        matches!(
                            cast,
                            Err(CastError::Failed(Failure::BadId { size_bytes })) if size_bytes == size
                        ),
                        "{cast:?}"
                    );
                }
            }
        }
        assert_eq!(value(&here).await, 0);
        let longest = "x".repeat(1_000);
        assert_eq!(increment(&there, &longest).await, 1);
        assert_eq!(increment(&here, &longest).await, 1);
    }

    /// SPEC T3: an id is one server's: a neighbour knows nothing of it.
    async fn ids_of_two_servers_are_apart(store: Mocked) {
        let one = counter(&store).await;
        let two = CounterHandle::start(&store.tenant, "other", 10).await.unwrap();
        assert_eq!(increment(&one, "id").await, 1);
        assert_eq!(increment(&two, "id").await, 11);
        one.kill().await.unwrap();
        let again = counter(&store).await;
        assert_eq!(increment(&again, "id").await, 1, "killed, it has forgotten");
        assert_eq!(increment(&two, "id").await, 11);
    }
}
