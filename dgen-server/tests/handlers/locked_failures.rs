//! Locked work that fails: whoever waits is told, and the lock is released.

use std::time::Duration;

use dgen_server::{CallError, Failure, HeldBy, StartOptions};
use futures_util::future::join;

use crate::{script::*, world::*};

fn is_dead<T>(answer: &Result<T, CallError<String>>, text: &str, after: u32) -> bool {
    matches!(
        answer,
        Err(CallError::Failed(Failure::DeadLettered { error, attempts }))
            if error.contains(text) && *attempts == after
    )
}

on_each_store! {
    /// SPEC S7: locked work that returns an error releases the lock; its caller gets the error, and
    /// the state is as the handler that locked has left it.
    async fn locked_work_that_errors_releases_the_lock(world: World) {
        let actor = world.start("a").await;
        let failing = call(&actor, [add(1), lock([add(10), fail("no")])]).await;
        assert!(matches!(&failing, Err(CallError::Handler(error)) if error == "no"), "{failing:?}");
        assert_eq!(status(&actor).await.hold, None);
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 2);
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }

    /// SPEC S7, S9: locked work that panics is tried max_attempts times and is a dead letter then; its
    /// caller is told, the lock is released, and what waited is handled.
    async fn locked_work_that_panics_releases_the_lock(world: World) {
        let actor = world.start("a").await;
        let work = lock([note("try"), add(10), panic("boom")]);
        let panicking = call(&actor, [add(1), work]);
        let behind = async {
            world.probe.noted("try").await;
            call(&actor, [add(1)]).await
        };
        let (answer, behind) = join(panicking.into_future(), behind).await;
        assert!(is_dead(&answer, "boom", 5), "{answer:?}");
        assert_eq!(world.probe.count("try"), 5);
        assert_eq!(behind.unwrap(), 2, "the work changed nothing");
        assert_eq!(status(&actor).await.hold, None);
        let letters = actor.dead_letters().await.unwrap();
        assert_eq!((letters.len(), letters[0].attempts, letters[0].is_call), (1, 5, true));
        assert!(letters[0].error.contains("boom"), "{letters:?}");
    }

    /// SPEC S7, S9: so is that of a cast, and `max_attempts` counts.
    async fn a_cast_whose_work_panics_is_put_aside(world: World) {
        let actor = world.start_with("a", StartOptions::default().max_attempts(2)).await;
        cast(&actor, [lock([note("try"), panic("boom")])]).await.unwrap();
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 1);
        let letters = actor.dead_letters().await.unwrap();
        assert_eq!((letters.len(), letters[0].attempts, letters[0].is_call), (1, 2, false));
        assert_eq!(world.probe.count("try"), 2);
    }

    /// SPEC S7: between two tries the server stays locked, and an operator sees why.
    async fn failing_work_stays_locked(world: World) {
        world.clock.set_auto_advance_max(Duration::ZERO);
        let actor = world.start("a").await;
        cast(&actor, [lock([panic("boom")])]).await.unwrap();
        let (failures, error) = loop {
            if let Some(HeldBy::Lock { failures, error: Some(error), .. }) = status(&actor).await.hold {
                break (failures, error);
            }
            world.settle().await;
        };
        assert_eq!(failures, 1);
        assert!(error.contains("boom"), "{error}");
        cast(&actor, [add(1)]).await.unwrap();
        assert_eq!(status(&actor).await.queue_len, 1);
        world.clock.set_auto_advance_max(Duration::from_secs(1));
        world.clock.advance(Duration::from_millis(50));
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 2);
    }

    /// SPEC S7: work that fails and then succeeds is one success.
    async fn work_that_recovers_is_done_once(world: World) {
        let actor = world.start("a").await;
        let work = [add(10), send("b", [add(1)]), act("acted"), Step::PanicTimes(4)];
        assert_eq!(call(&actor, [lock(work)]).await.unwrap(), 10);
        assert_eq!(world.probe.count("acted 10"), 1);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 1);
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }

    /// SPEC S7: what locked work can't do is an error of it, and not of the server.
    async fn locked_work_does_not_lock_again(world: World) {
        let actor = world.start("a").await;
        let answer = call(&actor, [lock([lock([])])]).await;
        assert!(is_dead(&answer, "can't lock", 5), "{answer:?}");
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 1);
    }

    /// SPEC S7, S4: a caller that gives up does not stop the work.
    async fn work_goes_on_when_its_caller_gives_up(world: World) {
        let actor = world.start("a").await;
        let timeout = Duration::from_secs(2);
        let locked = call(&actor, [lock([wait("gate"), add(10)])]).timeout(timeout);
        let give_up = async {
            world.probe.noted("at gate").await;
            world.clock.advance(timeout);
        };
        let (answer, ()) = join(locked.into_future(), give_up).await;
        assert!(matches!(answer, Err(CallError::Timeout { .. })), "{answer:?}");
        world.probe.open("gate");
        assert_eq!(call(&actor, []).await.unwrap(), 10);
    }
}
