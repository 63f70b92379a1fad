//! Ending a process from outside: `stop`, and `shutdown` of all of a tenant.

use std::time::Duration;

use dgen_server::{StopReason, shutdown};
use futures_util::future::{join, join3};

use crate::{script::*, world::*};

const DEADLINE: Duration = Duration::from_secs(60);

on_each_store! {
    /// SPEC S10: stop waits for the transaction in flight, and needs nothing else to end the process:
    /// whenever it comes, the call is handled, or is left in the queue.
    async fn stop_waits_for_the_transaction_in_flight(world: World) {
        for delay in 0..40 {
            let actor = world.start("a").await;
            let stopping = async {
                for _ in 0..delay {
                    tokio::task::yield_now().await;
                }
                actor.stop().await;
                world.start("a").await
            };
            let calling = call(&actor, [add(1), act("acted")]);
            let (answer, next) = join(calling.into_future(), stopping).await;
            assert_eq!(answer.unwrap(), delay + 1);
            assert_eq!(actor.stopped().await, StopReason::Requested);
            next.stop().await;
        }
    }

    /// SPEC S10: dropping the last handle of a process does not stop it.
    async fn a_process_outlives_its_handles(world: World) {
        let tenant = elsewhere(&world.tenant);
        drop(world.start_at(&tenant, "a").await);
        let client = world.client("a");
        cast(&client, [act("consumed")]).await.unwrap();
        world.probe.noted("consumed 0").await;
        drop(tenant);
        cast(&client, [add(1), act("consumed")]).await.unwrap();
        world.probe.noted("consumed 1").await;
    }

    /// SPEC S10: a client's handle has no process to stop, and stops none.
    async fn a_client_stops_nothing(world: World) {
        let actor = world.start("a").await;
        world.client("a").stop().await;
        actor.info(vec![note("info")]).unwrap();
        world.probe.noted("info").await;
    }

    /// SPEC S7, S10: stop during locked work lets the lock go, so that another consumer takes it over
    /// at once; and that counts as no loss of a holder.
    async fn stop_lets_the_lock_go(world: World) {
        let actor = world.start("a").await;
        let client = world.client_elsewhere("a");
        let work = [note("works"), add(10), act("acted"), wait("gate")];
        let locked = call(&client, [add(1), lock(work)]);
        let stopping = async {
            world.probe.noted("at gate").await;
            let next = world.start_elsewhere("a").await;
            world.settle().await;
            let before = world.clock.elapsed();
            actor.stop().await;
            assert_eq!(actor.stopped().await, StopReason::Requested);
            world.probe.noted_times("at gate", 2).await;
            assert!(world.clock.elapsed() - before < LEASE);
            world.probe.open("gate");
            next
        };
        let (answer, next) = join(locked.into_future(), stopping).await;
        assert_eq!(answer.unwrap(), 11);
        assert_eq!(world.probe.count("works"), 2);
        assert_eq!(call(&next, [add(1)]).await.unwrap(), 12);
        // A caller elsewhere does not wait for it.
        world.probe.noted("acted 11").await;
        assert_eq!(world.probe.count("acted 11"), 1);
    }

    /// SPEC S7, S10: a consumer that starts later does the work that was let go, at once.
    async fn a_lock_that_was_let_go_waits_for_nobody(world: World) {
        let actor = world.start("a").await;
        cast(&actor, [lock([wait("gate"), add(10)])]).await.unwrap();
        world.probe.noted("at gate").await;
        actor.stop().await;
        world.probe.open("gate");
        let before = world.clock.elapsed();
        let next = world.start("a").await;
        assert_eq!(call(&next, []).await.unwrap(), 10);
        assert!(world.clock.elapsed() - before < LEASE);
    }

    /// SPEC S10: shutdown ends all processes of the tenant; what waits in queues stays there.
    async fn shutdown_ends_every_process(world: World) {
        let (a, b) = (world.start("a").await, world.start("b").await);
        call(&a, [add(1)]).await.unwrap();
        shutdown(&world.tenant, DEADLINE).await.unwrap();
        for actor in [&a, &b] {
            assert_eq!(actor.stopped().await, StopReason::Shutdown);
        }
        cast(&a, [add(1)]).await.unwrap();
        assert_eq!(a.queue_len().await.unwrap(), 1);
        assert_eq!(call(&world.start("a").await, []).await.unwrap(), 2);
    }

    /// SPEC S10: shutdown waits for calls that a process has taken on.
    async fn shutdown_finishes_what_was_taken_on(world: World) {
        let actor = world.start("a").await;
        for delay in 0..20 {
            let down = async {
                for _ in 0..delay {
                    tokio::task::yield_now().await;
                }
                shutdown(&world.tenant, DEADLINE).await.unwrap();
                world.start("a").await
            };
            let (answer, _next) = join(call(&actor, [add(1)]).into_future(), down).await;
            assert_eq!(answer.unwrap(), delay + 1);
        }
    }

    /// SPEC S7, S10: shutdown waits for locked work, whose caller is answered; what came behind it
    /// waits for the next consumer.
    async fn shutdown_waits_for_locked_work(world: World) {
        let actor = world.start("a").await;
        let locked = call(&actor, [lock([wait("gate"), add(10), act("acted")])]);
        let down = async {
            world.probe.noted("at gate").await;
            cast(&actor, [add(1)]).await.unwrap();
            world.probe.note("behind");
            let down = shutdown(&world.tenant, DEADLINE).await;
            world.probe.note("down");
            down
        };
        let open = async {
            world.probe.noted("behind").await;
            world.settle().await;
            assert_eq!(world.probe.notes(), ["at gate", "behind"]);
            world.probe.open("gate");
        };
        let (answer, down, ()) = join3(locked.into_future(), down, open).await;
        down.unwrap();
        assert_eq!(answer.unwrap(), 10);
        assert_eq!(world.probe.notes(), ["at gate", "behind", "acted 10", "down"]);
        assert_eq!(actor.stopped().await, StopReason::Shutdown);
        assert_eq!(actor.queue_len().await.unwrap(), 1);
        assert_eq!(call(&world.start("a").await, []).await.unwrap(), 11);
    }

    /// SPEC S7, S10: past its deadline shutdown drops locked work and says whose; the next consumer does
    /// it again, at once.
    async fn shutdown_gives_up_at_its_deadline(world: World) {
        let (actor, idle) = (world.start("a").await, world.start("b").await);
        cast(&actor, [lock([wait("gate"), add(10)])]).await.unwrap();
        world.probe.noted("at gate").await;
        let down = async {
            let down = shutdown(&world.tenant, DEADLINE).await;
            world.probe.note("down");
            down
        };
        let before = world.clock.elapsed();
        let pass_time = world.pass_time_until(async || world.probe.count("down") == 1);
        let (down, ()) = join(down, pass_time).await;
        assert!(world.clock.elapsed() - before >= DEADLINE);
        let unfinished = down.unwrap_err();
        assert_eq!(unfinished.after, DEADLINE);
        assert_eq!(unfinished.servers, [r#"Actor("a")"#]);
        assert_eq!(actor.stopped().await, StopReason::Requested);
        assert_eq!(idle.stopped().await, StopReason::Shutdown);

        let before = world.clock.elapsed();
        let next = world.start("a").await;
        world.probe.noted_times("at gate", 2).await;
        assert!(world.clock.elapsed() - before < LEASE);
        world.probe.open("gate");
        assert_eq!(call(&next, [add(1)]).await.unwrap(), 11);
    }
}
