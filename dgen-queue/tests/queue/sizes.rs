//! Items of every size.

use dgen_backend::{Error as StoreError, env::Env};
use dgen_queue::Limits;
use dgen_testkit::counting::counted;

use crate::fixture::{Fixture, bytes, pattern};

/// SPEC Q3.
#[tokio::test]
async fn items_of_every_size_are_read_back() {
    let f = Fixture::new();
    let sizes = [
        0, 1, 99_999, 100_000, 100_001, 199_999, 200_000, 200_001, 1_000_000, 0,
    ];
    let items: Vec<_> = sizes.into_iter().map(pattern).collect();
    f.push(&items).await;
    let limits = Limits::default().size_max_bytes(usize::MAX);
    let tx = f.begin();
    let consumed = f.queue.consume_k(&tx, limits).await.unwrap();
    tx.commit().await.unwrap();
    assert!(bytes(&consumed.items) == items);
    assert_eq!(f.rows().await.len(), 3);
}

/// SPEC Q3: one by one, so that reads end in the middle of items.
#[tokio::test]
async fn a_read_that_ends_inside_an_item_finishes_it() {
    let f = Fixture::new();
    let items: Vec<_> = [100_001, 5, 350_000, 700_000, 0, 250_000]
        .into_iter()
        .map(pattern)
        .collect();
    f.push(&items).await;
    for items_max in 1..=items.len() {
        let limits = Limits::items(items_max).size_max_bytes(usize::MAX);
        let head = f.queue.head(&f.begin(), limits).await.unwrap();
        assert!(bytes(head.items()) == items[..items_max]);
        // A limit ended the read, and a limit does not know what is behind it.
        assert!(head.may_have_more());
    }
    for item in items {
        assert!(f.consume(1).await == [item]);
    }
}

/// SPEC Q3: a chunked item that is over the budget of bytes waits for its turn, then comes whole.
#[tokio::test]
async fn a_chunked_item_over_the_byte_limit_comes_alone() {
    let f = Fixture::new();
    f.push([pattern(10), pattern(500_000), pattern(20)]).await;
    let limits = Limits::default().size_max_bytes(1_000);
    for size_bytes in [10, 500_000, 20] {
        let tx = f.begin();
        let consumed = f.queue.consume_k(&tx, limits).await.unwrap();
        tx.commit().await.unwrap();
        assert!(bytes(&consumed.items) == [pattern(size_bytes)]);
    }
}

/// SPEC Q3: up to the transaction limit of 10,000,000 bytes, less what the keys take.
#[tokio::test]
async fn an_item_near_the_transaction_limit_works() {
    let f = Fixture::new();
    let item = pattern(9_960_000);
    f.push([&item]).await;
    assert!(f.consume(1).await == [item]);
}

/// SPEC Q3: over the limit is a clear error, and nothing enters even if the error is ignored.
#[tokio::test]
async fn an_item_over_the_transaction_limit_enters_not_at_all() {
    let f = Fixture::new();
    let tx = f.begin();
    let error = f
        .queue
        .push_k(&tx, [pattern(10), pattern(10_000_001)])
        .unwrap_err();
    assert!(
        matches!(error, StoreError::TransactionTooLarge { .. }),
        "{error}"
    );
    assert!(matches!(
        tx.commit().await,
        Err(StoreError::TransactionTooLarge { .. })
    ));
    assert!(f.rows().await.is_empty());
}

/// SPEC L4: the head costs the rows that are taken, and the length none, in a queue of ten thousand
/// as in one that thousands have left.
#[tokio::test]
async fn the_head_of_a_long_queue_is_read_alone() {
    let (db, counts) = counted(crate::database(Env::system()));
    let f = Fixture::on(db);
    for _ in 0..20 {
        f.push(vec![b"item"; 500]).await;
    }
    let mut left = 10_000;
    for items_max in [1, 99, 100, 101, 1_000, 8_000, 1] {
        let before = counts.rows_read();
        assert_eq!(f.consume(items_max).await.len(), items_max);
        left -= items_max as u64;
        assert_eq!(f.len().await, left);
        assert_eq!(counts.rows_read() - before, items_max as u64);
    }
}
