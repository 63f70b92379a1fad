//! `kill`: the server is gone, with all that is stored of it.

use std::time::Duration;

use dgen_server::{CallError, Failure, StopReason};
use futures_util::future::join3;

use crate::{script::*, world::*};

on_each_store! {
    /// SPEC S10: kill deletes state, queue, timers, waiting calls, remembered ids, dead letters and the
    /// lock, and nothing else; who waits for an answer is told.
    async fn kill_deletes_everything(world: World) {
        let (other, longer) = (world.start("b").await, world.start("ab").await);
        call(&other, [add(1)]).await.unwrap();
        call(&longer, [add(1)]).await.unwrap();
        other.stop().await;
        longer.stop().await;
        let others = world.keys().await;

        let actor = world.start("a").await;
        call(&actor, [add(1), log("line")]).id("an id").await.unwrap();
        for key in [None, Some("key")] {
            let timer = Step::SetTimer(key.map(str::to_owned), Duration::from_secs(100));
            cast(&actor, [timer]).await.unwrap();
        }
        cast(&actor, [panic(&"long ".repeat(1_000))]).await.unwrap();
        until(async || status(&actor).await.dead_letters == 1).await;
        let deferred = call(&actor, [Step::Defer, act("deferred")]);
        let locked = call(&actor, [log(&"long ".repeat(50_000)), lock([wait("gate")])]);
        let rest = async {
            world.probe.noted("deferred 1").await;
            world.probe.noted("at gate").await;
            let behind = call(&actor, [add(1)]);
            let kill = async {
                queued(&actor, 1).await;
                actor.kill().await.unwrap();
            };
            futures_util::future::join(behind.into_future(), kill).await.0
        };
        // The deferred call is first: what locks keeps others out.
        let locked = async {
            world.probe.noted("deferred 1").await;
            locked.await
        };
        let (one, two, three) = join3(deferred.into_future(), locked, rest).await;
        for answer in [one, two, three] {
            assert!(matches!(answer, Err(CallError::Failed(Failure::Killed))), "{answer:?}");
        }
        assert_eq!(actor.stopped().await, StopReason::Killed);
        world.settle().await;
        assert_eq!(world.keys().await, others);
    }

    /// SPEC S10: started again after a kill, the server begins from `init`; an id it had seen is new.
    async fn a_killed_server_begins_from_init(world: World) {
        let actor = world.start("a").await;
        call(&actor, [add(5)]).id("an id").await.unwrap();
        actor.kill().await.unwrap();
        assert!(!status(&actor).await.is_started);
        let again = world.start("a").await;
        assert_eq!(call(&again, []).await.unwrap(), 0);
        assert_eq!(call(&again, [add(7)]).id("an id").await.unwrap(), 7);
    }

    /// SPEC S10, S1: started again without one, it goes on from its state.
    async fn a_restart_without_kill_keeps_the_state(world: World) {
        let actor = world.start("a").await;
        call(&actor, [add(5)]).await.unwrap();
        actor.stop().await;
        assert_eq!(call(&world.start("a").await, []).await.unwrap(), 5);
    }

    /// SPEC S10, S8: a consumer that still has the old state cached does not bring it back.
    async fn a_killed_servers_cache_is_not_used(world: World) {
        let old = world.start_elsewhere("a").await;
        call(&old, [add(5)]).await.unwrap();
        let client = world.client("a");
        client.kill().await.unwrap();
        let new = world.start("a").await;
        call(&new, [add(1)]).await.unwrap();
        assert_eq!(call(&old, [add(1)]).await.unwrap(), 2);
    }

    /// SPEC S10: all processes here end at once, those of other OS processes when they look next.
    async fn kill_ends_all_processes(world: World) {
        let (one, two) = (world.start("a").await, world.start("a").await);
        let (other, elsewhere) = (world.start("b").await, world.start_elsewhere("a").await);
        for actor in [&one, &elsewhere, &other] {
            call(actor, [add(1)]).await.unwrap();
        }
        world.client("a").kill().await.unwrap();
        assert_eq!(one.stopped().await, StopReason::Killed);
        assert_eq!(two.stopped().await, StopReason::Killed);
        world.clock.advance(Duration::from_secs(5));
        assert_eq!(elsewhere.stopped().await, StopReason::Killed);
        assert_eq!(call(&other, []).await.unwrap(), 1);
    }

    /// SPEC S10, S7: locked work of a killed server commits nothing; nor does a timer fire.
    async fn nothing_of_a_killed_server_comes_back(world: World) {
        let client = world.client("a");
        let holder = world.start_elsewhere("a").await;
        let timer = Step::SetTimer(None, Duration::from_secs(100));
        cast(&client, [timer]).await.unwrap();
        let work = [Step::Guard, send("b", [add(1)]), act("acted"), wait("gate"), add(10)];
        cast(&client, [lock(work)]).await.unwrap();
        world.probe.noted("at gate").await;
        client.kill().await.unwrap();
        world.probe.open("gate");
        world.probe.noted("dropped").await;
        world.settle().await;
        assert_eq!(world.actors_keys().await, [[0; 0]; 0]);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
        let again = world.start("a").await;
        for _ in 0..40 {
            world.clock.advance(LEASE);
            world.settle().await;
        }
        assert_eq!(call(&again, []).timeout(PATIENT).await.unwrap(), 0);
        assert_eq!(world.probe.count("acted 10"), 0);
        holder.stop().await;
    }

    /// SPEC S10: killing what was never started, or was killed, does nothing.
    async fn kill_may_find_nothing(world: World) {
        let client = world.client("a");
        client.kill().await.unwrap();
        client.kill().await.unwrap();
        assert_eq!(world.keys().await, [[0; 0]; 0]);
    }
}
