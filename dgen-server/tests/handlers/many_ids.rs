//! Very many ids at once.

use dgen_server::Tenant;
use dgen_testkit::counting::counted;
use futures_util::future::join_all;

use crate::{script::*, world::*};

const BATCHES: i64 = 30;
const CASTS: i64 = 400;

on_each_store! {
    /// SPEC T3, S2: batches of casts with ids that are sent at once, and are far too much for one
    /// transaction: they share transactions as far as they fit, each takes effect once, and only the ids
    /// that a transaction may come to are a part of it.
    async fn many_batches_with_ids_take_effect_once(world: World) {
        let (db, counts) = counted(world.tenant.database().clone());
        let tenant = Tenant::new(db, world.tenant.subspace().clone());
        let actor = world.start_at(&tenant, "a").await;
        for _ in 0..2 {
            let batches = (1..=BATCHES).map(|number| {
                let casts = (0..CASTS).map(|_| vec![add(number)]).collect();
                let id = format!("{number:0>1000}");
                actor.cast_all(casts).id(id).timeout(PATIENT).into_future()
            });
            for sent in join_all(batches).await {
                sent.unwrap();
            }
            assert_eq!(state(&actor).await.value, CASTS * BATCHES * (BATCHES + 1) / 2);
        }
        let status = status(&actor).await;
        assert_eq!((status.queue_len, status.hold, status.dead_letters), (0, None, 0));
        let looked_up = counts.keys_read() / (CASTS * BATCHES).unsigned_abs();
        assert!(looked_up < 10, "each was looked up {looked_up} times");
    }
}
