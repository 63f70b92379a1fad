//! One item found again by its place, and changed there.

use dgen_backend::{limits::VERSIONSTAMP_SIZE_BYTES, tuple::Versionstamp};
use dgen_queue::Item;

use crate::fixture::{Fixture, bytes, is_conflict};

const PLACE: &[u8] = b"place";

/// Pushes each item with [`dgen_queue::Queue::push`], and returns the places that their transaction
/// has stored in a value.
async fn push(f: &Fixture, items: &[&str]) -> Vec<Versionstamp> {
    let tx = f.begin();
    let stamps = items.iter().map(|item| f.queue.push(&tx, item).unwrap());
    let stamps: Vec<_> = stamps.collect();
    assert!(stamps.iter().all(|stamp| !stamp.is_complete()));
    tx.set_versionstamped_value(PLACE, &[0; VERSIONSTAMP_SIZE_BYTES + 4])
        .unwrap();
    tx.commit().await.unwrap();
    let stored = f.begin().get(PLACE).await.unwrap().unwrap();
    let commit = <[u8; VERSIONSTAMP_SIZE_BYTES]>::try_from(&stored[..]).unwrap();
    stamps
        .iter()
        .map(|stamp| Versionstamp::complete(commit, stamp.user_version()))
        .collect()
}

async fn find(f: &Fixture, place: &Versionstamp) -> Option<Item> {
    f.queue.find(&f.begin(), place).await.unwrap()
}

/// SPEC Q1, Q3: an item is found by its place, whatever its size, as long as it is in the queue.
#[tokio::test]
async fn an_item_is_found_by_its_place() {
    let f = Fixture::new();
    let large = "x".repeat(250_000);
    let places = push(&f, &["", "small", &large]).await;
    for (place, pushed) in places.iter().zip(["", "small", &large]) {
        let item = find(&f, place).await.unwrap();
        assert!(item.bytes() == pushed && item.stamp() == place);
        assert!(f.queue.holds(&f.begin(), place).await.unwrap());
    }
    assert_eq!(f.len().await, 3);
    f.consume(2).await;
    for (place, is_left) in places.iter().zip([false, false, true]) {
        assert_eq!(find(&f, place).await.is_some(), is_left);
        assert_eq!(f.queue.holds(&f.begin(), place).await.unwrap(), is_left);
    }
}

/// SPEC Q1, Q3: an item that is replaced keeps its place, whatever the two sizes, and leaves nothing
/// behind.
#[tokio::test]
async fn a_replaced_item_keeps_its_place() {
    let sizes = [0, 10, 100_000, 100_001, 350_000];
    for (old, new) in sizes.iter().flat_map(|old| sizes.map(|new| (*old, new))) {
        let f = Fixture::new();
        let (old, new) = ("o".repeat(old), "n".repeat(new));
        let places = push(&f, &["before", &old, "behind"]).await;
        let tx = f.begin();
        let item = f.queue.find(&tx, &places[1]).await.unwrap().unwrap();
        f.queue.replace(&tx, &item, new.as_bytes()).unwrap();
        tx.commit().await.unwrap();
        assert_eq!(f.len().await, 3);
        let found = find(&f, &places[1]).await.unwrap();
        assert_eq!(bytes(&[found]), [new.as_str()]);
        assert_eq!(f.consume(5).await, ["before", new.as_str(), "behind"]);
        assert_eq!(f.rows().await.len(), 3, "the counters, and who waits");
    }
}

/// SPEC Q2: who replaces an item and who pops it conflict, whichever is first: it is neither handled
/// as it was nor brought back. With others nobody conflicts.
#[tokio::test]
async fn replacing_conflicts_with_popping_that_item() {
    for (popped, is_replaced_first) in [(1, true), (1, false), (2, true), (2, false)] {
        let f = Fixture::new();
        let places = push(&f, &["other", "item"]).await;
        let (replace, pop) = (f.begin(), f.begin());
        let item = f.queue.find(&replace, &places[1]).await.unwrap().unwrap();
        f.queue.replace(&replace, &item, b"new").unwrap();
        f.queue.consume_k(&pop, popped).await.unwrap();
        let push_meanwhile = f.begin();
        f.queue.push(&push_meanwhile, "more").unwrap();
        let (first, second) = if is_replaced_first {
            (replace, pop)
        } else {
            (pop, replace)
        };
        first.commit().await.unwrap();
        push_meanwhile.commit().await.unwrap();
        let is_refused = is_conflict(&second.commit().await);
        assert_eq!(is_refused, popped == 2, "first: {is_replaced_first}");
    }
}
