//! A handler stops its process.

use dgen_server::StopReason;
use futures_util::future::{join, join_all};

use crate::{script::*, world::*};

/// A message that is sent so stops the process; what it did is committed, and another process goes on
/// from there.
async fn stops(world: World, way: Way) {
    let actor = world.start("a").await;
    way.send(&actor, [add(1), stop("enough"), add(1)]).await;
    assert_eq!(
        actor.stopped().await,
        StopReason::Handler("enough".to_owned())
    );
    assert!(actor.info(vec![]).is_err(), "a process runs on");
    let again = world.start("a").await;
    assert_eq!(call(&again, []).await.unwrap(), 2);
}

/// The same, and its actions run before the process has ended, on the state that is committed by then.
async fn stops_after_its_actions(world: World, way: Way) {
    let actor = world.start("a").await;
    let script = [
        act("acted"),
        stop("enough"),
        Step::ActAndLook,
        add(1),
        act_and_break("halted"),
    ];
    way.send(&actor, script).await;
    assert_eq!(
        actor.stopped().await,
        StopReason::Handler("enough".to_owned())
    );
    assert_eq!(world.probe.notes(), ["acted 1", "stored 1", "halted 1"]);
    assert_eq!(call(&world.start("a").await, []).await.unwrap(), 1);
}

on_each_store! {
    /// SPEC S6, S10
    async fn a_call_stops(world: World) {
        stops(world, Way::Call).await;
    }

    /// SPEC S6, S10
    async fn a_call_stops_after_its_actions(world: World) {
        stops_after_its_actions(world, Way::Call).await;
    }

    /// SPEC S6, S10
    async fn a_cast_stops(world: World) {
        stops(world, Way::Cast).await;
    }

    /// SPEC S6, S10
    async fn a_cast_stops_after_its_actions(world: World) {
        stops_after_its_actions(world, Way::Cast).await;
    }

    /// SPEC S6, S10, S5
    async fn an_info_stops(world: World) {
        stops(world, Way::Info).await;
    }

    /// SPEC S6, S10, S5
    async fn an_info_stops_after_its_actions(world: World) {
        stops_after_its_actions(world, Way::Info).await;
    }

    /// SPEC S6, S10, S5
    async fn a_priority_call_stops(world: World) {
        stops(world, Way::PriorityCall).await;
    }

    /// SPEC S6, S10, S5
    async fn a_priority_call_stops_after_its_actions(world: World) {
        stops_after_its_actions(world, Way::PriorityCall).await;
    }

    /// SPEC S6, S10, S5
    async fn a_priority_cast_stops(world: World) {
        stops(world, Way::PriorityCast).await;
    }

    /// SPEC S6, S10, S5
    async fn a_priority_cast_stops_after_its_actions(world: World) {
        stops_after_its_actions(world, Way::PriorityCast).await;
    }

    /// SPEC S6, S10: a message of the queue that stops is the last one that its process handles; what is
    /// behind it waits.
    async fn what_is_behind_a_stop_waits(world: World) {
        let client = world.client("a");
        cast(&client, [add(1)]).await.unwrap();
        cast(&client, [add(1), stop("enough")]).await.unwrap();
        cast(&client, [add(1)]).await.unwrap();
        let actor = world.start("a").await;
        assert_eq!(actor.stopped().await, StopReason::Handler("enough".to_owned()));
        assert_eq!(client.queue_len().await.unwrap(), 1);
        assert_eq!(state(&client).await.value, 2);
        assert_eq!(call(&world.start("a").await, []).await.unwrap(), 3);
    }

    /// SPEC S6, S9: a handler that fails stops nothing.
    async fn a_failed_handler_stops_nothing(world: World) {
        let actor = world.start("a").await;
        call(&actor, [stop("no"), fail("no")]).await.unwrap_err();
        call(&actor, [stop("no"), panic("no")]).await.unwrap_err();
        call(&actor, [stop("no"), panic("no")]).priority().await.unwrap_err();
        actor.info(vec![stop("no"), panic("no")]).unwrap();
        actor.info(vec![note("info")]).unwrap();
        world.probe.noted("info").await;
    }

    /// SPEC S10, S3: calls that come together with a stop are handled by the next process, each once.
    async fn calls_beside_a_stop_are_not_lost(world: World) {
        let actor = world.start("a").await;
        let calls = (0..10).map(|number| {
            let stopping = (number == 3).then(|| stop("enough"));
            call(&actor, [add(1)].into_iter().chain(stopping).collect::<Vec<_>>()).into_future()
        });
        let next = async {
            actor.stopped().await;
            world.start("a").await
        };
        let (answers, _next) = join(join_all(calls), next).await;
        let mut answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        answers.sort_unstable();
        assert_eq!(answers, (1..=10).collect::<Vec<_>>());
    }

    /// SPEC S10, S5: priority calls that come together with a stop are handled all the same, by their
    /// callers.
    async fn priority_calls_beside_a_stop_are_not_lost(world: World) {
        let actor = world.start("a").await;
        let stopping = || call(&actor, [add(1), stop("enough")]).priority().into_future();
        let answers = join_all((0..5).map(|_| stopping())).await;
        let mut answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        answers.sort_unstable();
        assert_eq!(answers, [1, 2, 3, 4, 5]);
        assert_eq!(actor.stopped().await, StopReason::Handler("enough".to_owned()));
    }

    /// SPEC S6, S7: a message that locks and stops is worked on by the next process.
    async fn a_lock_with_a_stop_is_taken_over(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [add(1), stop("enough"), lock([add(10), wait("gate")])]).await.unwrap();
        assert_eq!(actor.stopped().await, StopReason::Handler("enough".to_owned()));
        world.probe.open("gate");
        assert_eq!(call(&world.start("a").await, []).await.unwrap(), 11);
    }
}
