//! Where a database allows few watches, and more wait: those who get none poll.

use std::time::Duration;

use dgen_server::{HeldBy, Tenant};
use dgen_testkit::few_watches::{Refusal, Watches, few_watches};
use futures_util::future::{join, join_all};

use crate::support::{
    desk::{DeskCall, DeskCast, DeskHandle, Step, act, after, desk, desk_with, texts},
    elsewhere::elsewhere,
    mocked::{Mocked, woken_only},
    patience::until,
    recorder::Recorder,
    witness::Witness,
};

const REFUSALS: [Refusal; 2] = [Refusal::AtOnce, Refusal::WhenAwaited];

/// What polling costs in delay, the work and the test's own steps aside.
const DELAY_MAX: Duration = Duration::from_millis(2_500);

/// The same store as another OS process would have it, that may set so many watches.
fn with_watches(store: &Mocked, max: usize, refusal: Refusal) -> (Tenant, Watches) {
    let (db, watches) = few_watches(store.tenant.database().clone(), max, refusal);
    (Tenant::new(db, store.tenant.subspace().clone()), watches)
}

/// Moves the clock until `condition` holds: not further than polling may take.
async fn within_the_delay(store: &Mocked, what: &str, condition: impl AsyncFn() -> bool) {
    let begun = store.clock.elapsed();
    store
        .advance_until(what, Duration::from_millis(50), condition)
        .await;
    let took = store.clock.elapsed() - begun;
    assert!(took <= DELAY_MAX, "{what}: {took:?}");
}

/// SPEC B4, S2, S4: of twenty callers of another OS process three can watch for their answers, which
/// come much later: all get them, those who can't watch by looking about once a second.
#[tokio::test]
async fn callers_without_a_watch_get_their_answers() {
    for refusal in REFUSALS {
        let store = Mocked::in_memory();
        let desk = desk(&store.tenant, "desk").await;
        let (there, watches) = with_watches(&store, 3, refusal);
        let client = DeskHandle::client_with(&there, "desk", woken_only());
        let ask = || {
            let call = client.call::<String, String>(DeskCall::Ask);
            call.timeout(Duration::from_secs(3_600)).into_future()
        };
        let answered = &std::cell::Cell::new(0);
        let calls = join_all((0..20).map(|_| async {
            let answer = ask().await;
            answered.set(answered.get() + 1);
            answer
        }));
        let (answers, ()) = join(calls, async {
            until("all wait", async || store.waiting_calls().await.len() == 20).await;
            for _ in 0..60 {
                store.advance(Duration::from_secs(1)).await;
            }
            assert_eq!((answered.get(), watches.waiting()), (0, 3));
            act(&desk, [Step::Answer("tea".to_owned())]).await;
            within_the_delay(&store, "all have it", async || answered.get() == 20).await;
        })
        .await;
        let is_tea = |answer: &Result<String, _>| answer.as_ref().is_ok_and(|text| text == "tea");
        assert!(answers.iter().all(is_tea), "{answers:?}");
        assert!(watches.refused() >= 17, "{}", watches.refused());
        assert!(watches.refused() <= 17 * 90, "{}", watches.refused());
        until("they leave nothing", async || {
            store.waiting_calls().await.is_empty()
        })
        .await;
        assert_eq!(watches.waiting(), 0);
    }
}

/// SPEC B4, S2: a consumer that can't watch its queue takes what comes, though nobody told it to look
/// more often than once in eleven days; and calls and timers are in time.
#[tokio::test]
async fn a_consumer_without_a_watch_takes_messages() {
    for refusal in REFUSALS {
        let store = Mocked::in_memory();
        let (here, watches) = with_watches(&store, 0, refusal);
        let desk = desk(&here, "desk").await;
        act(&desk, [Step::Timer(after(130, "timer"))]).await;
        let there = elsewhere(&store.tenant);
        let client = DeskHandle::client(&there, "desk");
        for number in 0..3 {
            for _ in 0..30 {
                store.advance(Duration::from_secs(1)).await;
            }
            client
                .cast(DeskCast::Note(format!("cast {number}")))
                .await
                .unwrap();
            within_the_delay(&store, "it is handled", async || {
                desk.status().await.unwrap().queue_len == 0
            })
            .await;
            let note = [Step::Note(format!("call {number}"))];
            let is_answered = &std::cell::Cell::new(false);
            let called = async {
                act(&client, note).await;
                is_answered.set(true);
            };
            let answered = within_the_delay(&store, "it is answered", async || is_answered.get());
            join(called, answered).await;
        }
        for _ in 0..40 {
            store.advance(Duration::from_secs(1)).await;
        }
        let mut notes = texts(&desk, &here).await;
        assert_eq!(notes.pop().as_deref(), Some("timer"));
        let expected = ["cast 0", "call 0", "cast 1", "call 1", "cast 2", "call 2"];
        assert_eq!(notes, expected);
        assert!(
            watches.refused() > 100,
            "it looked once a second: {}",
            watches.refused()
        );
        assert!(
            watches.refused() < 400,
            "and not more often: {}",
            watches.refused()
        );
    }
}

/// SPEC B4, S7: a consumer that can't watch the lock takes it over soon after it was let go, and not
/// only when its lease would have ended.
#[tokio::test]
async fn a_consumer_without_a_watch_sees_the_end_of_a_lock() {
    for refusal in REFUSALS {
        let store = Mocked::in_memory();
        let options = woken_only().lock_lease(Duration::from_secs(3_600));
        let holder = desk_with(&store.tenant, "desk", options.clone()).await;
        let lock = vec![Step::Lock { seconds: 7_200 }];
        holder.cast(DeskCast::Do(lock)).await.unwrap();
        let holder_of = async || match holder.status().await.unwrap().hold {
            Some(HeldBy::Lock { process, .. }) => Some(process),
            _ => None,
        };
        let first = holder_of().await;
        assert!(first.is_some());
        let (there, _watches) = with_watches(&store, 0, refusal);
        let _other = desk_with(&there, "desk", options).await;
        for _ in 0..10 {
            store.advance(Duration::from_secs(1)).await;
        }
        assert_eq!(holder_of().await, first);
        holder.stop().await;
        within_the_delay(&store, "it is taken over", async || {
            holder_of()
                .await
                .is_some_and(|process| Some(process) != first)
        })
        .await;
    }
}

/// SPEC B4: an operator is told once, and can count.
#[tokio::test]
async fn the_operator_is_told_once() {
    let (witness, _guard) = Witness::install();
    let (recorder, _guard) = Recorder::install();
    let store = Mocked::in_memory();
    let (here, watches) = with_watches(&store, 0, Refusal::WhenAwaited);
    let desks = join_all(["a", "b"].map(|id| desk(&here, id))).await;
    for _ in 0..5 {
        store.advance(Duration::from_secs(1)).await;
    }
    assert!(watches.refused() > 4);
    let warnings = witness.lines();
    let warnings = warnings.iter().filter(|line| line.starts_with("WARN"));
    let about_watches = warnings.filter(|line| line.contains("too many watches"));
    assert_eq!(about_watches.count(), 1);
    assert!(recorder.of("dgen_watches_refused_total", "Desk").sum() > 4.0);
    drop(desks);
}
