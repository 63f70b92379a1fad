//! Locks: what goes on while a server is locked, and after.

use dgen_server::{CallError, CastError, Failure, HeldBy};
use futures_util::future::{join, join_all};

use crate::{script::*, world::*};

on_each_store! {
    /// SPEC S7: a cast locks; casts queue behind it and are handled after it, in their order; what the
    /// locked work changed is kept.
    async fn casts_queue_behind_a_cast_that_locked(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [log("locks"), lock([wait("gate"), add(10), log("worked")])]).await.unwrap();
        world.probe.noted("at gate").await;
        for line in ["first", "second", "third"] {
            cast(&actor, [add(1), log(line)]).await.unwrap();
        }
        assert_eq!(status(&actor).await.queue_len, 3);
        let locked = state(&actor).await;
        assert_eq!((locked.value, locked.log), (0, vec!["locks".to_owned()]));
        world.probe.open("gate");
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 14);
        assert_eq!(state(&actor).await.log, ["locks", "worked", "first", "second", "third"]);
        assert_eq!(status(&actor).await.hold, None);
    }

    /// SPEC S7: a call locks, and its locked work answers it.
    async fn locked_work_answers_the_call_that_locked(world: World) {
        let actor = world.start("a").await;
        let locked = call(&actor, [add(1), lock([wait("gate"), add(10)])]);
        let open = async {
            world.probe.noted("at gate").await;
            world.probe.open("gate");
        };
        let (answer, ()) = join(locked.into_future(), open).await;
        assert_eq!(answer.unwrap(), 11);
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 12, "normal work goes on");
    }

    /// SPEC S7, S5: a priority call locks, and its locked work answers it; what waits in the queue is
    /// handled after it.
    async fn a_priority_call_locks(world: World) {
        let client = world.client("a");
        let actor = world.start("a").await;
        let locked = call(&client, [lock([wait("gate"), add(10), log("worked")])]).priority();
        let open = async {
            world.probe.noted("at gate").await;
            cast(&client, [log("queued")]).await.unwrap();
            assert_eq!(status(&client).await.queue_len, 1);
            world.probe.open("gate");
        };
        let (answer, ()) = join(locked.into_future(), open).await;
        assert_eq!(answer.unwrap(), 10);
        call(&actor, []).await.unwrap();
        assert_eq!(state(&actor).await.log, ["worked", "queued"]);
    }

    /// SPEC S7: the message of the queue that locks is the last one of its transaction, and a message
    /// that came through the queue is worked on like any other.
    async fn a_queued_message_locks(world: World) {
        let client = world.client("a");
        cast(&client, [log("before")]).await.unwrap();
        cast(&client, [lock([wait("gate"), log("worked")])]).await.unwrap();
        cast(&client, [log("after")]).await.unwrap();
        let actor = world.start("a").await;
        world.probe.noted("at gate").await;
        assert_eq!(state(&actor).await.log, ["before"]);
        assert_eq!(status(&actor).await.queue_len, 1);
        world.probe.open("gate");
        call(&actor, []).await.unwrap();
        assert_eq!(state(&actor).await.log, ["before", "worked", "after"]);
    }

    /// SPEC S7, S2: of a batch of casts one may lock: those behind it wait for it.
    async fn a_cast_of_a_batch_locks(world: World) {
        let actor = world.start("a").await;
        let batch = vec![
            vec![log("before")],
            vec![lock([wait("gate"), log("worked")])],
            vec![log("after")],
        ];
        actor.cast_all(batch).await.unwrap();
        world.probe.noted("at gate").await;
        assert_eq!(status(&actor).await.queue_len, 1);
        world.probe.open("gate");
        call(&actor, []).await.unwrap();
        assert_eq!(state(&actor).await.log, ["before", "worked", "after"]);
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }

    /// SPEC S7: a second consumer, in the same OS process or in another, waits while the server is
    /// locked, and goes on after.
    async fn a_second_consumer_waits(world: World) {
        let holder = world.start("a").await;
        cast(&holder, [lock([note("works"), wait("gate"), log("worked")])]).await.unwrap();
        world.probe.noted("at gate").await;
        for waiting in [world.start("a").await, world.start_elsewhere("a").await] {
            cast(&waiting, [log("waited")]).await.unwrap();
            world.settle().await;
            assert_eq!(state(&waiting).await.log, [""; 0]);
        }
        assert_eq!(status(&holder).await.queue_len, 2);
        world.probe.open("gate");
        queued(&holder, 0).await;
        assert_eq!(state(&holder).await.log, ["worked", "waited", "waited"]);
        assert_eq!(world.probe.count("works"), 1, "the lock was taken over");
    }

    /// SPEC S7, S3: an inline call is queued while the server is locked, and answered after.
    async fn an_inline_call_is_queued_while_locked(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [lock([wait("gate"), add(10)])]).await.unwrap();
        world.probe.noted("at gate").await;
        let calls = join_all((0..3).map(|_| call(&actor, [add(1)]).into_future()));
        let open = async {
            queued(&actor, 3).await;
            world.probe.open("gate");
        };
        let (answers, ()) = join(calls, open).await;
        let mut answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        answers.sort_unstable();
        assert_eq!(answers, [11, 12, 13]);
    }

    /// SPEC S7: one lock after the other, and nothing between is forgotten.
    async fn locks_follow_one_another(world: World) {
        let actor = world.start("a").await;
        world.probe.open("gate");
        let calls = (0..10).map(|_| call(&actor, [add(1), lock([wait("gate"), add(100)])]));
        for answer in join_all(calls.map(IntoFuture::into_future)).await {
            answer.unwrap();
        }
        assert_eq!(call(&actor, []).await.unwrap(), 1_010);
        assert_eq!(status(&actor).await.hold, None);
    }

    /// SPEC S7, S5: priority and info messages go through while the server is locked; what they change
    /// is merged with what the locked work changes, which wins where both changed the same.
    async fn priority_and_info_go_through_while_locked(world: World) {
        let actor = world.start("a").await;
        let work = lock([wait("gate"), add(10), log("worked")]);
        let locked = call(&actor, [add(1), work]);
        let meanwhile = async {
            world.probe.noted("at gate").await;
            assert_eq!(call(&actor, [add_other(1), add(100)]).priority().await.unwrap(), 101);
            cast(&actor, [add_other(2)]).priority().await.unwrap();
            actor.info(vec![add_other(4), note("info")]).unwrap();
            world.probe.noted("info").await;
            // As it would be where no process is.
            call(&world.client_elsewhere("a"), [add_other(8)]).priority().await.unwrap();
            until(async || state(&actor).await.other == 15).await;
            assert_eq!(state(&actor).await.value, 101);
            world.probe.open("gate");
        };
        let (answer, ()) = join(locked.into_future(), meanwhile).await;
        assert_eq!(answer.unwrap(), 11, "the work has its own copy of the state");
        let merged = state(&actor).await;
        assert_eq!((merged.value, merged.other), (11, 15));
        assert_eq!(merged.log, ["worked"]);
    }

    /// SPEC S7, S5: a priority message that would lock a locked server is refused, and changes nothing.
    async fn a_locked_server_is_not_locked_again(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [lock([wait("gate"), add(1)])]).await.unwrap();
        world.probe.noted("at gate").await;
        let Some(HeldBy::Lock { since, .. }) = status(&actor).await.hold else {
            panic!("it is locked")
        };
        for sender in [&actor, &world.client_elsewhere("a")] {
            let again = || [add_other(1), lock([add(100)])];
            match call(sender, again()).priority().await {
                Err(CallError::Failed(Failure::Locked { since: told })) => assert_eq!(told, since),
                other => panic!("{other:?}"),
            }
            match cast(sender, again()).priority().await {
                Err(CastError::Failed(Failure::Locked { .. })) => {}
                other => panic!("{other:?}"),
            }
        }
        world.probe.open("gate");
        assert_eq!(call(&actor, []).await.unwrap(), 1);
        assert_eq!(state(&actor).await.other, 0);
    }

    /// SPEC S7, S5: where no process of the server is, a priority call that locks is worked on by its
    /// caller, and the lock keeps others out meanwhile.
    async fn a_caller_may_hold_the_lock(world: World) {
        let actor = world.start("a").await;
        let caller = world.client_elsewhere("a");
        let locked = call(&caller, [lock([wait("gate"), add(10)])]).priority();
        let open = async {
            world.probe.noted("at gate").await;
            cast(&actor, [add(1)]).await.unwrap();
            world.settle().await;
            assert_eq!(status(&actor).await.queue_len, 1);
            world.probe.open("gate");
        };
        let (answer, ()) = join(locked.into_future(), open).await;
        assert_eq!(answer.unwrap(), 10);
        assert_eq!(call(&actor, []).await.unwrap(), 11);
    }
}
