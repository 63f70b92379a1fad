//! Several tenants in one database.

use dgen_backend::tuple::Subspace;
use dgen_server::{CallError, Handle, Tenant};
use futures_util::future::join;

use crate::{script::*, world::*};

/// Another tenant of the database of `tenant`, with a prefix of another length.
fn other_tenant(tenant: &Tenant, name: &str) -> Tenant {
    Tenant::new(tenant.database().clone(), Subspace::from(name))
}

fn hand_over_to(tenant: &str, id: &str) -> Step {
    Step::HandOverTo {
        tenant: tenant.to_owned(),
        id: id.to_owned(),
    }
}

on_each_store! {
    /// SPEC S6, T1: whoever was given the reply of a call answers it from another tenant of the database,
    /// also if both servers have the same name and id; here, and for a caller in another OS process.
    async fn a_reply_is_given_from_another_tenant(world: World) {
        for name in ["a tenant with a longer name", "d"] {
            let there = other_tenant(&world.tenant, name);
            let actor = world.start("a").await;
            let other = world.start_at(&there, "a").await;
            for caller in [actor.clone(), world.client_elsewhere("a")] {
                let waiting = call(&caller, [Step::Defer, hand_over_to(name, "a")]);
                let reply = async {
                    until(async || !state(&other).await.waiting.is_empty()).await;
                    call(&other, [Step::Answer(7), Step::Forget]).await.unwrap();
                };
                let (answer, ()) = join(waiting.into_future(), reply).await;
                assert_eq!(answer.unwrap(), 7);
            }
            let nothing: Result<i64, CallError<String>> = call(&other, []).await;
            assert_eq!(nothing.unwrap(), 0);
            assert_eq!(actor.dead_letters().await.unwrap(), []);
            assert_eq!(other.dead_letters().await.unwrap(), []);
        }
    }

    /// SPEC S6, T3: so is one with an id, and those who repeat the call get it too.
    async fn a_reply_from_another_tenant_is_remembered(world: World) {
        let there = other_tenant(&world.tenant, "other");
        let actor = world.start("a").await;
        let other: Handle<Actor> = world.start_at(&elsewhere(&there), "b").await;
        let client = world.client_elsewhere("a");
        let script = || vec![add(1), Step::Defer, hand_over_to("other", "b")];
        let waiting = join(
            call(&actor, script()).id("id").into_future(),
            call(&client, script()).id("id").into_future(),
        );
        let reply = async {
            world.probe.noted("kept").await;
            world.settle().await;
            queued(&actor, 0).await;
            call(&other, [Step::Answer(7), Step::Forget]).await.unwrap();
        };
        let ((one, two), ()) = join(waiting, reply).await;
        assert_eq!((one.unwrap(), two.unwrap()), (7, 7));
        for sender in [&actor, &client] {
            assert_eq!(call(sender, script()).id("id").await.unwrap(), 7);
        }
        assert_eq!(state(&actor).await.value, 1);
    }
}
