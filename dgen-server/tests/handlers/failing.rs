//! A message at the head of the queue that fails, and several who see it.

use std::time::Duration;

use dgen_backend::tuple::Subspace;
use dgen_server::{CallError, Failure, Handle, HeldBy, Server, StartOptions};
use futures_util::future::join;

use crate::{held_up::held_up, script::*, world::*};

/// How often the head of the queue has failed, and since when.
async fn failures(actor: &Handle<Actor>) -> Option<(u32, std::time::SystemTime)> {
    match status(actor).await.hold {
        Some(HeldBy::Failing {
            attempts, since, ..
        }) => Some((attempts, since)),
        _ => None,
    }
}

async fn attempts(actor: &Handle<Actor>) -> u32 {
    failures(actor).await.map_or(0, |(attempts, _)| attempts)
}

/// Moves the clock on, by little, until the head of the queue has failed so often, or is put aside.
async fn until_attempts(world: &World, actor: &Handle<Actor>, count: u32) {
    until(async || {
        attempts(actor).await >= count || status(actor).await.dead_letters > 0 || {
            world.clock.advance(Duration::from_millis(5));
            world.settle_commits().await;
            false
        }
    })
    .await;
}

/// Where it is stored what holds the queue of that actor up.
fn hold_of(id: &str) -> Vec<u8> {
    let actor = Subspace::from("dgen").subspace(&(Actor::NAME, (id,)));
    actor.pack(&"h")
}

/// How long the head of the queue waits after each of its failures but the last.
const BACKOFFS_MILLIS: [u64; 4] = [50, 100, 200, 400];

/// Conflicts are waited out by themselves, and backoffs wait for the test.
const AUTO_ADVANCE_MAX: Duration = Duration::from_millis(40);

on_each_store! {
    /// SPEC S9, S11: five processes, three of them as in OS processes of their own, see one message
    /// fail at the same time: that is counted once, and none of them tries it again before its backoff
    /// is over.
    async fn many_consumers_count_a_failure_once(world: World) {
        world.clock.set_auto_advance_max(AUTO_ADVANCE_MAX);
        let hold_up = || held_up(&world.tenant, hold_of("a"), &world.probe, "count");
        let one = hold_up();
        let mut consumers = Vec::new();
        for tenant in [one.clone(), one, hold_up(), hold_up(), hold_up()] {
            consumers.push(world.start_at(&tenant, "a").await);
        }
        let client = world.client_elsewhere("a");
        let mut began = world.clock.elapsed();
        cast(&client, [note("tried"), panic("boom")]).await.unwrap();
        // All have seen it fail, and none has counted it.
        world.probe.noted_times("at count", 5).await;
        world.probe.open("count");
        for (count, millis) in (1..).zip(BACKOFFS_MILLIS) {
            until_attempts(&world, &client, count).await;
            world.settle_commits().await;
            assert_eq!(attempts(&client).await, count);
            let tried = world.probe.count("tried");
            let backoff = Duration::from_millis(millis);
            // It can't have failed before this round began.
            let early = (began + backoff).saturating_sub(world.clock.elapsed());
            world.clock.advance(early.saturating_sub(Duration::from_millis(1)));
            world.settle_commits().await;
            assert_eq!((attempts(&client).await, world.probe.count("tried")), (count, tried));
            began = world.clock.elapsed();
        }
        until(async || {
            world.clock.advance(Duration::from_millis(5));
            status(&client).await.dead_letters == 1
        })
        .await;
        world.settle_commits().await;
        let letters = client.dead_letters().await.unwrap();
        assert_eq!((letters.len(), letters[0].attempts), (1, 5));
        let tried = world.probe.count("tried");
        assert!((9..=25).contains(&tried), "each process tries once a round: {tried}");
        assert_eq!(call(&client, [add(1)]).timeout(PATIENT).await.unwrap(), 1);
    }

    /// SPEC S9, S5: a priority message that locks meanwhile does not make the count begin anew, however
    /// its lock ends.
    async fn a_lock_keeps_the_count_of_the_head(world: World) {
        world.clock.set_auto_advance_max(AUTO_ADVANCE_MAX);
        let actor = world.start("a").await;
        let there = world.client_elsewhere("a");
        cast(&actor, [note("tried"), panic("boom")]).await.unwrap();
        until_attempts(&world, &actor, 2).await;
        world.settle_commits().await;
        let before = failures(&actor).await;

        // Its work ends, fails, is broken.
        for (number, sender) in (1..).zip([&actor, &there, &actor]) {
            let work = match number {
                2 => vec![add(10), wait("gate 2"), fail("no")],
                _ => vec![add(10), wait(&format!("gate {number}"))],
            };
            let locked = call(sender, [lock(work)]).priority();
            let meanwhile = async {
                world.probe.noted(&format!("at gate {number}")).await;
                assert!(matches!(status(&actor).await.hold, Some(HeldBy::Lock { .. })));
                if number == 3 {
                    assert!(there.break_lock().await.unwrap());
                } else {
                    world.probe.open(&format!("gate {number}"));
                }
            };
            let (answer, ()) = join(locked.into_future(), meanwhile).await;
            match number {
                1 => assert_eq!(answer.unwrap(), 10),
                2 => assert!(matches!(answer, Err(CallError::Handler(_))), "{answer:?}"),
                _ => assert!(
                    matches!(answer, Err(CallError::Failed(Failure::DeadLettered { .. }))),
                    "{answer:?}"
                ),
            }
            assert_eq!(failures(&actor).await, before, "after lock {number}");
        }
        let tried = world.probe.count("tried");
        world.pass_time_until(async || status(&actor).await.dead_letters == 2).await;
        assert_eq!(world.probe.count("tried"), tried + 3);
        let letters = actor.dead_letters().await.unwrap();
        assert_eq!(letters[1].attempts, 5);
        assert_eq!(call(&actor, []).await.unwrap(), 10);
    }

    /// SPEC S9, S7: so does one whose lock was taken over.
    async fn a_lock_that_is_taken_over_keeps_the_count_of_the_head(world: World) {
        world.clock.set_auto_advance_max(AUTO_ADVANCE_MAX);
        let first = world.start("a").await;
        cast(&first, [panic("boom")]).await.unwrap();
        until(async || attempts(&first).await == 1).await;
        let before = failures(&first).await;
        let work = vec![note("works"), wait("gate"), add(10)];
        cast(&first, [lock(work)]).priority().await.unwrap();
        world.probe.noted("at gate").await;
        first.stop().await;
        let second = world.start("a").await;
        world.probe.noted_times("works", 2).await;
        world.probe.open("gate");
        until(async || !matches!(status(&second).await.hold, Some(HeldBy::Lock { .. }))).await;
        assert_eq!(failures(&second).await, before);
        assert_eq!(state(&second).await.value, 10);
    }

    /// SPEC S9, S11: while one consumer counts a failure, another handles the message after all: the
    /// count comes too late, and nothing holds the queue up. So if it is the last that is allowed: then
    /// the message is no dead letter.
    async fn a_failure_that_is_counted_too_late_holds_nothing(world: World) {
        for (id, max_attempts) in [("a", 5), ("b", 1)] {
            let client = world.client_elsewhere(id);
            let options = StartOptions::default().max_attempts(max_attempts);
            let slow = held_up(&world.tenant, hold_of(id), &world.probe, id);
            let slow = Handle::start_with(&slow, id, world.probe.number, options);
            let slow: Handle<Actor> = slow.await.unwrap();
            // The first to handle it panics.
            let before = world.probe.count("panics");
            cast(&client, [Step::PanicTimes(before + 1), add(1)]).await.unwrap();
            let held_up = format!("at {id}");
            world.probe.noted(&held_up).await;
            let fast = world.start(id).await;
            queued(&fast, 0).await;
            world.probe.open(id);
            world.settle_commits().await;
            assert_eq!(call(&slow, [add(1)]).await.unwrap(), 2);
            assert_eq!(call(&fast, [add(1)]).await.unwrap(), 3);
            let status = status(&fast).await;
            assert_eq!((status.hold, status.dead_letters), (None, 0));
            assert_eq!(world.probe.count("panics"), before + 1);
            assert_eq!(world.probe.count(&held_up), 1);
        }
    }
}
