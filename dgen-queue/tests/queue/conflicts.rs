//! Who conflicts with whom: two transactions that overlap, for every pair of operations.

use dgen_backend::{Error as StoreError, Transaction};
use dgen_queue::{Limits, Queue};

use crate::fixture::{Fixture, is_conflict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Push,
    /// Takes everything.
    Consume,
    /// Finds a queue empty, and writes something of its own.
    ConsumeBesideOwnWrite,
    Len,
    Peek,
    IsEmpty,
    Notify,
    Delete,
}

use Op::{Consume, ConsumeBesideOwnWrite, Delete, IsEmpty, Len, Notify, Peek, Push};

const ALL: [Op; 8] = [
    Push,
    Consume,
    ConsumeBesideOwnWrite,
    Len,
    Peek,
    IsEmpty,
    Notify,
    Delete,
];

async fn act(queue: &Queue, tx: &Transaction, op: Op) {
    match op {
        Push => queue.push_k(tx, ["pushed"]).unwrap(),
        Consume => drop(queue.consume_k(tx, 10).await.unwrap()),
        ConsumeBesideOwnWrite => {
            tx.set(b"own", b"").unwrap();
            let consumed = queue.consume_k(tx, 10).await.unwrap();
            assert!(consumed.watch.is_none());
        }
        Len => drop(queue.len(tx).await.unwrap()),
        Peek => drop(queue.peek(tx, 10).await.unwrap()),
        IsEmpty => drop(queue.is_empty(tx).await.unwrap()),
        Notify => queue.notify(tx).unwrap(),
        Delete => queue.delete(tx).unwrap(),
    }
}

/// Runs both against one snapshot and commits `first`, then `second`, which also writes a key of its
/// own so that its commit is judged.
async fn conflicts(pushed: &[&str], first: Op, second: Op) -> bool {
    let f = Fixture::new();
    f.push(pushed).await;
    let (one, two) = (f.begin(), f.begin());
    // Both snapshots are taken here.
    one.read_version().await.unwrap();
    two.read_version().await.unwrap();
    act(&f.queue, &one, first).await;
    act(&f.queue, &two, second).await;
    one.commit().await.unwrap();
    let result = if two.has_writes() || second == Consume {
        two.commit().await
    } else {
        two.set(b"own", b"").unwrap();
        two.commit().await
    };
    assert!(
        matches!(result, Ok(()) | Err(StoreError::Conflict)),
        "{first:?}, {second:?}: {result:?}"
    );
    is_conflict(&result)
}

/// SPEC Q2: of all pairs, only those in which the second takes an item that the first took away.
#[tokio::test]
async fn only_who_takes_a_taken_item_conflicts() {
    for first in ALL {
        for second in ALL {
            let takes = |op| matches!(op, Consume | ConsumeBesideOwnWrite);
            let expected = takes(second) && (takes(first) || first == Delete);
            assert_eq!(
                conflicts(&["a", "b"], first, second).await,
                expected,
                "{first:?}, then {second:?}, with items"
            );
            assert!(
                !conflicts(&[], first, second).await,
                "{first:?}, then {second:?}, of an empty queue"
            );
        }
    }
}

/// SPEC Q2: the same item, taken by two from different ends of their reads.
#[tokio::test]
async fn consumers_of_one_item_conflict() {
    let f = Fixture::new();
    f.push(["a", "b", "c"]).await;
    let (one, two) = (f.begin(), f.begin());
    let mut head = f.queue.head(&one, Limits::items(3)).await.unwrap();
    head.pop(2).unwrap();
    head.pop(1).unwrap();
    f.queue.consume_k(&two, 1).await.unwrap();
    two.commit().await.unwrap();
    assert!(is_conflict(&one.commit().await));
    assert_eq!(f.len().await, 2);
}

/// SPEC Q2: a chunked item is one item, whatever chunk a conflict is found in.
#[tokio::test]
async fn consumers_of_one_chunked_item_conflict() {
    let f = Fixture::new();
    f.push([vec![7; 300_000]]).await;
    let (one, two) = (f.begin(), f.begin());
    f.queue.consume_k(&one, 1).await.unwrap();
    f.queue.consume_k(&two, 1).await.unwrap();
    one.commit().await.unwrap();
    assert!(is_conflict(&two.commit().await));
    assert_eq!(f.len().await, 0);
}

/// SPEC Q2: a head that was read and not popped conflicts with nothing.
#[tokio::test]
async fn a_head_that_is_only_read_never_conflicts() {
    let f = Fixture::new();
    f.push(["a", "b"]).await;
    let reader = f.begin();
    let mut head = f.queue.head(&reader, Limits::default()).await.unwrap();
    reader.set(b"own", b"").unwrap();
    head.pop(0).unwrap();
    f.consume(2).await;
    f.push(["c"]).await;
    reader.commit().await.unwrap();
}

/// SPEC Q2: who takes the first item does not conflict with what happens behind it.
#[tokio::test]
async fn a_consumer_conflicts_on_nothing_behind_what_it_takes() {
    let f = Fixture::new();
    f.push(["a", "b"]).await;
    let tx = f.begin();
    let mut head = f.queue.head(&tx, Limits::default()).await.unwrap();
    head.pop(1).unwrap();
    let behind = head.items()[0].stamp().clone();
    let key = Fixture::subspace().subspace(&"i").pack(&(behind,));
    f.clear(&key).await;
    f.push(["c"]).await;
    tx.commit().await.unwrap();
}

/// SPEC Q2, HOUSE decision 2: length never makes its transaction conflict.
#[tokio::test]
async fn length_never_conflicts() {
    let f = Fixture::new();
    f.push(["a"]).await;
    let tx = f.begin();
    assert_eq!(f.queue.len(&tx).await.unwrap(), 1);
    f.push(["b"]).await;
    f.consume(2).await;
    tx.set(b"own", b"").unwrap();
    tx.commit().await.unwrap();
}

/// SPEC Q2: pushes and notifications that are counted, in one place for several queues, conflict with
/// nothing, whoever reads the count; pops and other queues of the name count nothing.
#[tokio::test]
async fn counted_pushes_never_conflict() {
    let f = Fixture::new();
    let counted = f.queue.clone().counted_at(b"count");
    let count = async || f.begin().get(b"count").await.unwrap();
    let transactions: Vec<_> = (0..5).map(|_| f.begin()).collect();
    for tx in &transactions {
        tx.snapshot().get(b"count").await.unwrap();
        counted.push_k(tx, ["a", "b"]).unwrap();
    }
    for tx in &transactions {
        tx.commit().await.unwrap();
    }
    assert_eq!(count().await.unwrap(), 5_i64.to_le_bytes()[..]);
    let tx = f.begin();
    counted.notify(&tx).unwrap();
    counted.push(&tx, "c").unwrap();
    tx.commit().await.unwrap();
    f.push(["not counted"]).await;
    assert_eq!(f.consume(12).await.len(), 12);
    assert_eq!(count().await.unwrap(), 7_i64.to_le_bytes()[..]);
    let tx = f.begin();
    counted.delete(&tx).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count().await.unwrap(), 7_i64.to_le_bytes()[..]);
}
