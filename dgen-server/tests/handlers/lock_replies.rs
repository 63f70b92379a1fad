//! What a handler that locks may return.

use dgen_server::{CallError, Failure};

use crate::{script::*, world::*};

on_each_store! {
    /// SPEC S7, S6: a handler that asks for the lock and returns an error has locked nothing, changed
    /// nothing and sent nothing; its caller gets the error. Inline, through the queue, and past it.
    async fn a_handler_that_locks_and_errors_locks_nothing(world: World) {
        let actor = world.start("a").await;
        let script = || {
            let work = lock([note("works")]);
            vec![add(1), send("b", [add(1)]), act("acted"), work, fail("no")]
        };
        for sender in [&actor, &world.client_elsewhere("a")] {
            let answers = [
                call(sender, script()).await,
                call(sender, script()).priority().await,
                call(sender, script()).id("id").await,
                call(sender, script()).id("id").await,
            ];
            for answer in answers {
                assert!(matches!(&answer, Err(CallError::Handler(error)) if error == "no"), "{answer:?}");
                assert_eq!(status(&actor).await.hold, None);
            }
        }
        assert_eq!(call(&actor, []).await.unwrap(), 0);
        assert_eq!(world.probe.notes(), [""; 0]);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }

    /// SPEC S7, S9: to lock and answer as well is an error of the handler, as a panic is: tried again,
    /// and a dead letter at last. Nothing of it counts.
    async fn a_handler_that_locks_and_answers_has_failed(world: World) {
        let actor = world.start("a").await;
        let script = [note("tried"), add(1), send("b", [add(1)]), act("acted"), Step::LockAndAnswer];
        for (number, sender) in (1..).zip([&actor, &world.client_elsewhere("a")]) {
            let answer = call(sender, script.clone()).await;
            assert!(
                matches!(
                    &answer,
                    Err(CallError::Failed(Failure::DeadLettered { error, attempts: 5 }))
                        if error.contains("answer as well")
                ),
                "{answer:?}"
            );
            let letters = actor.dead_letters().await.unwrap();
            assert_eq!(letters.len(), number);
        }
        assert_eq!(world.probe.count("tried"), 6 + 5, "inline, and five times each");
        for sender in [&actor, &world.client_elsewhere("a")] {
            let answer = call(sender, script.clone()).priority().await;
            assert!(matches!(answer, Err(CallError::Failed(Failure::Misused { .. }))), "{answer:?}");
        }
        assert_eq!(status(&actor).await.hold, None);
        assert_eq!(call(&actor, []).await.unwrap(), 0);
        assert_eq!(world.probe.count("acted 1"), 0);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
    }

    /// SPEC S7: in a cast there is no answer, and it locks.
    async fn a_cast_that_locks_has_nothing_to_return(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [add(1), Step::LockAndAnswer]).await.unwrap();
        assert_eq!(call(&actor, []).await.unwrap(), 1);
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }

    /// SPEC S7, S12: a message that can be stored and not be read again can't lock, since nobody could
    /// go on with it: it is refused, and changes nothing.
    async fn a_message_that_does_not_come_back_is_refused(world: World) {
        let actor = world.start("a").await;
        let script = || {
            let work = lock([note("works")]);
            vec![add(1), send("b", [add(1)]), act("acted"), Step::Odd(Odd), work]
        };
        let is_refused = |failure: &Failure| {
            matches!(failure, Failure::UnknownMessage { reason } if reason.contains("an odd number"))
        };
        let answers = [call(&actor, script()).await, call(&actor, script()).priority().await];
        for answer in answers {
            assert!(matches!(&answer, Err(CallError::Failed(failure)) if is_refused(failure)), "{answer:?}");
        }
        let casts = [cast(&actor, script()).await, cast(&actor, script()).priority().await];
        for cast in casts {
            let failure = cast.unwrap_err();
            assert!(format!("{failure:?}").contains("an odd number"), "{failure:?}");
        }
        let there = call(&world.client_elsewhere("a"), script()).priority().await;
        assert!(matches!(&there, Err(CallError::Failed(failure)) if is_refused(failure)), "{there:?}");
        assert_eq!(status(&actor).await.hold, None);
        assert_eq!(call(&actor, []).await.unwrap(), 0);
        assert_eq!(world.probe.notes(), [""; 0]);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
        assert_eq!(call(&actor, [Step::Odd(Odd), add(1)]).await.unwrap(), 1, "it need not be stored");
    }
}
