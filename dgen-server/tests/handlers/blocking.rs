//! Code of the user's that blocks its thread, on a runtime that has another.

use std::time::Duration;

use dgen_server::{Handle, Server, StartOptions};
use futures_util::future::join;

use crate::{script::*, world::*};

/// Runs each test on disk and in memory, on a runtime of two threads.
macro_rules! on_two_threads {
    ($($(#[$attribute:meta])* async fn $name:ident($world:ident: World) $body:block)*) => {
        mod in_memory {
            use super::*;
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let $world = World::in_memory();
                guarded(async $body).await;
            })*
        }
        mod on_disk {
            use super::*;
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let $world = World::on_disk();
                guarded(async $body).await;
            })*
        }
    };
}

/// How many calls of actor `a` wait for their answers.
async fn waiting_calls(world: &World) -> usize {
    let replies = world
        .tenant
        .subspace()
        .subspace(&(Actor::NAME, ("a",), "r"));
    let keys = world.actors_keys().await;
    keys.iter()
        .filter(|key| key.starts_with(replies.bytes()))
        .count()
}

on_two_threads! {
    /// SPEC S7: locked work that does not yield for much longer than the lease keeps its lock: it is
    /// renewed meanwhile, and nobody takes it over.
    async fn work_that_blocks_its_thread_keeps_the_lock(world: World) {
        let _open = world.probe.open_at_last("gate");
        let holder = world.start("a").await;
        cast(&holder, [lock([note("works"), freeze("gate"), add(10)])]).await.unwrap();
        world.probe.noted("at gate").await;
        let other = world.start_elsewhere("a").await;
        cast(&other, [add(1)]).await.unwrap();
        let began = world.clock.elapsed();
        for renewals in 1..=12 {
            let mut steps = 0;
            while takeovers_and_renewals(&world).await.1 < renewals {
                assert!(steps < 50, "it is not renewed");
                steps += 1;
                world.clock.advance(LEASE / 12);
                world.settle_commits().await;
            }
            assert_eq!(takeovers_and_renewals(&world).await.0, 0, "it was taken over");
        }
        assert!(world.clock.elapsed() - began >= 3 * LEASE);
        assert_eq!(world.probe.count("works"), 1);
        world.probe.open("gate");
        let served = call(&other, [add(1)]).timeout(PATIENT).into_future();
        assert_eq!(served.await.unwrap(), 12);
        assert_eq!(world.probe.count("works"), 1);
    }

    /// SPEC S6, S4: an answer to a caller in this OS process is given after the actions. However long
    /// those take, and however often the caller looks meanwhile, it gets its answer.
    async fn a_caller_waits_for_slow_actions(world: World) {
        let _open = world.probe.open_at_last("gate");
        world.clock.set_auto_advance_max(Duration::ZERO);
        let process = world.start("a").await;
        let poll = Duration::from_millis(20);
        let options = StartOptions::default().poll_interval(poll);
        let caller = Handle::client_with(&world.tenant, "a", options);
        let waiting = call(&caller, [Step::Defer, act("deferred")]).timeout(PATIENT);
        let reply = async {
            world.probe.noted("deferred 0").await;
            until(async || waiting_calls(&world).await == 1).await;
            // The caller looks again and again.
            for _ in 0..5 {
                world.clock.advance(poll);
                world.settle().await;
            }
            let answer = [Step::Answer(7), Step::Forget, Step::ActAndWait("gate".to_owned())];
            cast(&world.client_elsewhere("a"), answer).await.unwrap();
            world.probe.noted("at gate").await;
            assert_eq!(waiting_calls(&world).await, 0);
            for _ in 0..50 {
                world.clock.until_sleepers(1).await;
                world.clock.advance(poll);
                world.settle().await;
            }
            world.probe.open("gate");
        };
        let (answer, ()) = join(waiting.into_future(), reply).await;
        assert_eq!(answer.unwrap(), 7);
        process.stop().await;
    }
}
