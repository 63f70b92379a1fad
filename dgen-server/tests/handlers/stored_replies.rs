//! Replies of calls with an id: what is stored of them, and what can't be.

use dgen_server::{Call, CallError, Failure, Handle};

use crate::{script::*, world::*};

/// Answers are at most so long where they are stored once.
const STORED_ONCE_MAX_BYTES: usize = 8_000_000;

type Text = Result<String, CallError<String>>;

/// Adds one, and is answered with so many bytes.
fn echo(actor: &Handle<Actor>, size_bytes: usize) -> Call<'_, Actor, String, String> {
    actor.call(vec![add(1), Step::Echo(size_bytes)])
}

/// The same, as locked work, which notes that it works.
fn echo_locked(actor: &Handle<Actor>, size_bytes: usize) -> Call<'_, Actor, String, String> {
    actor.call(vec![lock([note("works"), add(1), Step::Echo(size_bytes)])])
}

fn is_too_large(answer: &Text) -> bool {
    matches!(
        answer,
        Err(CallError::Failed(Failure::Encode { reason, .. })) if reason.contains("bytes are over")
    )
}

/// What is said of an answer of some size.
fn said(answer: &Text) -> String {
    match answer {
        Ok(text) => format!("{} bytes", text.len()),
        Err(error) => error.to_string(),
    }
}

on_each_store! {
    /// SPEC T3, S4: an answer that is too large to be stored changes nothing and is not remembered: the
    /// same call is refused the same way again, and the next one of its id is handled.
    async fn a_reply_that_can_not_be_stored_is_not_remembered(world: World) {
        let actor = world.start("a").await;
        let there = world.client_elsewhere("a");
        let mut value = 0;
        for (name, sender) in [("here", &actor), ("there", &there)] {
            for (number, echo) in [echo, echo_locked].into_iter().enumerate() {
                let id = format!("{name} {number}");
                for _ in 0..2 {
                    let answer = echo(sender, STORED_ONCE_MAX_BYTES).id(&id).await;
                    assert!(is_too_large(&answer), "{id}: {}", said(&answer));
                    assert_eq!(state(&actor).await.value, value);
                }
                value += 1;
                for _ in 0..2 {
                    assert_eq!(echo(sender, 1_000).id(&id).await.unwrap().len(), 1_000);
                    assert_eq!(state(&actor).await.value, value, "{id}");
                }
            }
        }
        let status = status(&actor).await;
        assert_eq!((status.hold, status.dead_letters), (None, 0));
    }

    /// SPEC T3, S4: an answer of 5 MB is remembered where its caller gets it at hand. A caller in another
    /// OS process, for whom it would be stored twice, is told that it is too large, each time; repeated,
    /// the answer that is remembered reaches both.
    async fn a_large_reply_is_answered_or_refused_the_same_way_each_time(world: World) {
        let actor = world.start("a").await;
        let there = world.client_elsewhere("a");
        let size_bytes = 5_000_000;
        for (number, echo) in (1..).zip([echo, echo_locked]) {
            let refused = format!("refused {number}");
            for _ in 0..3 {
                let answer = echo(&there, size_bytes).id(&refused).await;
                assert!(is_too_large(&answer), "{refused}: {}", said(&answer));
                assert_eq!(state(&actor).await.value, number - 1);
            }
            let given = format!("given {number}");
            for sender in [&actor, &there, &actor, &there] {
                let answer = echo(sender, size_bytes).id(&given).await;
                assert_eq!(said(&answer), "5000000 bytes", "{given}");
                assert_eq!(state(&actor).await.value, number);
            }
        }
        assert_eq!(status(&actor).await.dead_letters, 0);
        assert_eq!(world.probe.count("works"), 3 + 1, "none was tried again");
    }

    /// SPEC S4: without an id it is stored once at most, and fits.
    async fn a_large_reply_without_an_id_is_given(world: World) {
        let actor = world.start("a").await;
        let there = world.client_elsewhere("a");
        for sender in [&actor, &there] {
            for echo in [echo, echo_locked] {
                let answer = echo(sender, 7_900_000).await;
                assert_eq!(said(&answer), "7900000 bytes");
            }
        }
        assert_eq!(state(&actor).await.value, 4);
    }
}
