//! Very many ids at once.

use dgen_server::Tenant;
use dgen_testkit::counting::counted;
use futures_util::future::join_all;

use crate::{script::*, world::*};

const BATCHES: i64 = 30;
const CASTS: i64 = 400;

/// SPEC T3, S2: batches of casts with ids that are sent at once, and are far too much for one
/// transaction: they share transactions as far as they fit, each takes effect once, and only the ids
/// that a transaction may come to are a part of it. In memory alone, since it takes long.
#[tokio::test]
async fn many_batches_with_ids_take_effect_once() {
    let world = World::in_memory();
    let (db, counts) = counted(world.tenant.database().clone());
    let tenant = Tenant::new(db, world.tenant.subspace().clone());
    let actor = world.start_at(&tenant, "a").await;
    // Some are sent again.
    for count in [BATCHES, 5] {
        let batches = (1..=count).map(|number| {
            let casts = (0..CASTS).map(|_| vec![add(number)]).collect();
            let id = format!("{number:0>1000}");
            actor.cast_all(casts).id(id).timeout(PATIENT).into_future()
        });
        for sent in join_all(batches).await {
            sent.unwrap();
        }
        assert_eq!(
            state(&actor).await.value,
            CASTS * BATCHES * (BATCHES + 1) / 2
        );
    }
    let status = status(&actor).await;
    assert_eq!(
        (status.queue_len, status.hold, status.dead_letters),
        (0, None, 0)
    );
    let looked_up = counts.keys_read() / (CASTS * BATCHES).unsigned_abs();
    assert!(looked_up < 8, "each was looked up {looked_up} times");
}
