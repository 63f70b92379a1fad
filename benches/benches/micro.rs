//! Micro-benchmarks of what every commit does: codec, queue, conflict check. On a store in memory, so that
//! nothing is flushed, and each on one thread.
//!
//! ```sh
//! cargo bench --package dgen-bench
//! ```

use std::ops::IndexMut;

use dgen_backend::{Database, Error, KeyRange, tuple::Subspace};
use dgen_codec::{List, Stored};
use dgen_queue::Queue;
use divan::{Bencher, counter::ItemsCount};
use futures_util::future::FutureExt;
use serde::Serialize;

const ITEM_SIZE_BYTES: usize = 100;

fn main() {
    divan::main();
}

/// What a store in memory does is done when it is first polled.
fn now<T>(future: impl Future<Output = T>) -> T {
    future
        .now_or_never()
        .expect("a store in memory does not wait")
}

fn store() -> Database {
    dgen_local::in_memory().expect("memory can be had")
}

/// The state of a server: items that have an id, so that each has keys of its own.
#[derive(Clone, Serialize)]
struct Shop<L> {
    orders: L,
}

#[derive(Clone, Serialize)]
struct Order {
    id: String,
    total: u64,
}

trait Orders: Clone + Default + Extend<Order> + IndexMut<usize, Output = Order> + Serialize {}

impl Orders for Vec<Order> {}
impl Orders for List<Order> {}

/// What a call does with a state: clones it, changes one field of one item, encodes it and finds what changed.
#[divan::bench(types = [Vec<Order>, List<Order>], args = [10, 1_000, 100_000])]
fn codec_one_field<L: Orders>(bencher: Bencher<'_, '_>, orders: usize) {
    // More is too much for one transaction.
    const ORDERS_AT_ONCE: usize = 10_000;
    let base = Subspace::from("shop");
    let db = store();
    let store = |shop: &Shop<L>, before: Option<&Stored>| {
        let tx = db.begin().expect("the store is open");
        now(dgen_codec::version(&tx, &base)).expect("the store is open");
        let written = dgen_codec::store(&tx, &base, before, shop);
        written.expect("it can be stored").stored
    };
    let mut shop = Shop {
        orders: L::default(),
    };
    let mut stored = store(&shop, None);
    for first in (0..orders).step_by(ORDERS_AT_ONCE) {
        let numbers = first..(first + ORDERS_AT_ONCE).min(orders);
        shop.orders.extend(numbers.map(|number| Order {
            id: format!("order-{number:08}"),
            total: 0,
        }));
        stored = store(&shop, Some(&stored));
    }
    let mut total = 0;
    bencher.bench_local(|| {
        total += 1;
        let mut changed = shop.clone();
        changed.orders[orders / 2].total = total;
        stored = store(&changed, Some(&stored));
        shop = changed;
    });
}

/// Pushes and pops so many items, in one transaction, with its commit.
#[divan::bench(args = [1, 64, 512])]
fn queue_push_and_pop(bencher: Bencher<'_, '_>, items: usize) {
    let queue = Queue::new(&Subspace::from("queue"));
    let db = store();
    let pushed = vec![vec![7; ITEM_SIZE_BYTES]; items];
    let turn = || -> Result<usize, dgen_queue::Error> {
        let tx = db.begin()?;
        let consumed = now(queue.consume_k(&tx, items))?;
        queue.push_k(&tx, &pushed)?;
        now(tx.commit())?;
        Ok(consumed.items.len())
    };
    turn().expect("nothing conflicts");
    bencher.counter(ItemsCount::new(items)).bench_local(|| {
        let popped = turn().expect("nothing conflicts");
        assert_eq!(popped, items);
    });
}

/// Commits a transaction that has read so many keys, and then a range, against what a thousand others
/// have written since it began.
// One at a time: a transaction that began long ago is refused.
#[divan::bench(args = [1, 10, 100], sample_size = 1, sample_count = 200)]
fn conflict_check(bencher: Bencher<'_, '_>, reads: usize) {
    const OTHERS: u64 = 1_000;
    let (mine, others) = (Subspace::from("mine"), Subspace::from("others"));
    let db = store();
    let transaction = || -> Result<_, Error> {
        let tx = db.begin()?;
        for key in 0..reads {
            now(tx.get(&mine.pack(&(key as u64))))?;
        }
        now(tx.collect_range(KeyRange::subspace(&mine)))?;
        Ok(tx)
    };
    bencher
        .with_inputs(|| {
            let tx = transaction().expect("the store is open");
            for key in 0..OTHERS {
                let other = db.begin().expect("the store is open");
                other
                    .set(&others.pack(&key), b"value")
                    .expect("it is small");
                now(other.commit()).expect("nothing conflicts");
            }
            tx.set(b"outcome", b"").expect("it is small");
            tx
        })
        .bench_local_values(|tx| now(tx.commit()).expect("nothing conflicts"));
}
