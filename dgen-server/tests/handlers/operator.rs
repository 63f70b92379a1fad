//! What an operator sees of a lock, and does to it.

use std::time::Duration;

use dgen_server::{CallError, Failure, HeldBy, StartOptions};
use futures_util::future::join;

use crate::{script::*, world::*};

on_each_store! {
    /// SPEC S7: an operator sees the lock: since when, whose, and how long its lease is.
    async fn an_operator_sees_the_lock(world: World) {
        let lease = Duration::from_secs(9);
        let actor = world.start_with("a", StartOptions::default().lock_lease(lease)).await;
        assert_eq!(status(&actor).await.hold, None);
        let now = world.clock.env().wall_clock();
        cast(&actor, [lock([Step::Fence, wait("gate")])]).await.unwrap();
        world.probe.noted("at gate").await;
        cast(&actor, [add(1)]).await.unwrap();
        let seen = status(&world.client_elsewhere("a")).await;
        assert_eq!((seen.is_started, seen.queue_len), (true, 1));
        let Some(HeldBy::Lock { since, fence, process, renewals, takeovers, failures, error, lease: of, .. }) =
            seen.hold
        else {
            panic!("it is locked: {seen:?}")
        };
        assert_eq!((since, of), (now, lease));
        assert_eq!((renewals, takeovers, failures, error), (0, 0, 0, None));
        assert_eq!(world.probe.numbers("fence"), [fence]);
        assert_ne!(process, 0);
        world.probe.open("gate");
        call(&actor, []).await.unwrap();
        assert_eq!(status(&actor).await.hold, None);
    }

    /// SPEC S7: a lock that is broken: its message is a dead letter, its caller is told, what waited goes
    /// on at once, and the result of the work can't be committed.
    async fn an_operator_breaks_the_lock(world: World) {
        let actor = world.start("a").await;
        let work = [add(10), send("b", [add(1)]), act("acted"), wait("gate"), note("worked")];
        let locked = call(&actor, [add(1), lock(work)]);
        let breaking = async {
            world.probe.noted("at gate").await;
            cast(&actor, [add(1)]).await.unwrap();
            assert!(world.client_elsewhere("a").break_lock().await.unwrap());
        };
        let (answer, ()) = join(locked.into_future(), breaking).await;
        assert!(
            matches!(
                &answer,
                Err(CallError::Failed(Failure::DeadLettered { error, attempts: 0 }))
                    if error.contains("lock was broken")
            ),
            "{answer:?}"
        );
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 3);
        assert_eq!(status(&actor).await.hold, None);

        world.probe.open("gate");
        world.probe.noted("worked").await;
        world.settle().await;
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 4);
        assert_eq!(world.probe.count("acted 11"), 0);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
    }

    /// SPEC S7: where its caller is in the OS process that breaks it, it is told there.
    async fn a_caller_here_is_told_of_a_broken_lock(world: World) {
        let actor = world.start_elsewhere("a").await;
        let client = world.client("a");
        let locked = call(&client, [lock([wait("gate")])]);
        let breaking = async {
            world.probe.noted("at gate").await;
            assert!(client.break_lock().await.unwrap());
        };
        let (answer, ()) = join(locked.into_future(), breaking).await;
        assert!(
            matches!(answer, Err(CallError::Failed(Failure::DeadLettered { .. }))),
            "{answer:?}"
        );
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 1);
    }

    /// SPEC S7: the work of a broken lock is dropped when its holder next renews.
    async fn the_work_of_a_broken_lock_is_dropped(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [lock([Step::Guard, wait("gate")])]).await.unwrap();
        world.probe.noted("at gate").await;
        actor.break_lock().await.unwrap();
        let before = world.clock.elapsed();
        world.pass_time_until(async || world.probe.count("dropped") == 1).await;
        assert!(world.clock.elapsed() - before < LEASE);
    }

    /// SPEC S7: a frozen holder's lock can be broken; when it wakes, it can't commit, though the server
    /// is locked again by then.
    async fn a_frozen_holder_of_a_broken_lock_cannot_commit(world: World) {
        world.start_on_thread("a").await;
        let client = world.client("a");
        cast(&client, [lock([add(10), act("acted"), freeze("gate")])]).await.unwrap();
        world.probe.noted("at gate").await;
        assert!(client.break_lock().await.unwrap());
        let actor = world.start("a").await;
        cast(&actor, [lock([add(100), wait("other gate")])]).await.unwrap();
        world.probe.noted("at other gate").await;
        world.probe.open("gate");
        world.stop_thread().await;
        assert_eq!(state(&actor).await.value, 0);
        world.probe.open("other gate");
        assert_eq!(call(&actor, []).await.unwrap(), 100);
        assert_eq!(world.probe.count("acted 10"), 0);
    }

    /// SPEC S7, S9: a message whose lock was broken can be replayed, or dropped.
    async fn a_message_whose_lock_was_broken_is_replayed(world: World) {
        let actor = world.start("a").await;
        for _ in 0..2 {
            cast(&actor, [lock([wait("gate"), add(10)])]).await.unwrap();
            until(async || status(&actor).await.hold.is_some()).await;
            actor.break_lock().await.unwrap();
        }
        let letters = actor.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 2);
        assert!(letters[0].message.contains("gate"), "{letters:?}");
        world.probe.open("gate");
        assert!(actor.drop_dead_letter(letters[0].number).await.unwrap());
        assert!(actor.replay(letters[1].number).await.unwrap());
        assert_eq!(call(&actor, []).await.unwrap(), 10);
        assert_eq!(actor.dead_letters().await.unwrap(), []);
        assert!(!actor.replay(letters[1].number).await.unwrap());
        assert!(!actor.drop_dead_letter(letters[0].number).await.unwrap());
    }

    /// SPEC S7: where there is no lock there is none to break.
    async fn there_may_be_no_lock_to_break(world: World) {
        let actor = world.client("a");
        assert!(!actor.break_lock().await.unwrap());
        world.clock.set_auto_advance_max(Duration::ZERO);
        let actor = world.start("a").await;
        assert!(!actor.break_lock().await.unwrap());
        cast(&actor, [panic("boom")]).await.unwrap();
        until(async || matches!(status(&actor).await.hold, Some(HeldBy::Failing { .. }))).await;
        assert!(!actor.break_lock().await.unwrap());
        assert!(status(&actor).await.hold.is_some(), "a failing message is no lock");
    }
}
