//! Replies that come later than the handler returns.

use std::{pin::pin, time::Duration};

use dgen_server::{CallError, Failure, Handle};
use futures_util::future::{join, select};

use crate::{script::*, world::*};

/// How long a call waits by default.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Calls `caller`, whose handler at `actor` defers the reply, and runs `reply` then.
async fn deferred(
    world: &World,
    caller: &Handle<Actor>,
    reply: impl Future<Output = ()>,
) -> Result<i64, CallError<String>> {
    let waiting = call(caller, [add(1), Step::Defer, act("deferred")]);
    let reply = async {
        world.probe.noted("deferred 1").await;
        reply.await;
    };
    join(waiting.into_future(), reply).await.0
}

on_each_store! {
    /// SPEC S6, S3: the reply to an inline call comes with a later message.
    async fn an_inline_call_is_answered_later(world: World) {
        let actor = world.start("a").await;
        let reply = async {
            world.settle().await;
            cast(&actor, [Step::Answer(7), add(1)]).await.unwrap();
        };
        assert_eq!(deferred(&world, &actor, reply).await.unwrap(), 7);
        assert_eq!(call(&actor, []).await.unwrap(), 2);
    }

    /// SPEC S6, S4: so does that to a call that came through the queue, from another OS process.
    async fn a_queued_call_is_answered_later(world: World) {
        let actor = world.start("a").await;
        let caller = world.client_elsewhere("a");
        let reply = async {
            world.settle().await;
            cast(&actor, [Step::Answer(7)]).await.unwrap();
        };
        assert_eq!(deferred(&world, &caller, reply).await.unwrap(), 7);
    }

    /// SPEC S6, S5: and that to a priority call, by a process here or by the caller.
    async fn a_priority_call_is_answered_later(world: World) {
        let actor = world.start("a").await;
        for (number, caller) in [actor.clone(), world.client_elsewhere("a")].iter().enumerate() {
            let waiting = call(caller, [Step::Defer, act("deferred")]).priority();
            let reply = async {
                world.probe.noted_times("deferred 0", number + 1).await;
                cast(&actor, [Step::Answer(7), Step::Forget]).await.unwrap();
            };
            let (answer, ()) = join(waiting.into_future(), reply).await;
            assert_eq!(answer.unwrap(), 7);
        }
    }

    /// SPEC S6: the later reply may be an error.
    async fn the_later_reply_may_be_an_error(world: World) {
        let actor = world.start("a").await;
        let reply = async {
            cast(&actor, [Step::AnswerErr("no".to_owned())]).await.unwrap();
        };
        let answer = deferred(&world, &actor, reply).await;
        assert!(matches!(&answer, Err(CallError::Handler(error)) if error == "no"), "{answer:?}");
        assert_eq!(state(&actor).await.value, 1, "what the call did is kept");
    }

    /// SPEC S6: another server answers, whom the reply was handed over to.
    async fn another_server_answers(world: World) {
        let (actor, other) = (world.start("a").await, world.start_elsewhere("b").await);
        for caller in [actor, world.client_elsewhere("a")].iter() {
            let waiting = call(caller, [Step::Defer, hand_over("b")]);
            let reply = async {
                until(async || !state(&other).await.waiting.is_empty()).await;
                call(&other, [Step::Answer(7), Step::Forget]).await.unwrap();
            };
            let (answer, ()) = join(waiting.into_future(), reply).await;
            assert_eq!(answer.unwrap(), 7);
        }
    }

    /// SPEC S6: whose reply was deferred is in the state: a consumer that starts later answers, here or
    /// in another OS process.
    async fn a_consumer_that_starts_later_answers(world: World) {
        for (id, is_elsewhere) in [("a", false), ("b", true)] {
            let caller = world.client(id);
            let first = world.start(id).await;
            let waiting = call(&caller, [Step::Defer, act(id)]);
            let reply = async {
                world.probe.noted(&format!("{id} 0")).await;
                first.stop().await;
                let next = if is_elsewhere {
                    world.start_elsewhere(id).await
                } else {
                    world.start(id).await
                };
                cast(&next, [Step::Answer(7)]).await.unwrap();
                next
            };
            let (answer, _next) = join(waiting.into_future(), reply).await;
            assert_eq!(answer.unwrap(), 7);
        }
    }

    /// SPEC S6: a handler may answer the very call that it defers.
    async fn a_deferred_call_is_answered_at_once(world: World) {
        let actor = world.start("a").await;
        for caller in [&actor, &world.client_elsewhere("a")] {
            let script = [Step::Defer, Step::Answer(7), Step::Forget];
            assert_eq!(call(caller, script).await.unwrap(), 7);
        }
    }

    /// SPEC S6, S4: a caller that gave up has left nothing behind, and an answer to it is no error.
    async fn a_caller_that_gave_up_leaves_nothing(world: World) {
        let actor = world.start("a").await;
        let elsewhere = world.client_elsewhere("a");
        call(&elsewhere, [add(1)]).await.unwrap();
        // The answer is taken away behind.
        world.settle_commits().await;
        let before = world.actors_keys().await;
        for (number, caller) in [actor.clone(), elsewhere].iter().enumerate() {
            let waiting = call(caller, [Step::Defer, act("deferred")]).into_future();
            let give_up = async {
                world.probe.noted_times("deferred 1", number + 1).await;
                // The caller waits at its reply key by then, and not for the handler.
                world.settle().await;
                world.pass_time_until(async || world.probe.count("given up") > number).await;
            };
            let waiting = async {
                let answer = waiting.await;
                world.probe.note("given up");
                answer
            };
            let (answer, ()) = join(waiting, give_up).await;
            assert!(matches!(answer, Err(CallError::Timeout { after: TIMEOUT })), "{answer:?}");
            call(&actor, [Step::Answer(7), Step::Forget]).timeout(PATIENT).await.unwrap();
            until(async || world.actors_keys().await == before).await;
        }
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }

    /// SPEC S4: a caller that goes while its call is committed leaves nothing behind either.
    async fn a_caller_that_goes_during_the_commit_leaves_nothing(world: World, faultless = "it counts runs") {
        let actor = world.start("a").await;
        call(&actor, [add(1)]).await.unwrap();
        let before = world.actors_keys().await;
        for round in 1..=20 {
            let waiting = call(&actor, [Step::Defer, note("handled")]).into_future();
            let handled = pin!(until(async || world.probe.count("handled") >= round));
            drop(select(waiting, handled).await);
            call(&actor, [Step::Forget]).await.unwrap();
            until(async || world.actors_keys().await == before).await;
        }
    }

    /// SPEC S6: the first answer counts, whether the second comes with it or later.
    async fn the_first_of_two_answers_counts(world: World) {
        let actor = world.start("a").await;
        for caller in [&actor, &world.client_elsewhere("a")] {
            let waiting = call(caller, [Step::Defer, act("deferred")]);
            let reply = async {
                until(async || !world.probe.notes().is_empty()).await;
                let twice = [Step::Answer(7), Step::Answer(8), Step::AnswerErr("no".to_owned())];
                cast(&actor, twice).await.unwrap();
                cast(&actor, [Step::Answer(9), Step::Forget]).await.unwrap();
            };
            let (answer, ()) = join(waiting.into_future(), reply).await;
            assert_eq!(answer.unwrap(), 7);
        }
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }

    /// SPEC S6, S9: nobody waits for a cast: to defer its reply is an error of the handler, which changes
    /// nothing and is a dead letter at last.
    async fn deferring_in_a_cast_is_an_error(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [add(1), Step::Defer]).await.unwrap();
        assert_eq!(call(&actor, []).await.unwrap(), 0);
        let letters = actor.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 1);
        assert!(letters[0].error.contains("deferred where nobody waits"), "{letters:?}");
        let priority = cast(&actor, [add(1), Step::Defer]).priority().await;
        assert!(format!("{priority:?}").contains("nobody waits"), "{priority:?}");
        assert_eq!(state(&actor).await.value, 0);
    }

    /// SPEC S6: a handler that defers and then fails is answered by its failure.
    async fn a_failure_answers_a_deferred_call(world: World) {
        let actor = world.start("a").await;
        for caller in [&actor, &world.client_elsewhere("a")] {
            let failed = call(caller, [Step::Defer, fail("no")]).await;
            assert!(matches!(failed, Err(CallError::Handler(_))), "{failed:?}");
            let panicked = call(caller, [Step::Defer, panic("boom")]).await;
            assert!(
                matches!(panicked, Err(CallError::Failed(Failure::DeadLettered { .. }))),
                "{panicked:?}"
            );
        }
    }

    /// SPEC S6, S2: an answer comes with the transaction of the handler that gives it, or not at all.
    async fn an_answer_of_a_failed_handler_is_not_given(world: World) {
        let actor = world.start("a").await;
        let reply = async {
            call(&actor, [Step::Answer(6), fail("no")]).await.unwrap_err();
            call(&actor, [Step::Answer(6), panic("boom")]).await.unwrap_err();
            call(&actor, [Step::Answer(7)]).await.unwrap();
        };
        assert_eq!(deferred(&world, &actor, reply).await.unwrap(), 7);
    }
}
