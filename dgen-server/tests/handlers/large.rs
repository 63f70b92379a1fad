//! Messages and timers that are large, though each is allowed.

use std::time::Duration;

use crate::{script::*, world::*};

const PERIOD: Duration = Duration::from_secs(100);

/// Due timers with casts of 900 KB, and a message beside which they outgrow a transaction.
const TIMERS: i64 = 10;
const TIMER_SIZE_BYTES: usize = 90_000;

async fn fire_beside(world: &World, message: Vec<Step>, expected: i64) {
    let actor = world.start("a").await;
    let set = Step::SetLarge {
        count: usize::try_from(TIMERS).expect("a few"),
        size_bytes: TIMER_SIZE_BYTES,
        period: PERIOD,
    };
    call(&actor, [set]).await.unwrap();
    actor.stop().await;
    world.clock.advance(PERIOD);
    cast(&world.client("a"), message).await.unwrap();
    let actor = world.start("a").await;
    // Those that are due once, and the message.
    until(async || state(&actor).await.value == expected + TIMERS).await;
    let now = status(&actor).await;
    assert_eq!((now.queue_len, now.hold, now.dead_letters), (0, None, 0));
    // And once again.
    world.clock.advance(PERIOD);
    until(async || state(&actor).await.value == expected + 2 * TIMERS).await;
    assert_eq!(status(&actor).await.dead_letters, 0);
}

on_each_store! {
    /// SPEC T2, S9, S7: the message is kept beside the lock. It is handled, and the timers fire.
    async fn large_timers_fire_beside_a_large_message_that_locks(world: World) {
        let message = vec![pad(8_980_000), add(100), lock([add(1_000)])];
        fire_beside(&world, message, 1_100).await;
    }

    /// SPEC T2, S9: the message changes very much.
    async fn large_timers_fire_beside_a_large_change(world: World) {
        let line = "x".repeat(8_950_000);
        fire_beside(&world, vec![log(&line), add(100)], 100).await;
    }

    /// SPEC T2, S9, S7: what it writes leaves no room for a single timer.
    async fn large_timers_fire_beside_a_message_that_fills_its_transaction(world: World) {
        let line = "x".repeat(950_000);
        let message = vec![pad(8_000_000), log(&line), add(100), lock([add(1_000)])];
        fire_beside(&world, message, 1_100).await;
    }
}
