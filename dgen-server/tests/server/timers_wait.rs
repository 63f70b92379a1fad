//! Timers and what goes wrong: handlers that fail, servers that are held up, casts that are too large.

use std::time::Duration;

use dgen_server::{CallError, Failure, HeldBy, Never, StartOptions};
use futures_util::future::join;

use crate::support::{
    desk::{
        DeskCall, DeskCast, DeskHandle, Step, Timing, act, after, desk, desk_with, every, texts,
    },
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{until, until_quiet},
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A message becomes a dead letter the first time it fails.
fn one_attempt() -> StartOptions {
    woken_only().max_attempts(1)
}

/// The desk's call fails with a text like this.
async fn refuses(desk: &DeskHandle, steps: Vec<Step>, what: &str) {
    let refused = desk.call::<u32, Never>(DeskCall::Do(steps)).await;
    assert!(
        matches!(
            &refused,
            Err(CallError::Failed(Failure::DeadLettered { error, attempts: 1 }))
                if error.contains(what)
        ),
        "{refused:?}"
    );
}

on_each_mocked_store! {
    /// SPEC T2, S9: a handler that panics has set, replaced and cancelled no timer.
    async fn a_handler_that_panics_sets_no_timer(store: Mocked) {
        let desk = desk_with(&store.tenant, "desk", one_attempt()).await;
        act(&desk, [after(10, "kept").key("a"), after(10, "kept too").key("b")].map(Step::Timer)).await;
        let steps = vec![
            Step::Timer(after(5, "new")),
            Step::Timer(after(5, "instead").key("a")),
            Step::Cancel { key: "b".to_owned() },
            Step::Panic,
        ];
        refuses(&desk, steps, "asked to").await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["kept", "kept too"]);
    }

    /// SPEC T2, S2: so has a handler that returns an error.
    async fn a_handler_that_returns_an_error_sets_no_timer(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let steps = vec![Step::Timer(after(5, "new")), Step::Timer(every(5, "tick").key("k"))];
        let failed = desk.call::<u32, String>(DeskCall::DoAndFail(steps)).await;
        assert!(matches!(&failed, Err(CallError::Handler(error)) if error == "no"), "{failed:?}");
        assert!(desk.status().await.unwrap().next_due.is_none());
        store.advance(seconds(10)).await;
        assert!(texts(&desk, &store.tenant).await.is_empty());
    }

    /// SPEC T2, S7: what is due while the server is locked waits for the lock to end.
    async fn a_timer_waits_for_the_lock(store: Mocked) {
        let options = woken_only().lock_lease(seconds(3_600));
        let desk = desk_with(&store.tenant, "desk", options).await;
        let steps = vec![
            Step::Timer(after(10, "timer")),
            Step::Lock { seconds: 20 },
            Step::Note("locked work".to_owned()),
        ];
        desk.cast(DeskCast::Do(steps)).await.unwrap();
        let is_locked = async || {
            let hold = desk.status().await.unwrap().hold;
            matches!(hold, Some(HeldBy::Lock { .. }))
        };
        until("locked", is_locked).await;
        store.advance(seconds(15)).await;
        assert!(is_locked().await);
        assert_eq!(desk.queue_len().await.unwrap(), 0);
        store.advance(seconds(5)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["locked work", "timer"]);
    }

    /// SPEC T2, S7: locked work sets timers too, with its result, from the time at which it ends.
    async fn locked_work_sets_timers(store: Mocked) {
        let options = woken_only().lock_lease(seconds(3_600));
        let desk = desk_with(&store.tenant, "desk", options).await;
        let steps = vec![Step::Lock { seconds: 20 }, Step::Timer(after(10, "timer"))];
        desk.cast(DeskCast::Do(steps)).await.unwrap();
        store.advance(seconds(20)).await;
        until_quiet(&desk, store.tenant.env()).await;
        assert!(texts(&desk, &store.tenant).await.is_empty());
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["timer"]);
    }

    /// SPEC T2, S9: what is due while the first message fails waits behind it.
    async fn a_timer_waits_behind_a_message_that_fails(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        act(&desk, [Step::Timer(Timing { millis: 60, ..after(0, "timer") })]).await;
        desk.cast(DeskCast::Do(vec![Step::Panic])).await.unwrap();
        desk.cast(DeskCast::Note("behind it".to_owned())).await.unwrap();
        for attempt in 1..=4 {
            until("it failed", async || {
                let hold = desk.status().await.unwrap().hold;
                matches!(hold, Some(HeldBy::Failing { attempts, .. }) if attempts == attempt)
            })
            .await;
            // So long does each wait.
            store.advance(Duration::from_millis(50 << (attempt - 1))).await;
        }
        assert_eq!(texts(&desk, &store.tenant).await, ["behind it", "timer"]);
        assert_eq!(desk.dead_letters().await.unwrap().len(), 1);
    }

    /// SPEC T2, S9: a timer's cast that panics is a dead letter; a periodic timer goes on.
    async fn a_periodic_timer_survives_its_dead_letters(store: Mocked) {
        let desk = desk_with(&store.tenant, "desk", one_attempt()).await;
        let timer = Timing { steps: vec![Step::Panic], ..every(10, "tick").key("k") };
        act(&desk, [Step::Timer(timer)]).await;
        for ticks in 1..=3 {
            store.advance(seconds(10)).await;
            assert_eq!(texts(&desk, &store.tenant).await.len(), ticks);
            assert_eq!(desk.dead_letters().await.unwrap().len(), ticks);
        }
    }

    /// SPEC T2, S12: casts that are too large for a timer, keys that are too long, and a periodic
    /// timer with an id are errors of the handler; those just below are not.
    async fn a_timer_too_large_is_an_error_of_its_handler(store: Mocked) {
        let desk = desk_with(&store.tenant, "desk", one_attempt()).await;
        let large = |size_bytes| Timing { texts: vec!["x".repeat(size_bytes)], ..after(10, "") };
        refuses(&desk, vec![Step::Timer(large(100_001))], "more than").await;
        refuses(&desk, vec![Step::Timer(large(1_000_000))], "more than").await;
        let many = Timing { texts: vec![String::new(); 10_000], ..after(10, "") };
        refuses(&desk, vec![Step::Timer(many)], "more than").await;
        let ids = Timing { id: Some("i".repeat(1_000)), texts: vec![String::new(); 100], ..after(10, "") };
        refuses(&desk, vec![Step::Timer(ids)], "more than").await;
        let key = |size_bytes| "k".repeat(size_bytes);
        refuses(&desk, vec![Step::Timer(after(10, "").key(&key(1_001)))], "key").await;
        refuses(&desk, vec![Step::Cancel { key: key(1_001) }], "key").await;
        let bad_id = Timing { id: Some(String::new()), ..after(10, "") };
        refuses(&desk, vec![Step::Timer(bad_id)], "an id of 0 bytes").await;
        let repeated = Timing {
            id: Some("id".to_owned()),
            ..every(10, "tick").key("k")
        };
        refuses(&desk, vec![Step::Timer(repeated)], "has an id").await;
        assert!(desk.status().await.unwrap().next_due.is_none());

        act(&desk, [Step::Timer(large(90_000)), Step::Timer(after(10, "").key(&key(1_000)))]).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await.len(), 2);
    }

    /// SPEC T2, T3: a timer's cast with an id takes effect once, however often it is set.
    async fn a_timer_with_an_id_takes_effect_once(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        for delay in [10, 20, 10] {
            let timer = Timing { id: Some("id".to_owned()), ..after(delay, "once") };
            act(&desk, [Step::Timer(timer)]).await;
        }
        for _ in 0..3 {
            store.advance(seconds(10)).await;
            assert_eq!(texts(&desk, &store.tenant).await, ["once"]);
        }
    }

    /// SPEC T2, S5: a priority call that the caller runs itself sets timers, and they wake the
    /// process elsewhere.
    async fn a_priority_call_sets_timers(store: Mocked) {
        let desk = desk(&store.elsewhere(), "desk").await;
        act(&desk, [Step::Timer(after(100, "late"))]).await;
        let client = DeskHandle::client(&store.tenant, "desk");
        let call = client.call::<u32, Never>(DeskCall::Do(vec![Step::Timer(after(10, "soon"))]));
        call.priority().await.unwrap();
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["soon"]);
    }

    /// SPEC T2: a period of nothing is one of a millisecond, and no endless loop.
    async fn a_period_of_nothing_ends(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let timer = Timing { millis: 0, ..every(0, "tick").key("k") };
        let steps = [Step::Timer(timer)];
        let cancel = async {
            until("it ticks", async || store.clock.elapsed() > Duration::from_millis(3)).await;
            act(&desk, [Step::Cancel { key: "k".to_owned() }]).await;
        };
        let ((), ()) = join(act(&desk, steps), cancel).await;
        assert!(desk.status().await.unwrap().next_due.is_none());
    }
}
