//! Durable timers: once per due time, at or after it, whoever is alive then.

use std::time::Duration;

use crate::support::{
    desk::{DeskHandle, Note, Step, Timing, act, after, desk, every, notes, texts},
    mocked::{Mocked, on_each_mocked_store},
    patience::until_quiet,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

on_each_mocked_store! {
    /// SPEC T2: not before its time, then at once, and once; the process wakes by itself.
    async fn a_timer_fires_when_it_is_due(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        act(&desk, [Step::Timer(after(10, "tea"))]).await;
        assert!(texts(&desk, &store.tenant).await.is_empty());
        store.advance(Duration::from_millis(9_900)).await;
        assert!(texts(&desk, &store.tenant).await.is_empty());
        store.advance(Duration::from_millis(100)).await;
        let expected = Note { text: "tea".to_owned(), late_millis: Some(0) };
        assert_eq!(notes(&desk, &store.tenant).await, [expected]);
        store.advance(seconds(3_600)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["tea"]);
    }

    /// SPEC T2: two consumers in one OS process and one in another fire it once together.
    async fn a_timer_fires_once_with_many_consumers(store: Mocked) {
        let one = desk(&store.tenant, "desk").await;
        let _two = desk(&store.tenant, "desk").await;
        let _three = desk(&store.elsewhere(), "desk").await;
        for round in 1..=10 {
            act(&one, [Step::Timer(after(10, "tea"))]).await;
            // Consumers that collide wait parts of a millisecond, and what is due is rounded up.
            store.advance(seconds(11)).await;
            assert_eq!(texts(&one, &store.tenant).await.len(), round);
        }
        store.advance(seconds(3_600)).await;
        assert_eq!(texts(&one, &store.tenant).await.len(), 10);
    }

    /// SPEC T2: what was due while nobody consumed fires once on return, and says how late it is.
    async fn a_timer_that_nobody_was_there_for_fires_on_return(store: Mocked) {
        let first = desk(&store.tenant, "desk").await;
        act(&first, [Step::Timer(after(10, "tea"))]).await;
        first.stop().await;
        drop(first);
        store.advance(seconds(100)).await;
        let store = store.reopen();
        let again = desk(&store.tenant, "desk").await;
        let expected = Note { text: "tea".to_owned(), late_millis: Some(90_000) };
        assert_eq!(notes(&again, &store.tenant).await, [expected]);
        again.stop().await;
        let third = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&third, &store.tenant).await, ["tea"]);
    }

    /// SPEC T2: at a time of the calendar; one that is past is due at once.
    async fn a_timer_may_name_its_time(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let now = store.tenant.env().wall_clock().duration_since(std::time::UNIX_EPOCH);
        let now_millis = u64::try_from(now.unwrap().as_millis()).unwrap();
        let at = |millis, text| Step::Timer(Timing { millis, is_absolute: true, ..after(0, text) });
        act(&desk, [at(now_millis + 2_000, "later"), at(0, "long ago"), at(now_millis, "now")]).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["long ago", "now"]);
        store.advance(seconds(2)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["long ago", "now", "later"]);
    }

    /// SPEC T2: with a key it takes the place of the earlier one, whether that was to be later or
    /// sooner; in one handler the last counts.
    async fn a_timer_with_a_key_replaces_the_earlier_one(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        act(&desk, [Step::Timer(after(10, "first").key("k"))]).await;
        act(&desk, [Step::Timer(after(20, "second").key("k"))]).await;
        act(&desk, [Step::Timer(after(30, "other").key("other"))]).await;
        store.advance(seconds(10)).await;
        assert!(texts(&desk, &store.tenant).await.is_empty());
        act(&desk, [Step::Timer(after(30, "third").key("k")), Step::Timer(after(5, "fourth").key("k"))])
            .await;
        store.advance(seconds(5)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["fourth"]);
        store.advance(seconds(100)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["fourth", "other"]);
        act(&desk, [Step::Timer(after(10, "again").key("k"))]).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["fourth", "other", "again"]);
        assert!(desk.status().await.unwrap().next_due.is_none());
    }

    /// SPEC T2: cancelled by its key; what it has sent already stays, and cancelling nothing does
    /// nothing.
    async fn a_timer_with_a_key_can_be_cancelled(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let cancel = |key: &str| Step::Cancel { key: key.to_owned() };
        let timers = [after(10, "a").key("a"), after(10, "b").key("b"), after(10, "c")];
        act(&desk, timers.map(Step::Timer)).await;
        act(&desk, [cancel("a"), cancel("unknown")]).await;
        act(&desk, [Step::Timer(after(10, "d").key("d")), cancel("d")]).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["b", "c"]);
        act(&desk, [cancel("b")]).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["b", "c"]);
        act(&desk, [Step::Timer(every(10, "e").key("e"))]).await;
        store.advance(seconds(10)).await;
        act(&desk, [cancel("e")]).await;
        store.advance(seconds(100)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["b", "c", "e"]);
        assert!(desk.status().await.unwrap().next_due.is_none());
    }

    /// SPEC T2: a timer at another server is replaced and cancelled there, and is not to be
    /// confused with that server's neighbour's of the same key.
    async fn a_timer_may_send_to_another_server(store: Mocked) {
        let one = desk(&store.tenant, "one").await;
        let two = desk(&store.tenant, "two").await;
        act(&one, [Step::Timer(after(10, "lost").key("k").to("two"))]).await;
        act(&one, [Step::Timer(after(10, "to two").key("k").to("two"))]).await;
        act(&one, [Step::Timer(after(10, "to one").key("k"))]).await;
        act(&one, [Step::Cancel { key: "k".to_owned() }]).await;
        act(&one, [Step::Timer(after(20, "cancelled").key("c").to("two"))]).await;
        store.advance(seconds(10)).await;
        assert!(texts(&one, &store.tenant).await.is_empty());
        assert_eq!(texts(&two, &store.tenant).await, ["to two"]);
        act(&one, [Step::CancelOf { to: "two".to_owned(), key: "c".to_owned() }]).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&two, &store.tenant).await, ["to two"]);
    }

    /// SPEC T2: whoever set it need not live, nor does the receiver until it is started.
    async fn a_timer_outlives_who_set_it(store: Mocked) {
        let setter = desk(&store.tenant, "setter").await;
        act(&setter, [Step::Timer(after(10, "tea").to("receiver"))]).await;
        setter.kill().await.unwrap();
        store.advance(seconds(20)).await;
        let receiver = desk(&store.tenant, "receiver").await;
        let expected = Note { text: "tea".to_owned(), late_millis: Some(10_000) };
        assert_eq!(notes(&receiver, &store.tenant).await, [expected]);
    }

    /// SPEC T2: every so often, at each multiple of the period; what was missed comes once, and the
    /// next at the next multiple.
    async fn a_periodic_timer_keeps_its_beat(store: Mocked) {
        let first = desk(&store.tenant, "desk").await;
        act(&first, [Step::Timer(every(10, "tick").key("k"))]).await;
        for ticks in 1..=3 {
            store.advance(seconds(9)).await;
            assert_eq!(texts(&first, &store.tenant).await.len(), ticks - 1);
            store.advance(seconds(1)).await;
            assert_eq!(texts(&first, &store.tenant).await.len(), ticks);
        }
        first.stop().await;
        drop(first);
        // Those at 40, 50 and 60 seconds are missed.
        store.advance(seconds(34)).await;
        let store = store.reopen();
        let again = desk(&store.tenant, "desk").await;
        let late = async |desk: &DeskHandle| -> Vec<Option<u64>> {
            let notes = notes(desk, &store.tenant).await;
            notes.into_iter().map(|note| note.late_millis).skip(3).collect()
        };
        assert_eq!(late(&again).await, [Some(24_000)]);
        store.advance(seconds(5)).await;
        assert_eq!(late(&again).await.len(), 1);
        store.advance(seconds(1)).await;
        assert_eq!(late(&again).await, [Some(24_000), Some(0)]);
    }

    /// SPEC T2: periodic timers live beside each other, and beat each by itself.
    async fn periodic_timers_do_not_disturb_each_other(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        act(&desk, [every(2, "two").key("a"), every(3, "three").key("b")].map(Step::Timer)).await;
        for _ in 0..6 {
            store.advance(seconds(1)).await;
            until_quiet(&desk, store.tenant.env()).await;
        }
        let expected = ["two", "three", "two", "three", "two"];
        let mut texts = texts(&desk, &store.tenant).await;
        // Both are due at six seconds.
        texts[3..].sort();
        assert_eq!(texts, expected);
    }

    /// SPEC T2: timers of the same time fire in the order in which they were set, in one handler and
    /// by one after the other.
    async fn timers_of_one_time_keep_their_order(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let names: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        let timers = |names: &[String]| {
            let timers = names.iter().map(|name| Step::Timer(after(10, name)));
            timers.collect::<Vec<_>>()
        };
        act(&desk, timers(&names[..5])).await;
        act(&desk, timers(&names[5..])).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, names);
    }

    /// SPEC T2: those due earlier fire earlier, however they are set, and however late it is.
    async fn overdue_timers_fire_in_the_order_of_their_times(store: Mocked) {
        let first = desk(&store.tenant, "desk").await;
        let timers = [after(30, "c"), after(10, "a").key("z"), after(20, "b").key("a"), after(40, "d")];
        act(&first, timers.map(Step::Timer)).await;
        first.stop().await;
        store.advance(seconds(100)).await;
        let again = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&again, &store.tenant).await, ["a", "b", "c", "d"]);
    }

    /// SPEC T2: a timer of several casts sends all of them, next to each other.
    async fn a_timer_may_send_a_batch(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let batch: Vec<_> = (0..300).map(|number| number.to_string()).collect();
        act(&desk, [Step::Timer(Timing { texts: batch.clone(), ..after(10, "") })]).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, batch);
    }

    /// SPEC T2: more timers are due at once than one transaction works off.
    async fn a_thousand_timers_that_are_due_at_once_all_fire(store: Mocked) {
        let first = desk(&store.tenant, "desk").await;
        act(&first, [Step::Timers { count: 1_100, millis: 0 }]).await;
        first.stop().await;
        store.advance(seconds(1_100)).await;
        let again = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&again, &store.tenant).await.len(), 1_100);
        assert!(again.status().await.unwrap().next_due.is_none());
    }

    /// SPEC T2: one that is to be sooner than all others wakes a process that waits for those.
    async fn a_sooner_timer_wakes_an_idle_process(store: Mocked) {
        let one = desk(&store.tenant, "one").await;
        let two = desk(&store.elsewhere(), "two").await;
        act(&two, [Step::Timer(after(1_000, "late"))]).await;
        until_quiet(&two, store.tenant.env()).await;
        act(&one, [Step::Timer(after(10, "soon").to("two"))]).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&two, &store.tenant).await, ["soon"]);
        store.advance(seconds(990)).await;
        assert_eq!(texts(&two, &store.tenant).await, ["soon", "late"]);
    }

    /// SPEC T2: the calendar is put back: nothing fires early, nor twice.
    async fn a_calendar_that_is_put_back_fires_nothing_twice(store: Mocked) {
        let desk = desk(&store.tenant, "desk").await;
        let timers = [after(10, "once"), after(20, "later"), every(15, "tick").key("k")];
        act(&desk, timers.map(Step::Timer)).await;
        store.advance(seconds(10)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["once"]);
        // It is second 5 again.
        store.put_calendar_back(seconds(5));
        store.advance(seconds(9)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["once"]);
        store.advance(seconds(1)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["once", "tick"]);
        store.advance(seconds(5)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["once", "tick", "later"]);
        store.put_calendar_back(seconds(3_600));
        store.advance(seconds(3_600)).await;
        assert_eq!(texts(&desk, &store.tenant).await, ["once", "tick", "later"]);
    }
}
