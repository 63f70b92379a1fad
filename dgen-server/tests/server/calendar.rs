//! A calendar that is put back or forward: only what is said to be due by the calendar follows it.
//!
//! The clock for durations goes on as ever; `timers.rs` has timers and a calendar put back by
//! seconds.

use std::time::Duration;

use dgen_server::{CallError, HeldBy, Never, StartOptions};
use futures_util::future::join;

use crate::support::{
    CounterCall, CounterCast, CounterHandle,
    desk::{
        DeskCall, DeskCast, DeskHandle, Note, Step, act, after, desk, desk_with, every, notes,
        runs, texts,
    },
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{until, until_quiet},
    value,
};

const HOUR: Duration = Duration::from_secs(3_600);

const fn days(days: u32) -> Duration {
    Duration::from_secs(86_400 * days as u64)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Puts the calendar back or forward.
type Jump = fn(&Mocked);

const JUMPS: [Jump; 4] = [
    |store| store.put_calendar_back(seconds(3)),
    |store| store.put_calendar_back(days(30)),
    |store| store.put_calendar_forward(seconds(3)),
    |store| store.put_calendar_forward(days(30)),
];

on_each_mocked_store! {
    /// SPEC T2: put forward, the calendar makes due what is due by it, each once, and says how late
    /// it came; put right again, nothing fires a second time.
    async fn a_calendar_that_is_put_forward_fires_once(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        act(&desk, [Step::Timer(after(3_600, "hour")), Step::Timer(after(10_000, "later"))]).await;
        store.put_calendar_forward(HOUR + seconds(5));
        // Whoever sleeps until the timer is due by the clock looks at the calendar when he wakes.
        act(&desk, [Step::Note("woken".to_owned())]).await;
        let fired = Note { text: "hour".to_owned(), late_millis: Some(5_000) };
        assert_eq!(notes(&desk, &store.tenant).await[1..], [fired]);
        store.put_calendar_back(HOUR + seconds(5));
        store.advance(HOUR).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["woken", "hour"]);
        store.advance(seconds(6_400)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["woken", "hour", "later"]);
    }

    /// SPEC T2: a periodic timer comes once for all that a jump forward skipped, and goes on by the
    /// calendar as it is then.
    async fn a_periodic_timer_comes_once_for_a_jump(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        act(&desk, [Step::Timer(every(10, "tick").key("k"))]).await;
        store.advance(seconds(10)).await;
        store.put_calendar_forward(days(1) + seconds(5));
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await.len(), 2);
        store.advance(seconds(5)).await;
        assert_eq!(texts(&desk, &store.tenant).await.len(), 3, "at the next multiple");
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await.len(), 4);
    }

    /// SPEC S7: a lease does not depend on the calendar: while its holder works and renews it, nobody
    /// takes it over, whatever the calendar does.
    async fn a_lock_is_kept_while_the_calendar_jumps(store: Mocked, faultless = "it counts runs") {
        let options = woken_only().lock_lease(seconds(5));
        let holder = desk_with(&store.tenant, "desk", options.clone()).await;
        act(&holder, [Step::Note("before".to_owned())]).await;
        let there = desk_with(&store.elsewhere(), "desk", options).await;
        let began = runs();
        let locked = vec![Step::Lock { seconds: 60 }, Step::Note("worked".to_owned())];
        holder.cast(DeskCast::Do(locked)).await.unwrap();
        let fence = async || match there.status().await.unwrap().hold {
            Some(HeldBy::Lock { fence, .. }) => Some(fence),
            None => None,
            Some(other) => panic!("{other:?}"),
        };
        until("it is locked", async || fence().await.is_some()).await;
        let first = fence().await;
        for step in 0..40 {
            JUMPS[step % JUMPS.len()](&store);
            store.advance(seconds(1)).await;
            assert_eq!(fence().await, first, "the lock was taken over");
        }
        store.advance_until("it is done", seconds(1), async || fence().await.is_none()).await;
        assert_eq!(texts(&holder, &store.tenant).await, ["before", "worked"]);
        assert_eq!(runs(), began + 1, "the work was done again");
    }

    /// SPEC S2, S3: order and answers do not depend on the calendar.
    async fn messages_keep_their_order_while_the_calendar_jumps(store: Mocked) {
        let counter = CounterHandle::start_with(&store.tenant, "demo", 0, woken_only()).await.unwrap();
        let there = CounterHandle::client(&store.elsewhere(), "demo");
        let mut expected = Vec::new();
        for number in 0..40 {
            JUMPS[number % JUMPS.len()](&store);
            let number = i64::try_from(number).unwrap();
            there.cast(CounterCast::Remember { number }).await.unwrap();
            expected.push(number);
        }
        let seen: Vec<i64> = there.call::<_, Never>(CounterCall::Seen).await.unwrap();
        assert_eq!(seen, expected);
        drop(counter);
    }

    /// SPEC S4: a caller who waits is answered though the calendar is put back by a month, and
    /// nothing of it is left.
    async fn who_waits_is_answered_though_the_calendar_goes_back(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let ask = there.call::<String, String>(DeskCall::Ask).timeout(HOUR);
        let (answer, ()) = join(ask.into_future(), async {
            until("it waits", async || store.waiting_calls().await.len() == 1).await;
            until_quiet(&desk, store.tenant.env()).await;
            store.put_calendar_back(days(30));
            for _ in 0..30 {
                store.advance(seconds(60)).await;
            }
            act(&desk, [Step::Answer("tea".to_owned())]).await;
        })
        .await;
        assert_eq!(answer.unwrap(), "tea");
        until("nothing is left", async || {
            store.keys_of("r").await.is_empty() && store.keys_of("t").await.is_empty()
        })
        .await;
    }

    /// SPEC S4: a calendar that is a month ahead sweeps a reply key whose caller still waits. The
    /// caller is told, and waits no longer than it said.
    async fn who_waits_is_told_though_a_wrong_calendar_swept_its_key(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let there = DeskHandle::client(&store.elsewhere(), "desk");
        let ask = there.call::<String, String>(DeskCall::Ask).timeout(HOUR);
        let (answer, ()) = join(ask.into_future(), async {
            until("it waits", async || store.waiting_calls().await.len() == 1).await;
            until_quiet(&desk, store.tenant.env()).await;
            store.put_calendar_forward(days(30));
            act(&desk, [Step::Note("woken".to_owned())]).await;
            until_quiet(&desk, store.tenant.env()).await;
            store.advance(HOUR).await;
        })
        .await;
        let is_told = matches!(
            answer,
            Err(CallError::Timeout { .. } | CallError::Failed(_))
        );
        assert!(is_told, "{answer:?}");
    }

    /// SPEC T3: put back, the calendar makes an id's window longer and never shorter; put forward
    /// past its end, the window is over.
    async fn an_id_is_remembered_by_the_calendar(store: Mocked) {
        let options = StartOptions::default().id_window(HOUR);
        let counter =
            CounterHandle::start_with(&store.tenant, "demo", 0, options).await.unwrap();
        let send = async || {
            let call = CounterCall::Increment { by: 1 };
            counter.call::<i64, Never>(call).id("id").await.unwrap()
        };
        assert_eq!(send().await, 1);
        store.put_calendar_back(HOUR * 5);
        for _ in 0..7 {
            assert_eq!(send().await, 1);
            store.advance(seconds(3_500)).await;
        }
        assert_eq!(send().await, 2, "almost seven hours later");
        store.put_calendar_forward(HOUR + seconds(1));
        assert_eq!(send().await, 3);
        assert_eq!(value(&counter).await, 3);
    }
}
