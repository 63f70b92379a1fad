//! Order, atomicity, length, peek, limits and what is left behind.

use std::collections::VecDeque;

use bytes::Bytes;
use dgen_backend::{Error as StoreError, Transaction, tuple::Versionstamp};
use dgen_queue::{Limits, Queue};
use proptest::prelude::*;

use crate::fixture::{Fixture, bytes, is_conflict};

/// SPEC Q1: the order is that of the commits, not of the calls.
#[tokio::test]
async fn items_leave_in_commit_order_then_call_order() {
    let f = Fixture::new();
    let (first, second) = (f.begin(), f.begin());
    f.queue.push_k(&first, ["a1"]).unwrap();
    f.queue.push_k(&second, ["b1", "b2"]).unwrap();
    f.queue.push_k(&first, ["a2", "a3"]).unwrap();
    second.commit().await.unwrap();
    first.commit().await.unwrap();

    assert_eq!(f.consume(10).await, ["b1", "b2", "a1", "a2", "a3"]);
}

/// SPEC Q1.
#[tokio::test]
async fn a_cancelled_push_leaves_nothing() {
    let f = Fixture::new();
    let tx = f.begin();
    f.queue.push_k(&tx, ["a", "b"]).unwrap();
    tx.cancel();
    assert!(f.rows().await.is_empty());
}

/// SPEC Q1: a push of more items than a transaction can order pushes none of them.
#[tokio::test]
async fn too_many_items_push_none() {
    let f = Fixture::new();
    let tx = f.begin();
    let error = f.queue.push_k(&tx, vec![b""; 65_537]).unwrap_err();
    assert!(matches!(error, StoreError::TooManyVersionstamps), "{error}");
    assert!(!tx.has_writes());
    assert_eq!(f.len().await, 0);
}

/// SPEC Q1: the largest number of items in one transaction keeps its order.
#[tokio::test]
async fn items_up_to_the_last_versionstamp_keep_their_order() {
    let f = Fixture::new();
    let tx = f.begin();
    // All but the last few places are taken by someone else.
    for _ in 0..65_533 {
        tx.next_user_version().unwrap();
    }
    f.queue.push_k(&tx, ["a", "b", "c"]).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(f.consume(10).await, ["a", "b", "c"]);
}

/// SPEC Q1.
#[tokio::test]
async fn a_push_of_nothing_writes_nothing() {
    let f = Fixture::new();
    let tx = f.begin();
    f.queue.push_k(&tx, [""; 0]).unwrap();
    assert!(!tx.has_writes());
}

/// SPEC Q1: what is not popped stays, in its order.
#[tokio::test]
async fn a_head_is_popped_in_parts() {
    let f = Fixture::new();
    f.push(["a", "b", "c", "d"]).await;

    let tx = f.begin();
    let mut head = f.queue.head(&tx, Limits::items(3)).await.unwrap();
    assert!(head.may_have_more());
    assert_eq!(bytes(&head.pop(1).unwrap()), ["a"]);
    assert_eq!(bytes(&head.pop(1).unwrap()), ["b"]);
    assert_eq!(bytes(&head.pop(0).unwrap()), [""; 0]);
    assert_eq!(bytes(head.items()), ["c"]);
    tx.commit().await.unwrap();

    assert_eq!(f.len().await, 2);
    assert_eq!(f.consume(10).await, ["c", "d"]);
}

/// SPEC Q1.
#[tokio::test]
async fn a_head_knows_whether_it_is_the_whole_queue() {
    let f = Fixture::new();
    let empty = f.queue.head(&f.begin(), Limits::default()).await.unwrap();
    assert!(empty.found_empty() && !empty.may_have_more());

    let nothing = f.queue.head(&f.begin(), Limits::items(0)).await.unwrap();
    assert!(!nothing.found_empty() && nothing.items().is_empty());

    f.push(["a", "b"]).await;
    let tx = f.begin();
    let mut whole = f.queue.head(&tx, Limits::items(3)).await.unwrap();
    assert!(!whole.found_empty() && !whole.may_have_more());
    whole.pop(usize::MAX).unwrap();
    // Its own pops are seen by later reads of the same transaction.
    assert!(f.queue.is_empty(&tx).await.unwrap());
    assert_eq!(f.queue.len(&tx).await.unwrap(), 0);
}

/// SPEC Q1: the budget of bytes ends a read before the item that would pass it, but never before
/// the first.
#[tokio::test]
async fn a_byte_limit_takes_what_fits_and_always_one() {
    let f = Fixture::new();
    f.push(["aaa", "bb", "c", "dddd"]).await;
    let taken = async |size_max_bytes| {
        let limits = Limits::default().size_max_bytes(size_max_bytes);
        f.queue.peek(&f.begin(), limits).await.unwrap().len()
    };
    assert_eq!(taken(0).await, 1);
    assert_eq!(taken(4).await, 1);
    assert_eq!(taken(5).await, 2);
    assert_eq!(taken(6).await, 3);
    assert_eq!(taken(100).await, 4);
}

/// SPEC Q1.
#[tokio::test]
async fn peek_leaves_everything() {
    let f = Fixture::new();
    f.push(["a", "b"]).await;
    let tx = f.begin();
    let items = f.queue.peek(&tx, 1).await.unwrap();
    assert_eq!(bytes(&items), ["a"]);
    assert!(!tx.has_writes());
    assert_eq!(f.consume(10).await, ["a", "b"]);
}

/// SPEC Q1: stamps tell items apart and order them.
#[tokio::test]
async fn stamps_are_in_queue_order() {
    let f = Fixture::new();
    f.push(["a", "b"]).await;
    f.push(["c"]).await;
    let items = f.queue.peek(&f.begin(), 10).await.unwrap();
    assert!(items.is_sorted_by(|left, right| left.stamp() < right.stamp()));
    assert_eq!(items[1].stamp().user_version(), 1);
}

/// SPEC L4: a queue that was emptied keeps three small keys and no trace of its items.
#[tokio::test]
async fn an_emptied_queue_is_three_keys() {
    let f = Fixture::new();
    f.push(vec![vec![7; 250_000], vec![]]).await;
    f.push(["x"]).await;
    f.consume(10).await;
    let subspace = Fixture::subspace();
    let keys: Vec<_> = f.rows().await.into_iter().map(|row| row.key).collect();
    assert_eq!(
        keys,
        ["popped", "pushed", "wake"].map(|name| subspace.pack(&name))
    );
}

/// SPEC Q1.
#[tokio::test]
async fn delete_removes_every_key_and_nothing_else() {
    let f = Fixture::new();
    f.push(vec![vec![7; 250_000], vec![]]).await;
    f.consume(1).await;
    // A sibling whose name begins with the queue's.
    let sibling = Queue::new(&dgen_backend::tuple::Subspace::from(("tenant", "queue2")));
    let tx = f.begin();
    sibling.push_k(&tx, ["sibling"]).unwrap();
    tx.commit().await.unwrap();

    let tx = f.begin();
    f.queue.delete(&tx).unwrap();
    tx.commit().await.unwrap();
    assert!(f.rows().await.is_empty());
    assert_eq!(f.len().await, 0);
    assert_eq!(sibling.len(&f.begin()).await.unwrap(), 1);

    f.push(["new"]).await;
    assert_eq!(f.consume(10).await, ["new"]);
}

/// SPEC Q1: what a transaction pushes has no place before its commit.
#[tokio::test]
async fn a_read_that_meets_its_own_push_is_an_error() {
    let f = Fixture::new();
    let tx = f.begin();
    f.queue.push_k(&tx, ["a"]).unwrap();
    let error = f.queue.head(&tx, Limits::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            dgen_queue::Error::Store(StoreError::Unreadable { .. })
        ),
        "{error}"
    );
}

/// SPEC F3: a read is issued when it is asked for, not when it is awaited: it does not see what its
/// transaction writes in between.
#[tokio::test]
async fn reads_are_under_way_before_they_are_awaited() {
    let f = Fixture::new();
    f.push(["a", "b"]).await;
    let tx = f.begin();
    let head = f.queue.head(&tx, Limits::default());
    let len = f.queue.len(&tx);
    let is_empty = f.queue.is_empty(&tx);
    f.queue.delete(&tx).unwrap();
    assert_eq!(bytes(head.await.unwrap().items()), ["a", "b"]);
    assert_eq!(len.await.unwrap(), 2);
    assert!(!is_empty.await.unwrap());
    assert!(f.queue.is_empty(&tx).await.unwrap());
}

/// SPEC S12: public futures can be spawned.
#[test]
fn futures_are_send() {
    fn check<T: Send>(_: &T) {}
    let f = Fixture::new();
    let (tx, tenant) = (f.begin(), f.tenant());
    check(&f.queue.head(&tx, Limits::default()));
    check(&f.queue.consume_k(&tx, 1));
    check(&f.queue.peek(&tx, 1));
    check(&f.queue.len(&tx));
    check(&f.queue.is_empty(&tx));
    check(&f.queue.watch_if_empty(&tx));
    check(&f.queue.find(&tx, &Versionstamp::incomplete(0)));
    check(&f.queue.wait_for_push(&tenant, std::time::Duration::ZERO));
}

/// One step of a random run.
#[derive(Debug, Clone)]
enum Step {
    /// Pushes in the producer's open transaction, which is begun if there is none.
    Push {
        producer: usize,
        sizes: Vec<usize>,
    },
    Commit {
        producer: usize,
    },
    Cancel {
        producer: usize,
    },
    Consume {
        limits: Limits,
    },
    /// Reads more than it pops.
    PopSome {
        limits: Limits,
        count: usize,
    },
    /// Pops, and gives up.
    Abandon {
        limits: Limits,
    },
    Notify,
    Delete,
}

const PRODUCERS: usize = 3;

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![
        20 => 4_usize..40,
        1 => 99_998_usize..100_003,
        1 => 199_998_usize..200_003,
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let size_max_bytes = prop_oneof![0_usize..100, 90_000_usize..300_000];
    (1_usize..12, size_max_bytes)
        .prop_map(|(items, bytes)| Limits::items(items).size_max_bytes(bytes))
}

fn step() -> impl Strategy<Value = Step> {
    let producer = 0..PRODUCERS;
    prop_oneof![
        6 => (producer.clone(), prop::collection::vec(size(), 0..5))
            .prop_map(|(producer, sizes)| Step::Push { producer, sizes }),
        4 => producer.clone().prop_map(|producer| Step::Commit { producer }),
        1 => producer.prop_map(|producer| Step::Cancel { producer }),
        3 => limits().prop_map(|limits| Step::Consume { limits }),
        2 => (limits(), 0_usize..5).prop_map(|(limits, count)| Step::PopSome { limits, count }),
        1 => limits().prop_map(|limits| Step::Abandon { limits }),
        1 => Just(Step::Notify),
        1 => Just(Step::Delete),
    ]
}

/// The queue as it should be, and what producers have not committed.
#[derive(Default)]
struct Model {
    committed: VecDeque<Bytes>,
    open: [Option<(Transaction, Vec<Bytes>)>; PRODUCERS],
    pushed: u32,
}

impl Model {
    /// An item that no other equals.
    fn item(&mut self, size_bytes: usize) -> Bytes {
        self.pushed += 1;
        let mut item = self.pushed.to_be_bytes().to_vec();
        item.resize(size_bytes, self.pushed as u8);
        item.into()
    }

    /// The items that `limits` let through.
    fn head(&self, limits: Limits) -> Vec<Bytes> {
        let mut size_bytes = 0;
        let fitting = self.committed.iter().enumerate().take_while(|(at, item)| {
            size_bytes += item.len();
            *at == 0 || size_bytes <= limits.size_max_bytes
        });
        fitting
            .take(limits.items_max)
            .map(|(_, item)| item.clone())
            .collect()
    }
}

async fn run(f: &Fixture, model: &mut Model, step: Step) {
    match step {
        Step::Push { producer, sizes } => {
            let items: Vec<_> = sizes.into_iter().map(|size| model.item(size)).collect();
            let (tx, pushed) = model.open[producer].get_or_insert_with(|| (f.begin(), Vec::new()));
            f.queue.push_k(tx, &items).unwrap();
            pushed.extend(items);
        }
        Step::Commit { producer } => {
            if let Some((tx, pushed)) = model.open[producer].take() {
                tx.commit().await.unwrap();
                model.committed.extend(pushed);
            }
        }
        Step::Cancel { producer } => model.open[producer] = None,
        Step::Consume { limits } => {
            let tx = f.begin();
            let consumed = f.queue.consume_k(&tx, limits).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(bytes(&consumed.items), model.head(limits));
            assert_eq!(consumed.found_empty, model.committed.is_empty());
            assert_eq!(consumed.watch.is_some(), model.committed.is_empty());
            model.committed.drain(..consumed.items.len());
        }
        Step::PopSome { limits, count } => {
            let tx = f.begin();
            let mut head = f.queue.head(&tx, limits).await.unwrap();
            assert_eq!(bytes(head.items()), model.head(limits));
            if !head.may_have_more() {
                assert_eq!(head.items().len(), model.committed.len());
            }
            let popped = head.pop(count).unwrap();
            tx.commit().await.unwrap();
            model.committed.drain(..popped.len());
        }
        Step::Abandon { limits } => {
            let tx = f.begin();
            f.queue.consume_k(&tx, limits).await.unwrap();
            tx.cancel();
        }
        Step::Notify => {
            let tx = f.begin();
            f.queue.notify(&tx).unwrap();
            tx.commit().await.unwrap();
        }
        Step::Delete => {
            let tx = f.begin();
            f.queue.delete(&tx).unwrap();
            tx.commit().await.unwrap();
            model.committed.clear();
        }
    }
    assert_eq!(f.len().await, model.committed.len() as u64);
    assert_eq!(
        f.queue.is_empty(&f.begin()).await.unwrap(),
        model.committed.is_empty()
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// SPEC Q1, Q3: producers whose transactions overlap, and consumers with any limits, see the same
    /// as a plain queue to which commits append.
    #[test]
    fn a_queue_behaves_as_a_deque(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let f = Fixture::new();
            let mut model = Model::default();
            for step in steps {
                run(&f, &mut model, step).await;
            }
        });
    }
}

/// SPEC Q1, Q2: consumers that race take every item once, each of them in order, and together all of
/// them.
#[tokio::test]
async fn racing_consumers_take_each_item_once() {
    let f = Fixture::new();
    let all: Vec<Bytes> = (0..200_u32)
        .map(|number| Bytes::copy_from_slice(&number.to_be_bytes()))
        .collect();
    f.push(&all).await;

    let mut taken = Vec::new();
    let mut conflicts = 0;
    while !f.queue.is_empty(&f.begin()).await.unwrap() {
        let (left, right) = (f.begin(), f.begin());
        let from_left = f.queue.consume_k(&left, 7).await.unwrap();
        let from_right = f.queue.consume_k(&right, 3).await.unwrap();
        right.commit().await.unwrap();
        taken.extend(bytes(&from_right.items));
        let result = left.commit().await;
        assert!(is_conflict(&result), "both took {:?}", from_left.items);
        conflicts += 1;
    }
    assert_eq!(taken, all);
    assert_eq!(conflicts, 67);
}
