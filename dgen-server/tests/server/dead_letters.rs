//! Messages that can't be handled: tried again a few times, then put aside.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use dgen_server::{CallError, Failure, HeldBy, Never};
use futures_util::future::join;

use crate::support::{
    desk::{
        DeskCall, DeskCast, DeskHandle, Note, Step, after, desk, desk_with, notes, runs, send,
        texts,
    },
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{until, until_quiet},
};

fn panicking() -> DeskCast {
    DeskCast::Do(vec![Step::Panic])
}

fn note(text: &str) -> DeskCast {
    DeskCast::Note(text.to_owned())
}

/// How often the first message has been tried, as an operator sees it.
async fn attempts(desk: &DeskHandle) -> u32 {
    match desk.status().await.unwrap().hold {
        Some(HeldBy::Failing { attempts, .. }) => attempts,
        _ => 0,
    }
}

/// Waits until the first message has been tried so often.
async fn until_tried(desk: &DeskHandle, count: u32) {
    until("it is tried", async || attempts(desk).await == count).await;
}

on_each_mocked_store! {
    /// SPEC S9: tried five times, each time after twice as long a wait, and then put aside.
    async fn a_message_that_fails_is_tried_five_times(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        there.cast(panicking()).await.unwrap();
        for (attempt, wait_millis) in (1..).zip([50, 100, 200, 400]) {
            until_tried(&desk, attempt).await;
            // Not a moment before: shorter sleeps end by themselves.
            store.advance(Duration::from_millis(wait_millis - 1)).await;
            if wait_millis > 50 {
                assert_eq!(runs(), attempt);
            }
            store.advance(Duration::from_millis(1)).await;
        }
        until_quiet(&desk, store.tenant.env()).await;
        assert_eq!(runs(), 5);
        let letters = desk.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 1);
        let letter = &letters[0];
        assert_eq!((letter.attempts, letter.is_call), (5, false));
        assert_eq!(letter.message, r#"{"Do": ["Panic"]}"#);
        assert!(letter.error.contains("asked to"), "{letter:?}");
        assert_eq!(desk.status().await.unwrap().dead_letters, 1);
        store.advance(Duration::from_secs(3_600)).await;
        assert_eq!(runs(), 5, "and that was it");
    }

    /// SPEC S9: `max_attempts` is what counts; none is one.
    async fn max_attempts_bounds_the_attempts(store: Mocked) {
        for (max_attempts, expected) in [(0, 1), (1, 1), (3, 3)] {
            let options = woken_only().max_attempts(max_attempts).name(format!("{max_attempts}"));
            let desk = desk_with(&store.tenant, "desk", options.clone()).await;
            let there = DeskHandle::client_with(&store.elsewhere(), "desk", options);
            let before = runs();
            there.cast(panicking()).await.unwrap();
            for attempt in 1..expected {
                until_tried(&desk, attempt).await;
                store.advance(Duration::from_secs(1)).await;
            }
            until_quiet(&desk, store.tenant.env()).await;
            assert_eq!(runs() - before, expected);
            assert_eq!(desk.dead_letters().await.unwrap()[0].attempts, expected);
        }
    }

    /// SPEC S9: the attempts are stored: a consumer that is started anew goes on counting, and waits
    /// as long as the last would have.
    async fn attempts_survive_a_restart(store: Mocked) {
        let there = DeskHandle::client(&store.tenant, "desk");
        there.cast(panicking()).await.unwrap();
        drop(there);
        let mut store = store;
        for attempt in 1..=5 {
            let desk = desk(&store.tenant, "desk").await;
            if attempt > 1 {
                store.advance(Duration::from_millis(1)).await;
                assert_eq!(attempts(&desk).await, attempt - 1);
                store.advance(Duration::from_secs(1)).await;
            }
            if attempt < 5 {
                until_tried(&desk, attempt).await;
            } else {
                until_quiet(&desk, store.tenant.env()).await;
                assert_eq!(desk.dead_letters().await.unwrap()[0].attempts, 5);
            }
            assert_eq!(runs(), attempt);
            desk.stop().await;
            drop(desk);
            store = store.reopen();
        }
    }

    /// SPEC S9, S11: two consumers count together.
    async fn two_consumers_share_the_attempts(store: Mocked) {
        let one = desk(&store.tenant, "desk").await;
        let two = desk(&store.elsewhere(), "desk").await;
        one.cast(panicking()).await.unwrap();
        let is_dead = async || !one.dead_letters().await.unwrap().is_empty();
        store.advance_until("it is dead", Duration::from_millis(50), async || {
            is_dead().await
        })
        .await;
        until_quiet(&two, store.tenant.env()).await;
        let letters = one.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].attempts, 5);
        // The inline attempt, those that count, and for each of those at most one that the other made
        // at the same time.
        assert!((6..=11).contains(&runs()), "{}", runs());
    }

    /// SPEC S9, S2: what was before it counts, and what is behind it is handled afterwards, in order;
    /// several poison messages are put aside one after the other.
    async fn what_is_behind_a_poison_message_is_handled_in_order(store: Mocked, faultless = "it counts runs") {
        let client = DeskHandle::client(&store.tenant, "desk");
        let casts = vec![note("a"), note("b"), panicking(), note("c"), panicking(), panicking(), note("d")];
        client.cast_all(casts).await.unwrap();
        let desk = desk_with(&store.tenant, "desk", woken_only().max_attempts(2)).await;
        for count in 0..3 {
            until("the next is tried", async || {
                desk.dead_letters().await.unwrap().len() == count && attempts(&desk).await == 1
            })
            .await;
            store.advance(Duration::from_millis(50)).await;
        }
        assert_eq!(texts(&desk, &store.tenant).await, ["a", "b", "c", "d"]);
        let letters = desk.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 3);
        assert!(letters.is_sorted_by_key(|letter| letter.number), "{letters:?}");
        assert_eq!(runs(), 6, "nobody's handler but theirs was run again");
    }

    /// SPEC S9, S12: the caller of a dead letter is told, inline, next door through the queue, and in
    /// another OS process.
    async fn the_caller_of_a_dead_letter_is_told(store: Mocked) {
        let options = woken_only().max_attempts(2);
        let here = desk_with(&store.tenant, "desk", options).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        for handle in [&here, &there] {
            let call = handle.call::<u32, Never>(DeskCall::Do(vec![Step::Panic]));
            let waiting = async {
                until_tried(&here, 1).await;
                store.advance(Duration::from_millis(50)).await;
            };
            let (called, ()) = join(call.into_future(), waiting).await;
            assert!(
                matches!(
                    &called,
                    Err(CallError::Failed(failure @ Failure::DeadLettered { error, attempts: 2 }))
                        if error.contains("asked to") && !failure.is_retryable() && !failure.maybe_executed()
                ),
                "{called:?}"
            );
        }
        let letters = here.dead_letters().await.unwrap();
        assert!(letters.iter().all(|letter| letter.is_call), "{letters:?}");
        assert!(store.waiting_calls().await.is_empty());
    }

    /// SPEC S9: replayed it goes to the end of the queue, and is handled like any other; replayed
    /// twice, or one that is not there, it does nothing.
    async fn a_dead_letter_can_be_replayed(store: Mocked) {
        let options = woken_only().max_attempts(1);
        let desk = desk_with(&store.tenant, "desk", options).await;
        // It fails in the first two runs.
        let steps = vec![Step::Note("replayed".to_owned()), Step::PanicInFirst { runs: 2 }];
        let client = DeskHandle::client(&store.elsewhere(), "desk");
        client.cast(DeskCast::Do(steps)).await.unwrap();
        until_quiet(&desk, store.tenant.env()).await;
        let first = desk.dead_letters().await.unwrap().remove(0);
        assert!(desk.replay(first.number).await.unwrap());
        assert!(!desk.replay(first.number).await.unwrap());
        until_quiet(&desk, store.tenant.env()).await;
        let second = desk.dead_letters().await.unwrap().remove(0);
        assert!(second.number > first.number, "{second:?} after {first:?}");
        desk.stop().await;
        assert!(client.replay(second.number).await.unwrap());
        client.cast(note("behind")).await.unwrap();
        let again = crate::support::desk::desk(&store.tenant, "desk").await;
        assert_eq!(texts(&again, &store.tenant).await, ["replayed", "behind"]);
        assert!(again.dead_letters().await.unwrap().is_empty());
        assert_eq!(again.status().await.unwrap().dead_letters, 0);
    }

    /// SPEC S9: a call that is replayed takes effect; its caller was told long ago, and nothing is
    /// left behind of it.
    async fn a_dead_call_can_be_replayed(store: Mocked) {
        let options = woken_only().max_attempts(1);
        let desk = desk_with(&store.tenant, "desk", options).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let steps = vec![Step::PanicInFirst { runs: 1 }, send("desk", &["sent"])];
        let called = there.call::<u32, Never>(DeskCall::Do(steps)).await;
        assert!(matches!(called, Err(CallError::Failed(Failure::DeadLettered { .. }))), "{called:?}");
        let letter = desk.dead_letters().await.unwrap().remove(0);
        assert!(letter.is_call, "{letter:?}");
        assert!(there.replay(letter.number).await.unwrap());
        assert_eq!(texts(&desk, &store.tenant).await, ["sent"]);
        assert!(store.waiting_calls().await.is_empty());
    }

    /// SPEC S9: dropped it is gone, and the others are not.
    async fn a_dead_letter_can_be_dropped(store: Mocked) {
        let desk = desk_with(&store.tenant, "desk", woken_only().max_attempts(1)).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        there.cast_all(vec![panicking(), panicking(), panicking()]).await.unwrap();
        until_quiet(&desk, store.tenant.env()).await;
        let letters = desk.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 3);
        assert!(there.drop_dead_letter(letters[1].number).await.unwrap());
        assert!(!there.drop_dead_letter(letters[1].number).await.unwrap());
        assert!(!there.replay(letters[1].number).await.unwrap());
        let left = desk.dead_letters().await.unwrap();
        assert_eq!(left, [letters[0].clone(), letters[2].clone()]);
        for letter in left {
            assert!(desk.drop_dead_letter(letter.number).await.unwrap());
        }
        assert!(desk.dead_letters().await.unwrap().is_empty());
        assert!(store.keys_of("d").await.is_empty());
        assert_eq!(runs(), 3);
    }

    /// SPEC S9, S12: errors and messages of any size are kept; the error is shortened.
    async fn huge_messages_and_errors_are_put_aside(store: Mocked, faultless = "it counts runs") {
        let desk = desk_with(&store.tenant, "desk", woken_only().max_attempts(1)).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let text = "ä".repeat(1_000_000);
        let call = DeskCall::Do(vec![Step::Note(text.clone()), Step::PanicWith(text.clone())]);
        let called = there.call::<u32, Never>(call).await;
        match called {
            Err(CallError::Failed(Failure::DeadLettered { error, .. })) => {
                assert!(error.len() < 3_000 && error.contains("ää"), "{} bytes", error.len());
            }
            other => panic!("{other:?}"),
        }
        // The largest that a queue takes.
        let largest = "x".repeat(8_990_000);
        let steps = vec![Step::Note(largest), Step::PanicInFirst { runs: 2 }];
        there.cast(DeskCast::Do(steps)).await.unwrap();
        until_quiet(&desk, store.tenant.env()).await;
        assert_eq!(desk.status().await.unwrap().dead_letters, 2);
        // Large ones may be listed one at a time.
        for _ in 0..2 {
            let letter = desk.dead_letters().await.unwrap().remove(0);
            assert!(letter.error.len() < 3_000, "{} bytes", letter.error.len());
            assert!(letter.message.len() < 100_000, "{} bytes", letter.message.len());
            assert!(there.replay(letter.number).await.unwrap());
            until_quiet(&desk, store.tenant.env()).await;
        }
        assert_eq!(runs(), 4);
        assert_eq!(desk.status().await.unwrap().dead_letters, 1, "one panics always");
    }

    /// SPEC S9: more dead letters than are listed: the oldest come first, and dropping those shows
    /// the next.
    async fn many_dead_letters_are_listed_from_the_oldest(store: Mocked) {
        let desk = desk_with(&store.tenant, "desk", woken_only().max_attempts(1)).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        there.cast_all(vec![panicking(); 150]).await.unwrap();
        until_quiet(&desk, store.tenant.env()).await;
        let mut numbers = Vec::new();
        loop {
            let letters = desk.dead_letters().await.unwrap();
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                numbers.push(letter.number);
                assert!(desk.drop_dead_letter(letter.number).await.unwrap());
            }
        }
        assert_eq!(numbers.len(), 150);
        assert!(numbers.is_sorted());
    }

    /// SPEC S9, T2: a dead letter that a timer sent comes back as a timer's.
    async fn a_timers_dead_letter_says_still_how_late_it_is(store: Mocked, faultless = "it counts runs") {
        let desk = desk_with(&store.tenant, "desk", woken_only().max_attempts(1)).await;
        let steps = vec![Step::PanicInFirst { runs: 2 }, Step::Note("note".to_owned())];
        let timer = crate::support::desk::Timing { texts: Vec::new(), steps, ..after(10, "") };
        crate::support::desk::act(&desk, [Step::Timer(timer)]).await;
        store.advance(Duration::from_secs(10)).await;
        until_quiet(&desk, store.tenant.env()).await;
        let letter = desk.dead_letters().await.unwrap().remove(0);
        store.advance(Duration::from_secs(10)).await;
        assert!(desk.replay(letter.number).await.unwrap());
        let expected = Note { text: "note".to_owned(), late_millis: Some(10_000) };
        assert_eq!(notes(&desk, &store.tenant).await, [expected]);
    }
}
