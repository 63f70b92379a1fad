//! The lock is a lease: who holds it keeps it, who is gone loses it, and who lost it can't commit.

use futures_util::future::join;

use crate::{script::*, world::*};

/// Work with effects of every kind, in the middle of which its first holder freezes.
fn freezing() -> [Step; 2] {
    let work = [
        note("works"),
        Step::Fence,
        add(10),
        log("worked"),
        send("b", [add(1)]),
        act("acted"),
        freeze("gate"),
    ];
    [add(1), lock(work)]
}

/// Each effect of that work is there once, and the second fence is greater.
async fn assert_effects_happened_once(world: &World) {
    let actor = state(&world.client("a")).await;
    assert_eq!(
        (actor.value, &actor.log[..]),
        (11, &["worked".to_owned()][..])
    );
    assert_eq!(world.client("b").queue_len().await.unwrap(), 1);
    assert_eq!(world.probe.count("acted 11"), 1);
    let fences = world.probe.numbers("fence");
    assert!(fences.len() == 2 && fences[0] < fences[1], "{fences:?}");
    assert_eq!(status(&world.client("a")).await.hold, None);
}

on_each_store! {
    /// SPEC S7: the holder is frozen mid-work; another consumer takes the lock over after the lease and
    /// finishes; the frozen one wakes and cannot commit. The work's effects happen once.
    async fn a_frozen_holder_cannot_commit(world: World) {
        world.start_on_thread("a").await;
        let client = world.client("a");
        let locked = call(&client, freezing()).timeout(PATIENT);
        let take_over = async {
            world.probe.noted("at gate").await;
            let before = world.clock.elapsed();
            let second = world.start("a").await;
            // However often it looks at the lock.
            for _ in 0..3 {
                cast(&second, []).await.unwrap();
            }
            world.pass_time_until(async || world.probe.count("works") == 2).await;
            assert!(world.clock.elapsed() - before >= LEASE, "it was taken over too early");
            assert_eq!(takeovers_and_renewals(&world).await.0, 1);
            world.probe.open("again");
            second
        };
        let (answer, second) = join(locked.into_future(), take_over).await;
        assert_eq!(answer.unwrap(), 11);
        assert_effects_happened_once(&world).await;

        world.probe.open("gate");
        world.stop_thread().await;
        assert_effects_happened_once(&world).await;
        assert_eq!(call(&second, [add(1)]).await.unwrap(), 12);
    }

    /// SPEC S7: it cannot commit while the other one is still at it, either.
    async fn a_holder_that_wakes_too_late_cannot_commit(world: World) {
        world.start_on_thread("a").await;
        let client = world.client("a");
        let locked = call(&client, freezing()).timeout(PATIENT);
        let take_over = async {
            world.probe.noted("at gate").await;
            let second = world.start("a").await;
            world.pass_time_until(async || world.probe.count("works") == 2).await;
            world.probe.open("gate");
            world.stop_thread().await;
            assert_eq!(state(&second).await.value, 1, "the first one's result is not there");
            assert_eq!(world.probe.count("acted 11"), 0);
            world.probe.open("again");
            second
        };
        let (answer, _second) = join(locked.into_future(), take_over).await;
        assert_eq!(answer.unwrap(), 11);
        assert_effects_happened_once(&world).await;
    }

    /// SPEC S7: what the frozen holder's message changed before is kept, what others did meanwhile too,
    /// and its process serves on when it wakes.
    async fn a_holder_that_lost_its_lock_serves_on(world: World) {
        world.start_on_thread("a").await;
        let client = world.client("a");
        cast(&client, freezing()).await.unwrap();
        world.probe.noted("at gate").await;
        let second = world.start("a").await;
        world.probe.open("again");
        world.pass_time_until(async || world.probe.count("acted 11") == 1).await;
        call(&second, [add(1)]).timeout(PATIENT).await.unwrap();
        second.stop().await;
        world.probe.open("gate");
        let served = call(&client, [add(1)]).timeout(PATIENT).into_future();
        assert_eq!(served.await.unwrap(), 13, "only the first one can have done this");
        world.stop_thread().await;
    }

    /// SPEC S7: if the holder dies, another consumer takes the lock over and does the work again.
    async fn the_lock_of_a_dead_holder_is_taken_over(world: World) {
        world.start_on_thread("a").await;
        let client = world.client("a");
        let work = [note("works"), Step::Fence, add(10), wait("gate")];
        let locked = call(&client, [lock(work)]).timeout(PATIENT);
        let take_over = async {
            world.probe.noted("at gate").await;
            world.kill_thread().await;
            let before = world.clock.elapsed();
            let second = world.start("a").await;
            world.pass_time_until(async || world.probe.count("works") == 2).await;
            assert!(world.clock.elapsed() - before >= LEASE, "it was taken over too early");
            world.probe.open("gate");
            second
        };
        let (answer, second) = join(locked.into_future(), take_over).await;
        assert_eq!(answer.unwrap(), 10);
        assert_eq!(call(&second, [add(1)]).await.unwrap(), 11);
        let fences = world.probe.numbers("fence");
        assert!(fences[0] < fences[1], "{fences:?}");
    }

    /// SPEC S7: a holder that renews keeps the lock, however long its work takes.
    async fn a_holder_that_renews_keeps_the_lock(world: World) {
        let holder = world.start("a").await;
        cast(&holder, [lock([note("works"), wait("gate"), add(10)])]).await.unwrap();
        world.probe.noted("at gate").await;
        let other = world.start_elsewhere("a").await;
        let third = LEASE / 3;
        for renewals in 1..=30 {
            let is_renewed = async || takeovers_and_renewals(&world).await.1 >= renewals;
            world.clock.advance(third);
            // The holder may not have begun to wait when the clock moved: then once more.
            if !world.settles_into(is_renewed).await {
                world.clock.advance(third);
                until(is_renewed).await;
            }
        }
        world.settle().await;
        assert_eq!(takeovers_and_renewals(&world).await.0, 0);
        world.probe.open("gate");
        assert_eq!(call(&other, []).timeout(PATIENT).await.unwrap(), 10);
        assert_eq!(world.probe.count("works"), 1);
    }

    /// SPEC S7: fences grow from lock to lock, too.
    async fn fences_grow(world: World) {
        let actor = world.start("a").await;
        for _ in 0..5 {
            call(&actor, [lock([Step::Fence])]).await.unwrap();
        }
        let fences = world.probe.numbers("fence");
        assert_eq!(fences.len(), 5);
        assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
    }
}
