//! Infos: local, not stored, and past the queue.

use dgen_server::InfoError;

use crate::{script::*, world::*};

on_each_store! {
    /// SPEC S5: an info is handled by a process here, ahead of the queue, whoever sends it; and what it
    /// changes is kept.
    async fn an_info_is_handled_by_a_process_here(world: World) {
        let actor = world.start("a").await;
        let client = world.client("a");
        cast(&client, [lock([wait("gate"), log("worked")])]).await.unwrap();
        world.probe.noted("at gate").await;
        cast(&client, [log("queued")]).await.unwrap();
        client.info(vec![add(1), act("handled")]).unwrap();
        world.probe.noted("handled 1").await;
        world.probe.open("gate");
        assert_eq!(call(&actor, []).await.unwrap(), 1);
        actor.stop().await;
        assert_eq!(call(&world.start("a").await, []).await.unwrap(), 1);
    }

    /// SPEC S5: without a process in this OS process there is nobody to handle it, and nothing is
    /// stored.
    async fn an_info_needs_a_process_here(world: World) {
        let client = world.client("a");
        assert_eq!(client.info(vec![add(1)]), Err(InfoError::NotRunning));
        assert_eq!(world.keys().await, [[0; 0]; 0]);
        let actor = world.start("a").await;
        let elsewhere = world.client_elsewhere("a");
        assert_eq!(elsewhere.info(vec![add(1)]), Err(InfoError::NotRunning));
        actor.stop().await;
        assert_eq!(actor.info(vec![add(1)]), Err(InfoError::NotRunning));
        assert_eq!(state(&client).await.value, 0);
    }

    /// SPEC S5: infos are not durable: those that a process has not come to when it ends are gone.
    async fn an_info_ends_with_its_process(world: World) {
        let actor = world.start("a").await;
        call(&actor, []).await.unwrap();
        actor.info(vec![note("handled"), add(1)]).unwrap();
        // Nothing runs between the two.
        actor.stop().await;
        let again = world.start("a").await;
        assert_eq!(call(&again, []).await.unwrap(), 0);
        assert_eq!(world.probe.notes(), [""; 0]);
    }

    /// SPEC S5: infos are handled in their order, each in a transaction of its own.
    async fn infos_keep_their_order(world: World) {
        let actor = world.start("a").await;
        for number in 0..50 {
            actor.info(vec![log(&number.to_string())]).unwrap();
        }
        actor.info(vec![note("last")]).unwrap();
        world.probe.noted("last").await;
        let expected: Vec<_> = (0..50).map(|number| number.to_string()).collect();
        assert_eq!(state(&actor).await.log, expected);
    }

    /// SPEC S5, S12: a process that can't keep up says so, and handles what it took.
    async fn too_many_infos_are_refused(world: World) {
        let actor = world.start("a").await;
        // Nothing runs meanwhile.
        let taken = (0..2_000).take_while(|_| actor.info(vec![add(1)]).is_ok()).count();
        assert_eq!(taken, 1_024);
        assert_eq!(actor.info(vec![add(1)]), Err(InfoError::Full));
        until(async || state(&actor).await.value == 1_024).await;
        actor.info(vec![note("again")]).unwrap();
        world.probe.noted("again").await;
    }

    /// SPEC S5, S9: an info that panics, locks or defers changes nothing, and the process goes on.
    async fn a_failing_info_changes_nothing(world: World) {
        let actor = world.start("a").await;
        for failing in [panic("boom"), lock([add(1)]), Step::Defer] {
            actor.info(vec![add(1), send("b", [add(1)]), act("acted"), failing]).unwrap();
        }
        actor.info(vec![note("last")]).unwrap();
        world.probe.noted("last").await;
        assert_eq!(world.probe.notes(), ["last"]);
        assert_eq!(call(&actor, [add(1)]).await.unwrap(), 1);
        assert_eq!(world.client("b").queue_len().await.unwrap(), 0);
        assert_eq!(actor.dead_letters().await.unwrap(), []);
    }
}
