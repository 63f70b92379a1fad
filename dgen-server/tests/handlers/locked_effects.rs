//! What locked work is told to do happens with its result, or not at all.

use std::time::{Duration, SystemTime};

use dgen_server::{CallError, StopReason};
use futures_util::future::join;

use crate::{script::*, world::*};

on_each_store! {
    /// SPEC S7, T1, T2, S6: sends, timers and actions of locked work happen with its result, and not
    /// before; those of the handler that locked happen with the lock.
    async fn effects_of_locked_work_come_with_its_result(world: World) {
        let actor = world.start("a").await;
        let b = world.client("b");
        let delay = Duration::from_secs(100);
        let due = world.clock.env().wall_clock() + delay;
        let work = [
            add(10),
            send("b", [log("from the work")]),
            Step::SendAfter(delay, vec![add(1_000)]),
            act("worked"),
            wait("gate"),
        ];
        let handler = [add(1), send("b", [log("from the handler")]), act("locked"), lock(work)];
        let locked = call(&actor, handler);
        let open = async {
            world.probe.noted("at gate").await;
            assert_eq!(b.queue_len().await.unwrap(), 1);
            assert_eq!(world.probe.notes(), ["locked 1", "at gate"]);
            assert_ne!(status(&actor).await.next_due, Some(due));
            world.probe.open("gate");
        };
        let (answer, ()) = join(locked.into_future(), open).await;
        assert_eq!(answer.unwrap(), 11);
        assert_eq!(world.probe.notes(), ["locked 1", "at gate", "worked 11"]);
        assert_eq!(b.queue_len().await.unwrap(), 2);
        assert_eq!(status(&actor).await.next_due, Some(due));
        let b = world.start("b").await;
        call(&b, []).await.unwrap();
        assert_eq!(state(&b).await.log, ["from the handler", "from the work"]);
    }

    /// SPEC S7: locked work that returns an error has done nothing.
    async fn effects_of_failed_work_do_not_happen(world: World) {
        let actor = world.start("a").await;
        let work = [
            send("b", [add(1)]),
            Step::SendAfter(Duration::from_secs(1), vec![add(1)]),
            act("worked"),
            stop("worked"),
            fail("no"),
        ];
        let answer = call(&actor, [lock(work)]).await;
        assert!(matches!(answer, Err(CallError::Handler(_))), "{answer:?}");
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 1, "it was not stopped");
        assert_eq!(world.probe.notes(), [""; 0]);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
        assert_eq!(status(&actor).await.next_due, None);
    }

    /// SPEC S7, S6: actions of locked work get the committed state, with what others changed meanwhile.
    async fn actions_of_locked_work_get_the_merged_state(world: World) {
        let actor = world.start("a").await;
        let locked = call(&actor, [lock([add_other(10), act("worked"), wait("gate")])]);
        let meanwhile = async {
            world.probe.noted("at gate").await;
            call(&actor, [add(5)]).priority().await.unwrap();
            world.probe.open("gate");
        };
        let (answer, ()) = join(locked.into_future(), meanwhile).await;
        assert_eq!(answer.unwrap(), 0, "that is what the work saw");
        assert_eq!(world.probe.count("worked 5"), 1);
        let merged = state(&actor).await;
        assert_eq!((merged.value, merged.other), (5, 10));
    }

    /// SPEC S7, S10: locked work stops its process once its result is committed.
    async fn locked_work_stops_its_process(world: World) {
        let actor = world.start("a").await;
        let answer = call(&actor, [lock([add(10), act("worked"), stop("done")])]).await;
        assert_eq!(answer.unwrap(), 10);
        assert_eq!(actor.stopped().await, StopReason::Handler("done".to_owned()));
        assert_eq!(world.probe.notes(), ["worked 10"]);
        let again = world.start("a").await;
        assert_eq!(call(&again, []).await.unwrap(), 10);
    }

    /// SPEC S7, S10: also if the next message of the queue locks at once.
    async fn a_stop_by_locked_work_is_not_overlooked(world: World) {
        let client = world.client("a");
        cast(&client, [lock([wait("gate"), add(1), stop("first")])]).await.unwrap();
        for _ in 0..3 {
            cast(&client, [lock([wait("gate"), add(1), stop("later")])]).await.unwrap();
        }
        let actor = world.start("a").await;
        world.probe.noted("at gate").await;
        world.probe.open("gate");
        assert_eq!(actor.stopped().await, StopReason::Handler("first".to_owned()));
    }

    /// SPEC S7, S6: locked work can leave its reply to a later message.
    async fn locked_work_defers_its_reply(world: World) {
        let actor = world.start("a").await;
        let locked = call(&actor, [lock([add(10), Step::Defer, note("deferred")])]);
        let answer = async {
            world.probe.noted("deferred").await;
            cast(&actor, [Step::Answer(7)]).await.unwrap();
        };
        let (answer, ()) = join(locked.into_future(), answer).await;
        assert_eq!(answer.unwrap(), 7);
        assert_eq!(state(&actor).await.value, 10);
    }

    /// SPEC S7, S6: a call that defers its reply and then locks can be answered by others, while it
    /// works or after.
    async fn a_call_that_locks_can_be_answered_by_others(world: World) {
        let actor = world.start("a").await;
        let locked = call(&actor, [Step::Defer, lock([wait("gate"), add(10)])]);
        let answer = async {
            world.probe.noted("at gate").await;
            cast(&actor, [Step::Answer(7)]).priority().await.unwrap();
        };
        let (answer, ()) = join(locked.into_future(), answer).await;
        assert_eq!(answer.unwrap(), 7);
        world.probe.open("gate");
        assert_eq!(call(&actor, []).await.unwrap(), 10);
    }

    /// SPEC S7, T2: a delay that locked work asks for begins when it asks, however long it has worked.
    async fn delays_of_locked_work_begin_when_it_asks(world: World) {
        let actor = world.start("a").await;
        let delay = Duration::from_secs(100);
        let work = [wait("gate"), Step::SendAfter(delay, vec![note("fired")])];
        cast(&actor, [lock(work)]).await.unwrap();
        world.probe.noted("at gate").await;
        for _ in 0..600 {
            world.clock.advance(Duration::from_secs(1));
        }
        world.probe.open("gate");
        let asked_at: SystemTime = world.clock.env().wall_clock();
        let hour = Duration::from_secs(3_600);
        call(&actor, []).timeout(hour).await.unwrap();
        assert_eq!(status(&actor).await.next_due, Some(asked_at + delay));
    }
}
