//! Dead letters: what becomes of them when they are replayed, and how many there are.

use dgen_server::{CallError, Failure, Handle, StartOptions};
use futures_util::future::{join, join_all};

use crate::{script::*, world::*};

/// Calls with a script that fails until it is replayed: twice, inline and from the queue.
async fn bury(actor: &Handle<Actor>, id: &str, script: Vec<Step>) -> u64 {
    let panicking = vec![Step::PanicTimes(2)];
    let script: Vec<_> = panicking.into_iter().chain(script).collect();
    let answer = call(actor, script).id(id).await;
    assert!(
        matches!(answer, Err(CallError::Failed(Failure::DeadLettered { .. }))),
        "{answer:?}"
    );
    let letters = actor.dead_letters().await.expect("the store reads");
    letters.last().expect("it is buried").number
}

fn once() -> StartOptions {
    StartOptions::default().max_attempts(1)
}

/// The count of dead letters is that of the letters.
async fn assert_count(actor: &Handle<Actor>, count: u64) {
    let letters = actor.dead_letters().await.unwrap();
    let counts = (status(actor).await.dead_letters, letters.len() as u64);
    assert_eq!(counts, (count, count));
}

on_each_store! {
    /// SPEC S9, S6: a call that is replayed may defer its reply like any other. Its caller is gone, so
    /// the reply goes nowhere, and is no error.
    async fn a_replayed_call_defers_its_reply(world: World) {
        let actor = world.start_with("a", once()).await;
        let number = bury(&actor, "id", vec![add(1), Step::Defer, act("deferred")]).await;
        assert!(actor.replay(number).await.unwrap());
        world.probe.noted("deferred 1").await;
        assert_count(&actor, 0).await;
        assert_eq!(call(&actor, [Step::Answer(7), Step::Forget]).await.unwrap(), 1);
        assert_count(&actor, 0).await;

        // Who repeats the call gets the reply that was given.
        for sender in [&actor, &world.client_elsewhere("a")] {
            assert_eq!(call(sender, []).id("id").await.unwrap(), 7);
        }
        assert_eq!(call(&actor, []).await.unwrap(), 1);
    }

    /// SPEC S9, S6, T3: so who repeats it before that.
    async fn the_caller_of_a_replayed_call_can_call_again(world: World) {
        let actor = world.start_with("a", once()).await;
        let number = bury(&actor, "id", vec![add(1), Step::Defer, act("deferred")]).await;
        assert!(actor.replay(number).await.unwrap());
        world.probe.noted("deferred 1").await;
        let there = world.client_elsewhere("a");
        let again = join(
            call(&actor, [add(100)]).id("id").into_future(),
            call(&there, [add(100)]).id("id").into_future(),
        );
        let reply = async {
            world.settle().await;
            queued(&actor, 0).await;
            call(&actor, [Step::Answer(7), Step::Forget]).await.unwrap();
        };
        let ((one, two), ()) = join(again, reply).await;
        assert_eq!((one.unwrap(), two.unwrap()), (7, 7));
        assert_eq!(call(&actor, []).await.unwrap(), 1);
    }

    /// SPEC S9, S6, S7: so may the locked work of a call that is replayed.
    async fn the_locked_work_of_a_replayed_call_defers_its_reply(world: World) {
        let actor = world.start_with("a", once()).await;
        let work = lock([add(1), Step::Defer, act("deferred")]);
        let number = bury(&actor, "id", vec![work]).await;
        assert!(actor.replay(number).await.unwrap());
        world.probe.noted("deferred 1").await;
        assert_eq!(call(&actor, [Step::Answer(7), Step::Forget]).await.unwrap(), 1);
        for sender in [&actor, &world.client_elsewhere("a")] {
            assert_eq!(call(sender, []).id("id").await.unwrap(), 7);
        }
        assert_count(&actor, 0).await;
    }

    /// SPEC S9: the number of dead letters that an operator sees is right, whatever became of them: put
    /// aside for any reason, replayed, replayed in vain, dropped, killed.
    async fn dead_letters_are_counted(world: World) {
        let actor = world.start_with("a", once()).await;
        let there = world.client_elsewhere("a");
        assert_count(&actor, 0).await;
        for count in 1..=4 {
            call(&there, [panic("boom")]).await.unwrap_err();
            assert_count(&there, count).await;
        }
        cast(&actor, [lock([wait("gate")])]).await.unwrap();
        world.probe.noted("at gate").await;
        assert!(there.break_lock().await.unwrap());
        assert_count(&actor, 5).await;
        call(&actor, [lock([panic("boom")])]).await.unwrap_err();
        assert_count(&actor, 6).await;
        call(&actor, [lock([Step::PanicTimes(1)])]).await.unwrap_err();
        assert_count(&actor, 7).await;

        let numbers: Vec<_> = actor.dead_letters().await.unwrap();
        let numbers: Vec<_> = numbers.iter().map(|letter| letter.number).collect();
        // In vain, and with success.
        assert!(actor.replay(numbers[0]).await.unwrap());
        queued(&actor, 0).await;
        assert_count(&actor, 7).await;
        assert!(there.replay(numbers[6]).await.unwrap());
        queued(&actor, 0).await;
        assert_count(&actor, 6).await;
        assert!(actor.drop_dead_letter(numbers[1]).await.unwrap());
        assert_count(&actor, 5).await;
        for gone in [numbers[0], numbers[1], numbers[6], 0, u64::MAX] {
            assert!(!actor.drop_dead_letter(gone).await.unwrap());
            assert!(!there.replay(gone).await.unwrap());
        }
        assert_count(&actor, 5).await;

        // Several at once: one of them is the first.
        let drops = [&actor, &there, &actor].map(|handle| handle.drop_dead_letter(numbers[2]));
        let (dropped, replayed) = join(join_all(drops), there.replay(numbers[2])).await;
        let dropped = dropped.into_iter().filter(|dropped| *dropped.as_ref().unwrap()).count();
        assert_eq!(dropped + usize::from(replayed.unwrap()), 1);
        queued(&actor, 0).await;
        let left = if dropped == 1 { 4 } else { 5 };
        assert_count(&actor, left).await;

        actor.kill().await.unwrap();
        assert_count(&there, 0).await;
        let actor = world.start_with("a", once()).await;
        assert_count(&actor, 0).await;
        call(&actor, [panic("boom")]).await.unwrap_err();
        assert_count(&actor, 1).await;
    }
}
