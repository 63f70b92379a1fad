//! Priority calls and casts: past the queue, in transactions of their own.

use dgen_server::{CallError, CastError, Failure, HeldBy};
use futures_util::future::{join_all, join3};
use std::time::Duration;

use crate::{script::*, world::*};

on_each_store! {
    /// SPEC S5: priority messages skip the queue; what waits there is handled after them. Without a
    /// process here they are handled by their callers.
    async fn priority_without_a_process_is_handled_by_the_caller(world: World) {
        world.start("a").await.stop().await;
        let client = world.client("a");
        cast(&client, [log("queued")]).await.unwrap();
        let answer = call(&client, [log("called"), add(1), act("called")]).priority().await;
        assert_eq!(answer.unwrap(), 1);
        cast(&client, [log("cast"), act("cast")]).priority().await.unwrap();
        assert_eq!(world.probe.notes(), ["called 1", "cast 1"]);
        assert_eq!(client.queue_len().await.unwrap(), 1);
        let actor = world.start("a").await;
        call(&actor, []).await.unwrap();
        assert_eq!(state(&actor).await.log, ["called", "cast", "queued"]);
    }

    /// SPEC S5: they skip a message that fails at the head of the queue, too.
    async fn priority_passes_a_failing_message(world: World) {
        world.clock.set_auto_advance_max(Duration::ZERO);
        let actor = world.start("a").await;
        cast(&actor, [panic("boom")]).await.unwrap();
        until(async || matches!(status(&actor).await.hold, Some(HeldBy::Failing { .. }))).await;
        cast(&actor, [log("queued")]).await.unwrap();
        for sender in [&actor, &world.client_elsewhere("a")] {
            call(sender, [log("called")]).priority().await.unwrap();
        }
        assert_eq!(status(&actor).await.queue_len, 2);
        assert_eq!(state(&actor).await.log, ["called", "called"]);
    }

    /// SPEC S5: a server that was never started has no state to handle a priority message on.
    async fn priority_needs_a_started_server(world: World) {
        let client = world.client("a");
        let called = call(&client, [add(1)]).priority().await;
        assert!(
            matches!(&called, Err(CallError::Failed(Failure::NotStarted { server })) if server == r#"Actor("a")"#),
            "{called:?}"
        );
        let cast = cast(&client, [add(1)]).priority().await;
        assert!(matches!(cast, Err(CastError::Failed(Failure::NotStarted { .. }))), "{cast:?}");
        assert_eq!(world.keys().await, [[0; 0]; 0]);
    }

    /// SPEC S5: a priority handler that fails is an error for its caller at once; it changes nothing and
    /// is not tried again.
    async fn a_failing_priority_handler_is_an_error_at_once(world: World) {
        let actor = world.start("a").await;
        call(&actor, [add(5)]).await.unwrap();
        for sender in [&actor, &world.client_elsewhere("a")] {
            let script = || [note("tried"), add(1), send("b", [add(1)]), panic("boom")];
            let called = call(sender, script()).priority().await;
            assert!(
                matches!(&called, Err(CallError::Failed(Failure::Panicked { message })) if message == "boom"),
                "{called:?}"
            );
            let cast = cast(sender, script()).priority().await;
            assert!(matches!(cast, Err(CastError::Failed(Failure::Panicked { .. }))), "{cast:?}");
            let refused = call(sender, [add(1), send("b", [add(1)]), fail("no")]).priority().await;
            assert!(matches!(&refused, Err(CallError::Handler(error)) if error == "no"), "{refused:?}");
        }
        assert_eq!(world.probe.count("tried"), 4);
        assert_eq!(state(&actor).await.value, 5);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
        let status = status(&actor).await;
        assert_eq!((status.queue_len, status.hold, status.dead_letters), (0, None, 0));
    }

    /// SPEC S5, S2: a batch of priority casts takes effect as a whole, or not at all.
    async fn a_priority_batch_is_atomic(world: World) {
        let actor = world.start("a").await;
        let batch = vec![vec![add(1)], vec![add(10)], vec![panic("boom")]];
        actor.cast_all(batch.clone()).priority().await.unwrap_err();
        assert_eq!(state(&actor).await.value, 0);
        actor.cast_all(batch[..2].to_vec()).priority().await.unwrap();
        assert_eq!(state(&actor).await.value, 11);
        let locking = vec![vec![add(100)], vec![lock([])]];
        let refused = actor.cast_all(locking).priority().await;
        assert!(matches!(refused, Err(CastError::Failed(Failure::Misused { .. }))), "{refused:?}");
        assert_eq!(state(&actor).await.value, 11);
    }

    /// SPEC S5, S2: priority messages, here and elsewhere, and those of the queue change one state, each
    /// once.
    async fn priority_messages_beside_others_are_exact(world: World) {
        let actor = world.start("a").await;
        let caller = world.client_elsewhere("a");
        // Each conflict moves the clock by its backoff.
        let add_one = |actor| call(actor, [add(1)]).timeout(PATIENT);
        let ordinary = join_all((0..20).map(|_| add_one(&actor).into_future()));
        let here = join_all((0..20).map(|_| add_one(&actor).priority().into_future()));
        // One after the other: with many at once, those moves add up to the end of all deadlines.
        let there = async {
            let mut answers = Vec::new();
            for _ in 0..20 {
                answers.push(add_one(&caller).priority().await);
            }
            answers
        };
        let (one, two, three) = join3(ordinary, here, there).await;
        let answers = one.into_iter().chain(two).chain(three).map(Result::unwrap);
        let mut answers: Vec<_> = answers.collect();
        answers.sort_unstable();
        assert_eq!(answers, (1..=60).collect::<Vec<_>>());
    }

    /// SPEC S5, T1, T2: what a priority handler sends and sets comes with its transaction.
    async fn priority_handlers_send(world: World) {
        let actor = world.start("a").await;
        let delay = Duration::from_secs(100);
        let due = world.clock.env().wall_clock() + delay;
        let script = [send("b", [add(1)]), Step::SendAfter(delay, vec![add(1)])];
        call(&actor, script).priority().await.unwrap();
        assert_eq!(world.client("b").queue_len().await.unwrap(), 1);
        assert_eq!(status(&actor).await.next_due, Some(due));
    }
}
