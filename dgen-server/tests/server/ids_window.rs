//! How long an id is remembered.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use dgen_server::{Never, StartOptions};

use crate::support::{
    CounterCall, CounterCast, CounterHandle,
    desk::{DeskCall, DeskCast, DeskHandle, Step, desk_with, runs},
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::until_quiet,
    value,
};

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// An hour is remembered; what has expired is swept ten minutes after that.
fn options() -> StartOptions {
    woken_only()
        .id_window(minutes(60))
        .lock_lease(minutes(10_000))
}

async fn counter(store: &Mocked) -> CounterHandle {
    CounterHandle::start_with(&store.tenant, "demo", 0, options())
        .await
        .unwrap()
}

async fn increment(counter: &CounterHandle) -> i64 {
    let call = CounterCall::Increment { by: 1 };
    counter.call::<i64, Never>(call).id("id").await.unwrap()
}

/// How `send` takes effect: once in a window, also where what is remembered of the last window is
/// swept only after the next has begun.
async fn takes_effect_once_in_a_window(
    store: &Mocked,
    send: impl AsyncFn(),
    effects: impl AsyncFn() -> i64,
) {
    let check = async |after: u64, count: i64| {
        store.advance(minutes(after)).await;
        send().await;
        assert_eq!(effects().await, count, "after {after} minutes more");
    };
    check(0, 1).await;
    check(59, 1).await;
    // It is minute 65: expired, and not swept yet.
    check(6, 2).await;
    // Minute 80: what was remembered first would have been swept by now.
    check(15, 2).await;
    // Minute 124: one short of the second window's end.
    check(44, 2).await;
    check(2, 3).await;
}

on_each_mocked_store! {
    /// SPEC T3: within the window once; then it takes effect again. Inline.
    async fn an_inline_call_takes_effect_once_in_a_window(store: Mocked) {
        let here = &counter(&store).await;
        let send = async || {
            increment(here).await;
        };
        takes_effect_once_in_a_window(&store, send, async || value(here).await).await;
    }

    /// SPEC T3: through the queue.
    async fn a_queued_call_takes_effect_once_in_a_window(store: Mocked) {
        let here = &counter(&store).await;
        let there = &CounterHandle::client(&store.elsewhere(), "demo");
        let send = async || {
            increment(there).await;
        };
        takes_effect_once_in_a_window(&store, send, async || value(here).await).await;
    }

    /// SPEC T3: a batch of casts.
    async fn casts_take_effect_once_in_a_window(store: Mocked) {
        let here = &counter(&store).await;
        let send = async || {
            let casts = vec![CounterCast::Add { by: 3 }, CounterCast::Add { by: -2 }];
            here.cast_all(casts).id("id").await.unwrap();
        };
        takes_effect_once_in_a_window(&store, send, async || value(here).await).await;
    }

    /// SPEC T3, S5: a priority call, by its caller.
    async fn a_priority_call_takes_effect_once_in_a_window(store: Mocked) {
        let here = &counter(&store).await;
        let there = &CounterHandle::client_with(&store.elsewhere(), "demo", options());
        let send = async || {
            let call = there.call::<i64, Never>(CounterCall::Increment { by: 1 });
            call.id("id").priority().await.unwrap();
        };
        takes_effect_once_in_a_window(&store, send, async || value(here).await).await;
    }

    /// SPEC T3, S7: a call that goes on as locked work.
    async fn a_locking_call_takes_effect_once_in_a_window(store: Mocked, faultless = "it counts runs") {
        let desk = &desk_with(&store.tenant, "desk", options()).await;
        let send = async || {
            let steps = vec![Step::Lock { seconds: 0 }];
            desk.call::<u32, Never>(DeskCall::Do(steps)).id("id").await.unwrap();
        };
        takes_effect_once_in_a_window(&store, send, async || i64::from(runs())).await;
    }

    /// SPEC T3, S7: a cast that does, through the queue.
    async fn a_locking_cast_takes_effect_once_in_a_window(store: Mocked, faultless = "it counts runs") {
        let desk = &desk_with(&store.tenant, "desk", options()).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let send = async || {
            let steps = vec![Step::Lock { seconds: 0 }];
            there.cast(DeskCast::Do(steps)).id("id").await.unwrap();
            until_quiet(desk, store.tenant.env()).await;
        };
        takes_effect_once_in_a_window(&store, send, async || i64::from(runs())).await;
    }

    /// SPEC T3: a call that is answered later, whose reply comes in another window.
    async fn a_deferred_call_takes_effect_once_in_a_window(store: Mocked, faultless = "it counts runs") {
        let desk = &desk_with(&store.tenant, "desk", options()).await;
        let send = async || {
            let env = store.tenant.env().clone();
            let ask = desk.call::<String, String>(DeskCall::Ask).id("id").timeout(minutes(100_000));
            let answer = async {
                until_quiet(desk, &env).await;
                crate::support::desk::act(desk, [Step::Answer("tea".to_owned())]).await;
            };
            let (asked, ()) = futures_util::future::join(ask.into_future(), answer).await;
            assert_eq!(asked.unwrap(), "tea");
        };
        // Each time somebody answers.
        let answers = std::cell::Cell::new(0);
        let effects = async || {
            answers.set(answers.get() + 1);
            i64::from(runs()) - answers.get()
        };
        takes_effect_once_in_a_window(&store, send, effects).await;
    }

    /// SPEC T3, S9: a dead letter leaves no record: the same call, sent again, is tried again, and
    /// replayed it takes effect, once with that.
    async fn a_dead_letter_leaves_no_record(store: Mocked, faultless = "it counts runs") {
        let desk = desk_with(&store.tenant, "desk", options().max_attempts(1)).await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        // The first runs: inline and queued, of the first call, and the queued one of the second.
        let call = async |handle: &DeskHandle| {
            let steps = vec![Step::PanicInFirst { runs: 3 }];
            handle.call::<u32, Never>(DeskCall::Do(steps)).id("id").await
        };
        assert!(call(&desk).await.is_err());
        assert!(call(&there).await.is_err());
        assert_eq!(runs(), 3);
        let letters = desk.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 2);
        for letter in &letters {
            assert!(desk.replay(letter.number).await.unwrap());
        }
        until_quiet(&desk, store.tenant.env()).await;
        assert_eq!(runs(), 4, "replayed twice, it took effect once");
        assert_eq!(call(&there).await.unwrap(), 4, "and is remembered");
        assert!(desk.dead_letters().await.unwrap().is_empty());
    }
}
