//! Watches: no push is missed.

use std::time::Duration;

use dgen_backend::{Error, Watch};
use dgen_testkit::{
    MockClock,
    few_watches::{Refusal, few_watches},
};

use crate::fixture::{Fixture, is_ready};

impl Fixture {
    /// Waits as a consumer does: in a transaction of its own.
    async fn watch_if_empty(&self) -> Option<Watch> {
        let tx = self.begin();
        let watch = self.queue.watch_if_empty(&tx).await.unwrap();
        tx.commit().await.unwrap();
        watch
    }

    async fn notify(&self) {
        let tx = self.begin();
        self.queue.notify(&tx).unwrap();
        tx.commit().await.unwrap();
    }
}

/// SPEC Q1.
#[tokio::test]
async fn a_push_wakes_who_watches() {
    let f = Fixture::new();
    let mut watch = f.watch_if_empty().await.unwrap();
    assert!(!is_ready(&mut watch));
    f.push(["a"]).await;
    watch.await.unwrap();
}

/// SPEC Q1: consume_k of an empty queue gives the watch, and only that of an empty queue does.
#[tokio::test]
async fn consume_gives_a_watch_if_the_queue_was_empty() {
    let f = Fixture::new();
    let tx = f.begin();
    let consumed = f.queue.consume_k(&tx, 10).await.unwrap();
    assert!(!tx.has_writes());
    tx.commit().await.unwrap();
    assert!(consumed.found_empty && consumed.items.is_empty());
    let mut watch = consumed.watch.unwrap();
    assert!(!is_ready(&mut watch));
    f.push(["a"]).await;
    watch.await.unwrap();

    let consumed = f.queue.consume_k(&f.begin(), 10).await.unwrap();
    assert!(!consumed.found_empty && consumed.watch.is_none());
}

/// SPEC Q1: the push is committed after the look and before the watch is armed.
#[tokio::test]
async fn a_push_between_look_and_commit_wakes() {
    let f = Fixture::new();
    let tx = f.begin();
    let watch = f.queue.watch_if_empty(&tx).await.unwrap().unwrap();
    f.push(["a"]).await;
    tx.commit().await.unwrap();
    watch.await.unwrap();
}

/// SPEC Q1: the push is committed between the watch and the look: one of the two tells.
#[tokio::test]
async fn a_push_between_watch_and_look_is_not_missed() {
    let f = Fixture::new();
    let tx = f.begin();
    let watch = f.queue.watch_push(&tx).unwrap();
    f.push(["a"]).await;
    let is_empty = f.queue.is_empty(&tx).await.unwrap();
    tx.commit().await.unwrap();
    if is_empty {
        watch.await.unwrap();
    }
}

/// SPEC Q1: the same for a consumer that takes its watch from consume_k.
#[tokio::test]
async fn a_push_beside_an_empty_consume_wakes() {
    let f = Fixture::new();
    let tx = f.begin();
    let consumed = f.queue.consume_k(&tx, 10).await.unwrap();
    f.push(["a"]).await;
    tx.commit().await.unwrap();
    consumed.watch.unwrap().await.unwrap();
}

/// SPEC Q1.
#[tokio::test]
async fn a_queue_with_items_gives_no_watch() {
    let f = Fixture::new();
    f.push(["a"]).await;
    assert!(f.watch_if_empty().await.is_none());
}

/// SPEC Q1.
#[tokio::test]
async fn notify_wakes_without_an_item() {
    let f = Fixture::new();
    for _ in 0..2 {
        let mut watch = f.watch_if_empty().await.unwrap();
        assert!(!is_ready(&mut watch));
        f.notify().await;
        watch.await.unwrap();
        assert_eq!(f.len().await, 0);
    }
}

/// SPEC Q1: every one of them.
#[tokio::test]
async fn a_push_wakes_all_who_watch() {
    let f = Fixture::new();
    let (one, two) = (f.watch_if_empty().await, f.watch_if_empty().await);
    f.push(["a"]).await;
    one.unwrap().await.unwrap();
    two.unwrap().await.unwrap();
}

/// SPEC Q1: a pop is no reason to wake.
#[tokio::test]
async fn a_pop_wakes_nobody() {
    let f = Fixture::new();
    f.push(["a"]).await;
    let tx = f.begin();
    let mut watch = f.queue.watch_push(&tx).unwrap();
    tx.commit().await.unwrap();
    f.consume(1).await;
    assert!(!is_ready(&mut watch));
}

/// SPEC Q1: the key that is watched never comes back to an old value, not even by way of a delete.
#[tokio::test]
async fn a_deleted_and_refilled_queue_has_another_wake_value() {
    let f = Fixture::new();
    let wake = Fixture::subspace().pack(&"wake");
    let mut seen = Vec::new();
    for _ in 0..3 {
        f.push(["a"]).await;
        seen.push(f.begin().get(&wake).await.unwrap().unwrap());
        let tx = f.begin();
        f.queue.delete(&tx).unwrap();
        tx.commit().await.unwrap();
    }
    assert!(seen.is_sorted_by(|earlier, later| earlier < later));
    assert!(seen.iter().all(|value| value.len() == 10));
}

/// SPEC Q1.
#[tokio::test]
async fn a_delete_wakes_and_with_notify_always() {
    let f = Fixture::new();
    f.push(["a"]).await;
    f.consume(1).await;
    let watch = f.watch_if_empty().await.unwrap();
    let tx = f.begin();
    f.queue.delete(&tx).unwrap();
    tx.commit().await.unwrap();
    watch.await.unwrap();

    let watch = f.watch_if_empty().await.unwrap();
    let tx = f.begin();
    f.queue.delete(&tx).unwrap();
    f.queue.notify(&tx).unwrap();
    tx.commit().await.unwrap();
    watch.await.unwrap();
}

/// SPEC Q1, B4: waiting ends at a push, at once when there is something, and at the latest when it is
/// time to poll.
#[tokio::test]
async fn waiting_ends_at_a_push_or_a_poll() {
    let f = Fixture::new();
    let tenant = f.tenant();
    let day = Duration::from_secs(24 * 60 * 60);
    {
        let mut waiting = Box::pin(f.queue.wait_for_push(&tenant, day));
        assert!(!is_ready(&mut waiting));
        f.push(["a"]).await;
        waiting.await.unwrap();
    }
    f.queue.wait_for_push(&tenant, day).await.unwrap();
    f.consume(1).await;
    f.queue
        .wait_for_push(&tenant, Duration::ZERO)
        .await
        .unwrap();
}

/// SPEC B4: where there are too many watches, whether that is said at once or when one is awaited,
/// who waits polls, and nothing fails: an item is found soon, and an empty queue looked at until the
/// time is over.
#[tokio::test]
async fn without_a_watch_waiting_polls() {
    for refusal in [Refusal::AtOnce, Refusal::WhenAwaited] {
        let clock = MockClock::new(1);
        let db = crate::database(clock.env());
        let (db, watches) = few_watches(db, 0, refusal);
        let f = Fixture::on(db);
        let (tenant, day) = (f.tenant(), Duration::from_secs(24 * 60 * 60));
        let tx = f.begin();
        let consumed = f.queue.consume_k(&tx, 1).await.unwrap();
        tx.commit().await.unwrap();
        assert!(consumed.found_empty);
        assert_eq!(consumed.watch.is_none(), refusal == Refusal::AtOnce);
        if let Some(watch) = consumed.watch {
            assert!(matches!(watch.await, Err(Error::TooManyWatches { .. })));
        }
        {
            let mut waiting = Box::pin(f.queue.wait_for_push(&tenant, day));
            assert!(!is_ready(&mut waiting));
            f.push(["a"]).await;
            clock.advance(Duration::from_millis(20));
            waiting.await.unwrap();
        }
        f.consume(1).await;
        clock.set_auto_advance_max(Duration::from_secs(1));
        let begun = clock.elapsed();
        let minute = Duration::from_secs(60);
        f.queue.wait_for_push(&tenant, minute).await.unwrap();
        assert_eq!(clock.elapsed() - begun, minute);
        assert_eq!(watches.refused(), 3);
    }
}
