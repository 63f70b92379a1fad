//! Actions: what runs after the commit.

use std::{future::poll_fn, pin::pin, task::Poll};

use dgen_server::CallError;
use dgen_testkit::faults::Rates;
use futures_util::future::join_all;

use crate::{script::*, world::*};

/// The actions of a message that is sent so run in order, on the committed state, once others can read
/// it; and before the sender of a call or a priority message goes on.
async fn actions_run_after_the_commit(world: World, way: Way) {
    let actor = world.start("a").await;
    let script = [act("first"), Step::ActAndLook, add(1), act("last")];
    way.send(&actor, script).await;
    if matches!(way, Way::Info | Way::Cast) {
        world.probe.noted("last 1").await;
    }
    assert_eq!(world.probe.notes(), ["first 1", "stored 1", "last 1"]);
}

/// An action that halts skips those behind it, of its own message alone.
async fn an_action_halts_the_rest(world: World, way: Way) {
    let actor = world.start("a").await;
    way.send(&actor, [act_and_break("halts"), act("skipped"), add(1)])
        .await;
    way.send(&actor, [add(1), act("next")]).await;
    world.probe.noted("next 2").await;
    assert_eq!(world.probe.notes(), ["halts 1", "next 2"]);
}

/// A panicking action loses nothing but those behind it.
async fn a_panicking_action_loses_nothing_else(world: World, way: Way) {
    let actor = world.start("a").await;
    let script = [
        act("runs"),
        Step::ActAndPanic,
        act("skipped"),
        add(1),
        send("b", [add(1)]),
    ];
    way.send(&actor, script).await;
    way.send(&actor, [add(1), act("next")]).await;
    world.probe.noted("next 2").await;
    assert_eq!(world.probe.notes(), ["runs 1", "next 2"]);
    assert_eq!(world.client("b").queue_len().await.unwrap(), 1);
    assert_eq!(actor.dead_letters().await.unwrap(), []);
}

on_each_store! {
    /// SPEC S6
    async fn actions_of_a_cast_run_after_the_commit(world: World) {
        actions_run_after_the_commit(world, Way::Cast).await;
    }

    /// SPEC S6, S3
    async fn actions_of_an_inline_call_run_after_the_commit(world: World) {
        actions_run_after_the_commit(world, Way::Call).await;
    }

    /// SPEC S6
    async fn actions_of_an_info_run_after_the_commit(world: World) {
        actions_run_after_the_commit(world, Way::Info).await;
    }

    /// SPEC S6, S5
    async fn actions_of_a_priority_call_run_after_the_commit(world: World) {
        actions_run_after_the_commit(world, Way::PriorityCall).await;
    }

    /// SPEC S6, S5
    async fn actions_of_a_priority_cast_run_after_the_commit(world: World) {
        actions_run_after_the_commit(world, Way::PriorityCast).await;
    }

    /// SPEC S6, S7
    async fn actions_of_locked_work_run_after_the_commit(world: World) {
        let actor = world.start("a").await;
        let work = [act("first"), Step::ActAndLook, add(1), act("last")];
        call(&actor, [act("locks"), lock(work)]).await.unwrap();
        assert_eq!(world.probe.notes(), ["locks 0", "first 1", "stored 1", "last 1"]);
    }

    /// SPEC S6: so do those of messages that came through the queue.
    async fn actions_of_queued_messages_run_after_the_commit(world: World) {
        let client = world.client("a");
        cast(&client, [add(1), Step::ActAndLook, act("queued")]).await.unwrap();
        let call = call(&client, [act("called")]).into_future();
        let consumer = async {
            queued(&client, 2).await;
            world.start("a").await
        };
        let (answer, _consumer) = futures_util::future::join(call, consumer).await;
        assert_eq!(answer.unwrap(), 1);
        assert_eq!(world.probe.notes(), ["stored 1", "queued 1", "called 1"]);
    }

    /// SPEC S6: the caller of locked work, or of a call that defers its reply, gets its answer after
    /// the actions of who gives it, however slowly the caller goes: no look into the store is faster.
    async fn a_slow_caller_is_answered_after_the_actions(world: World) {
        let actor = world.start("a").await;
        call(&actor, []).await.unwrap();
        let answering = [Step::Defer, Step::Answer(7), Step::Forget, act("acted")];
        for script in [vec![lock([add(7), act("acted")])], answering.to_vec()] {
            let before = world.actors_keys().await;
            let mut calling = pin!(call(&actor, script).into_future());
            // It is sent, and its caller does nothing more for now.
            let polled = poll_fn(|cx| Poll::Ready(calling.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            world.probe.noted("acted 7").await;
            until(async || status(&actor).await.hold.is_none()).await;
            let is_in_store = world.actors_keys().await != before;
            assert!(!is_in_store, "the answer is in the store");
            assert_eq!(calling.await.unwrap(), 7);
        }
        assert_eq!(world.probe.notes(), ["acted 7", "acted 7"]);
    }

    /// SPEC S6
    async fn an_action_of_a_cast_halts_the_rest(world: World) {
        an_action_halts_the_rest(world, Way::Cast).await;
    }

    /// SPEC S6
    async fn an_action_of_a_call_halts_the_rest(world: World) {
        an_action_halts_the_rest(world, Way::Call).await;
    }

    /// SPEC S6
    async fn an_action_of_an_info_halts_the_rest(world: World) {
        an_action_halts_the_rest(world, Way::Info).await;
    }

    /// SPEC S6
    async fn an_action_of_a_priority_call_halts_the_rest(world: World) {
        an_action_halts_the_rest(world, Way::PriorityCall).await;
    }

    /// SPEC S6
    async fn an_action_of_a_priority_cast_halts_the_rest(world: World) {
        an_action_halts_the_rest(world, Way::PriorityCast).await;
    }

    /// SPEC S6, S7
    async fn an_action_of_locked_work_halts_the_rest(world: World) {
        let actor = world.start("a").await;
        let work = lock([act_and_break("halts"), act("skipped"), add(1)]);
        assert_eq!(call(&actor, [work]).await.unwrap(), 1);
        assert_eq!(world.probe.notes(), ["halts 1"]);
    }

    /// SPEC S6
    async fn a_panicking_action_of_a_cast_loses_nothing_else(world: World) {
        a_panicking_action_loses_nothing_else(world, Way::Cast).await;
    }

    /// SPEC S6
    async fn a_panicking_action_of_a_call_loses_nothing_else(world: World) {
        a_panicking_action_loses_nothing_else(world, Way::Call).await;
    }

    /// SPEC S6
    async fn a_panicking_action_of_an_info_loses_nothing_else(world: World) {
        a_panicking_action_loses_nothing_else(world, Way::Info).await;
    }

    /// SPEC S6
    async fn a_panicking_action_of_a_priority_call_loses_nothing_else(world: World) {
        a_panicking_action_loses_nothing_else(world, Way::PriorityCall).await;
    }

    /// SPEC S6
    async fn a_panicking_action_of_a_priority_cast_loses_nothing_else(world: World) {
        a_panicking_action_loses_nothing_else(world, Way::PriorityCast).await;
    }

    /// SPEC S6, S7: also those of locked work: the lock is released, and the caller answered.
    async fn a_panicking_action_of_locked_work_loses_nothing_else(world: World) {
        let actor = world.start("a").await;
        let work = lock([act("runs"), Step::ActAndPanic, act("skipped"), add(1)]);
        assert_eq!(call(&actor, [work]).await.unwrap(), 1);
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 2);
        assert_eq!(world.probe.notes(), ["runs 1"]);
    }

    /// SPEC S6: of messages that share a transaction each has actions of its own: what one halts or
    /// loses, the others don't.
    async fn messages_of_a_transaction_have_actions_of_their_own(world: World, faultless = "a transaction that is too old is cut in two") {
        let client = world.client("a");
        for script in [
            [act_and_break("one"), act("skipped"), add(1)],
            [Step::ActAndPanic, act("skipped"), add(1)],
            [act("three"), act("four"), add(1)],
        ] {
            cast(&client, script).await.unwrap();
        }
        let _actor = world.start("a").await;
        world.probe.noted("four 3").await;
        assert_eq!(world.probe.notes(), ["one 3", "three 3", "four 3"]);
    }

    /// SPEC S6, S2: so has each cast of a batch, whether a process here takes the batch or the queue.
    async fn casts_of_a_batch_have_actions_of_their_own(world: World, faultless = "a transaction that is too old is cut in two") {
        let batch = || vec![
            vec![act_and_break("one"), act("skipped"), add(1)],
            vec![Step::ActAndPanic, act("skipped"), add(1)],
            vec![act("three"), act("four"), add(1)],
        ];
        let expected = ["one 3", "three 3", "four 3"];
        let actor = world.start("a").await;
        actor.cast_all(batch()).await.unwrap();
        assert_eq!(world.probe.notes(), expected);
        world.client("b").cast_all(batch()).await.unwrap();
        let _other = world.start("b").await;
        world.probe.noted_times("four 3", 2).await;
        assert_eq!(world.probe.notes()[3..], expected);
        world.start("c").await.cast_all(batch()).priority().await.unwrap();
        assert_eq!(world.probe.notes()[6..], expected);
    }

    /// SPEC S6: a handler that returns an error or panics has no actions.
    async fn failed_handlers_have_no_actions(world: World) {
        let actor = world.start("a").await;
        let failed = call(&actor, [act("acted"), fail("no")]).await;
        assert!(matches!(failed, Err(CallError::Handler(_))), "{failed:?}");
        let panicked = call(&actor, [act("acted"), panic("boom")]).await;
        assert!(matches!(panicked, Err(CallError::Failed(_))), "{panicked:?}");
        let panicked = call(&actor, [act("acted"), panic("boom")]).priority().await;
        assert!(matches!(panicked, Err(CallError::Failed(_))), "{panicked:?}");
        assert_eq!(world.probe.notes(), [""; 0]);
    }

    /// SPEC S6: the actions of an attempt that conflicted are not run: those of each message run once.
    async fn actions_of_a_conflicting_attempt_are_not_run(world: World) {
        let rates = Rates { conflict: 0.5, ..Rates::default() };
        let (tenant, faults) = world.faulty(Rates::default());
        let actor = world.start_at(&tenant, "a").await;
        faults.set_rates(rates);
        let calls = (0..30).map(|_| async {
            call(&actor, [note("handled"), add(1), Step::ActPlain]).await.unwrap();
            let locking = [add(1), Step::ActPlain, lock([add(1), Step::ActPlain])];
            call(&actor, [note("handled"), add(1), Step::ActPlain]).priority().await.unwrap();
            call(&actor, locking).await.unwrap();
        });
        join_all(calls).await;
        faults.stop();
        assert!(faults.counts().conflicts > 0);
        assert!(world.probe.count("handled") > 60, "no attempt was run again");
        assert_eq!(call(&actor, []).await.unwrap(), 120);
        assert_eq!(world.probe.count("acted"), 120);
    }
}
