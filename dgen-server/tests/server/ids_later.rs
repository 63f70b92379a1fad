//! Ids of calls that are answered later: deferred, or by locked work.

use std::time::Duration;

use dgen_server::{CallError, CastError, Failure, Never};
use futures_util::future::{join, join_all};

use crate::support::{
    desk::{DeskCall, DeskCast, DeskHandle, Step, act, desk, desk_with, runs},
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::until,
};

async fn ask(desk: &DeskHandle, id: &str) -> Result<String, CallError<String>> {
    desk.call(DeskCall::Ask).id(id).await
}

fn answer(text: &str) -> Step {
    Step::Answer(text.to_owned())
}

on_each_mocked_store! {
    /// SPEC T3, S6: who repeats a call whose reply is to come gets it too, and who repeats it later.
    async fn all_who_repeat_a_deferred_call_are_answered(store: Mocked, faultless = "it counts runs") {
        let here = desk(&store.tenant, "desk").await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let asking = join_all([&here, &there, &here, &there].map(|handle| ask(handle, "id")));
        let answering = async {
            store.advance(Duration::ZERO).await;
            until("all are taken", async || there.queue_len().await.unwrap() == 0).await;
            store.advance(Duration::ZERO).await;
            assert_eq!(runs(), 1);
            act(&here, [answer("tea")]).await;
        };
        let (answers, ()) = join(asking, answering).await;
        for answer in answers {
            assert_eq!(answer.unwrap(), "tea");
        }
        act(&here, [answer("milk")]).await;
        for handle in [&here, &there] {
            assert_eq!(ask(handle, "id").await.unwrap(), "tea");
        }
        assert_eq!(runs(), 3, "one ask, two answers");
    }

    /// SPEC T3, S6: its caller gave up: repeated after a restart, it gets the reply that comes then.
    async fn a_deferred_call_can_be_taken_up_again(store: Mocked, faultless = "it counts runs") {
        let first = desk(&store.tenant, "desk").await;
        let (gave_up, ()) = join(ask(&first, "id"), async {
            until("it waits", async || store.waiting_calls().await.len() == 1).await;
            store.advance(Duration::from_secs(5)).await;
        })
        .await;
        until("it has cleaned up", async || store.waiting_calls().await.is_empty()).await;
        assert!(matches!(gave_up, Err(CallError::Timeout { .. })), "{gave_up:?}");
        first.stop().await;
        drop(first);
        let store = store.reopen();
        let again = desk(&store.tenant, "desk").await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let (asked, ()) = join(ask(&there, "id"), async {
            until("it waits", async || !store.waiting_calls().await.is_empty()).await;
            until("it is taken", async || there.queue_len().await.unwrap() == 0).await;
            act(&again, [answer("tea")]).await;
        })
        .await;
        assert_eq!(asked.unwrap(), "tea");
        assert_eq!(runs(), 2, "one ask, one answer");
    }

    /// SPEC T3, S7: who repeats a call that is worked on under the lock waits for its answer.
    async fn a_repeated_locking_call_gets_its_answer(store: Mocked, faultless = "it counts runs") {
        let options = woken_only().lock_lease(Duration::from_secs(3_600));
        let here = desk_with(&store.tenant, "desk", options).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let call = async |handle: &DeskHandle| {
            let steps = vec![Step::Lock { seconds: 3 }, Step::Note("note".to_owned())];
            let call = handle.call::<u32, Never>(DeskCall::Do(steps));
            call.id("id").await.unwrap()
        };
        let calls = join_all([&here, &there, &here].map(call));
        let (answers, ()) = join(calls, async {
            until("two wait", async || here.queue_len().await.unwrap() == 2).await;
            store.advance(Duration::from_secs(3)).await;
        })
        .await;
        assert_eq!(answers, [1; 3]);
        assert_eq!(call(&there).await, 1);
        assert_eq!(runs(), 1);
        let notes = crate::support::desk::texts(&here, &store.tenant).await;
        assert_eq!(notes, ["note"]);
    }
    /// SPEC T3, S5: a priority message with the id of the one that is worked on under the lock takes no
    /// effect beside it.
    async fn a_priority_message_is_refused_while_its_id_is_worked_on(store: Mocked, faultless = "it counts runs") {
        let options = woken_only().lock_lease(Duration::from_secs(3_600));
        let here = desk_with(&store.tenant, "desk", options).await;
        let steps = vec![Step::Lock { seconds: 3 }, Step::Note("note".to_owned())];
        let call = here.call::<u32, Never>(DeskCall::Do(steps)).id("id");
        let note = |id: &str| {
            let note = DeskCast::Note("priority".to_owned());
            here.cast(note).id(id).priority().into_future()
        };
        let (answer, ()) = join(call.into_future(), async {
            until("it works", async || here.status().await.unwrap().hold.is_some()).await;
            let refused = note("id").await;
            assert!(
                matches!(refused, Err(CastError::Failed(Failure::Locked { .. }))),
                "{refused:?}"
            );
            note("another").await.unwrap();
            store.advance(Duration::from_secs(3)).await;
        })
        .await;
        assert_eq!(answer.unwrap(), 1);
        let notes = crate::support::desk::texts(&here, &store.tenant).await;
        assert!(notes.contains(&"note".to_owned()), "{notes:?}");
    }
}
