//! What callers leave behind, and when it is gone.

use std::time::Duration;

use dgen_backend::tuple::Element;
use dgen_server::{CallError, Never, StartOptions};
use futures_util::{
    FutureExt as _,
    future::{join, join_all},
};

use crate::support::{
    desk::{DeskCall, DeskCast, DeskHandle, Step, act, after, desk, desk_with, notes, runs, texts},
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{go_on_until, until, until_quiet},
};

const MINUTE: Duration = Duration::from_secs(60);

type Key = Vec<Element<'static>>;

/// What a key below `("Desk", ("desk",))` is.
fn kind(key: &Key) -> String {
    let part = |index: usize| key.get(index).and_then(Element::as_str);
    match (part(2), part(3)) {
        (Some("q"), Some(name)) => format!("q {name}"),
        (Some(kind), _) => kind.to_owned(),
        _ => format!("{key:?}"),
    }
}

/// The kinds of keys that there are, but for the state's, the number of dead letters and the count of
/// changes.
async fn kinds(store: &Mocked) -> Vec<String> {
    let mut kinds: Vec<_> = store.keys().await.iter().map(kind).collect();
    kinds.retain(|kind| !["s", "c", "n"].contains(&kind.as_str()));
    kinds.sort();
    kinds.dedup();
    kinds
}

/// What is left of an emptied queue.
const QUEUE: [&str; 3] = ["q popped", "q pushed", "q wake"];

/// A caller in another OS process, which dies while it waits.
async fn call_and_die(store: &Mocked, timeout: Duration) {
    let there = store.elsewhere();
    let client = DeskHandle::client(&there, "desk");
    let steps = vec![Step::Note("called".to_owned())];
    let call = client.call::<u32, Never>(DeskCall::Do(steps));
    let mut call = call.timeout(timeout).into_future();
    let before = store.waiting_calls().await.len();
    while store.waiting_calls().await.len() == before {
        assert!(call.as_mut().now_or_never().is_none(), "it is not answered");
        tokio::task::yield_now().await;
    }
    // The dead drop nothing.
    std::mem::forget(call);
}

on_each_mocked_store! {
    /// SPEC S4: a caller that died while nobody consumed: its key is gone ten minutes after it would
    /// have given up, once somebody consumes, and no sooner.
    async fn what_a_dead_caller_leaves_is_swept(store: Mocked) {
        call_and_die(&store, Duration::from_secs(5)).await;
        let with_call = [&["q i"], &QUEUE[1..], &["r", "t"]].concat();
        assert_eq!(kinds(&store).await, with_call);
        store.advance(10 * MINUTE).await;
        let desk = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&desk, &store.tenant).await, ["called"]);
        assert_eq!(kinds(&store).await, [&QUEUE[..], &["r", "t"]].concat());
        // By itself, at the next full minute.
        store.advance(MINUTE).await;
        until_quiet(&desk, store.tenant.env()).await;
        assert_eq!(kinds(&store).await, QUEUE);
    }

    /// SPEC S4: a caller that died before it took its answer, however large that is.
    async fn an_answer_that_nobody_takes_is_swept(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        call_and_die(&store, 30 * MINUTE).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["called"]);
        store.advance(35 * MINUTE).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["called"]);
        assert_eq!(kinds(&store).await, [&QUEUE[..], &["r", "t"]].concat());
        store.advance(6 * MINUTE).await;
        until_quiet(&desk, store.tenant.env()).await;
        assert_eq!(kinds(&store).await, QUEUE);
    }

    /// SPEC S4: more of them than one transaction sweeps.
    async fn many_dead_callers_are_swept(store: Mocked) {
        let there = store.elsewhere();
        let client = DeskHandle::client(&there, "desk");
        let steps = || vec![Step::Note("called".to_owned())];
        let call = |_| client.call::<u32, Never>(DeskCall::Do(steps())).into_future();
        // On disk several wait for one flush.
        let mut calls = join_all((0..600).map(call));
        go_on_until(&mut calls, "all wait", async || store.waiting_calls().await.len() == 600).await;
        std::mem::forget(calls);
        store.advance(11 * MINUTE).await;
        let desk = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&desk, &store.tenant).await.len(), 600);
        // At once, or at a full minute if a batch was cut in two.
        store.advance_until("they are swept", MINUTE, async || kinds(&store).await == QUEUE).await;
    }

    /// SPEC T3: what is remembered of ids, of calls and casts, small and large, is swept when its
    /// window is over.
    async fn remembered_ids_are_swept(store: Mocked) {
        let options = StartOptions::default().id_window(60 * MINUTE);
        let desk = desk_with(&store.tenant, "desk", options).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        for handle in [&desk, &there] {
            let large = vec![Step::Note("x".repeat(300_000))];
            handle.cast(DeskCast::Do(large)).id("cast").await.unwrap();
            let casts = vec![DeskCast::Note("note".to_owned()); 20];
            handle.cast_all(casts).id("casts").await.unwrap();
            let notes = handle.call::<Vec<crate::support::desk::Note>, Never>(DeskCall::Notes);
            assert_eq!(notes.id("large answer").await.unwrap().len(), 21);
            let failed = handle.call::<u32, String>(DeskCall::DoAndFail(Vec::new()));
            assert!(matches!(failed.id("error").await, Err(CallError::Handler(_))));
        }
        store.advance(69 * MINUTE).await;
        until_quiet(&desk, store.tenant.env()).await;
        assert_eq!(kinds(&store).await, [&["i"], &QUEUE[..], &["t"]].concat());
        // At the full minute, or at the next poll.
        store.advance_until("they are swept", Duration::from_secs(5), async || {
            kinds(&store).await == QUEUE
        })
        .await;
    }

    /// SPEC S4: a call that timed out in the queue leaves nothing but its message, which is handled.
    async fn a_queued_call_that_timed_out_leaves_nothing(store: Mocked) {
        let client = DeskHandle::client(&store.tenant, "desk");
        let steps = vec![Step::Note("called".to_owned())];
        let call = client.call::<u32, Never>(DeskCall::Do(steps));
        let (called, ()) = join(call.into_future(), async {
            until("it waits", async || store.waiting_calls().await.len() == 1).await;
            store.advance(Duration::from_secs(5)).await;
        })
        .await;
        assert!(matches!(called, Err(CallError::Timeout { .. })), "{called:?}");
        let left = [&["q i"], &QUEUE[1..]].concat();
        until("it has cleaned up", async || kinds(&store).await == left).await;
        let desk = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&desk, &store.tenant).await, ["called"]);
        assert_eq!(kinds(&store).await, QUEUE);
    }

    /// SPEC S4, S6: nor does one whose reply was deferred, and came too late.
    async fn a_deferred_call_that_timed_out_leaves_nothing(store: Mocked, faultless = "it counts runs") {
        let desk = desk(&store.tenant, "desk").await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        for handle in [&desk, &there] {
            let ask = handle.call::<String, String>(DeskCall::Ask);
            let (asked, ()) = join(ask.into_future(), async {
                until("it waits", async || store.waiting_calls().await.len() == 1).await;
                until_quiet(&desk, store.tenant.env()).await;
                store.advance(Duration::from_secs(5)).await;
            })
            .await;
            assert!(matches!(asked, Err(CallError::Timeout { .. })), "{asked:?}");
            until("it has cleaned up", async || store.waiting_calls().await.is_empty()).await;
        }
        assert_eq!(runs(), 2);
        act(&desk, [Step::Answer("too late".to_owned())]).await;
        texts(&desk, &store.tenant).await;
        assert_eq!(kinds(&store).await, QUEUE);
    }

    /// SPEC S4: a caller that still waits is not swept, whatever the time: one with two hours, and one
    /// that waits for ever.
    async fn a_caller_that_waits_is_not_swept(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let ask = |timeout| {
            let call = there.call::<String, String>(DeskCall::Ask);
            call.timeout(timeout).into_future()
        };
        let calls = join(ask(120 * MINUTE), ask(Duration::MAX));
        let ((two_hours, for_ever), ()) = join(calls, async {
            until("both wait", async || store.waiting_calls().await.len() == 2).await;
            until_quiet(&desk, store.tenant.env()).await;
            for _ in 0..119 {
                store.advance(MINUTE).await;
            }
            assert_eq!(texts(&desk, &store.tenant).await, [""; 0]);
            assert_eq!(store.waiting_calls().await.len(), 2);
            act(&desk, [Step::Answer("tea".to_owned())]).await;
        })
        .await;
        assert_eq!((two_hours.unwrap(), for_ever.unwrap()), ("tea".to_owned(), "tea".to_owned()));
        until("the answers are taken away", async || kinds(&store).await == QUEUE).await;
    }

    /// SPEC S4, S9, T2: of messages that are done nothing is left, whatever kind they were: but for
    /// the state, the number of dead letters, and the three keys of an empty queue.
    async fn nothing_is_left_of_what_is_done(store: Mocked) {
        let options = woken_only().max_attempts(1).lock_lease(60 * MINUTE);
        let desk = desk_with(&store.tenant, "desk", options).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        for handle in [&desk, &there] {
            act(handle, [Step::Note("note".to_owned())]).await;
            let urgent = handle.call::<Vec<crate::support::desk::Note>, Never>(DeskCall::Notes);
            urgent.priority().await.unwrap();
            let failed = handle.call::<u32, String>(DeskCall::DoAndFail(Vec::new())).await;
            assert!(matches!(failed, Err(CallError::Handler(_))));
            act(handle, [Step::Lock { seconds: 0 }]).await;
            let dead = handle.call::<u32, Never>(DeskCall::Do(vec![Step::Panic])).await;
            assert!(matches!(dead, Err(CallError::Failed(_))));
            handle.cast(DeskCast::Note("x".repeat(300_000))).await.unwrap();
            let ask = handle.call::<String, String>(DeskCall::Ask).into_future();
            let asked = runs() + 1;
            let (answer, ()) = join(ask, async {
                until("it asks", async || runs() == asked).await;
                act(&desk, [Step::Answer("tea".to_owned())]).await;
            })
            .await;
            assert_eq!(answer.unwrap(), "tea");
            let timers = [after(1, "timer"), after(1, "keyed").key("a"), after(1, "gone").key("b")];
            act(handle, timers.map(Step::Timer)).await;
            act(handle, [Step::Cancel { key: "b".to_owned() }]).await;
            store.advance(Duration::from_secs(1)).await;
            notes(&desk, &store.tenant).await;
        }
        for letter in desk.dead_letters().await.unwrap() {
            assert!(desk.drop_dead_letter(letter.number).await.unwrap());
        }
        assert_eq!(kinds(&store).await, QUEUE);
        desk.kill().await.unwrap();
        assert!(store.keys().await.is_empty());
    }
}
