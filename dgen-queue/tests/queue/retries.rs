//! Commits whose answer is lost, and all else that a cluster does to a transaction.
//!
//! Each run follows from its seed, which a failure prints.

use std::{cell::RefCell, collections::VecDeque, time::Duration};

use bytes::Bytes;
use dgen_backend::{Database, Error as StoreError};
use dgen_queue::{Error, Item, Limits};
use dgen_testkit::{
    MockClock, Random,
    faults::{FaultCounts, Faults, FaultyBackend, Rates},
};

use super::fixture::{Fixture, bytes, pattern};

/// A queue on a store with faults. Backoffs take no time.
fn faulty(seed: u64, rates: Rates) -> (Fixture, Faults) {
    let clock = MockClock::new(seed).auto_advance_max(Duration::from_secs(1));
    let backend = FaultyBackend::new(crate::database(clock.env()), seed, rates);
    let faults = backend.faults();
    (Fixture::on(Database::new(backend)), faults)
}

impl Fixture {
    async fn transact_push(&self, items: &[Bytes]) {
        self.tenant()
            .transact(async |tx| self.queue.push_k(&tx, items))
            .await
            .unwrap();
    }

    async fn transact_consume(&self, limits: Limits) -> Vec<Item> {
        self.tenant()
            .transact(async |tx| Ok::<_, Error>(self.queue.consume_k(&tx, limits).await?.items))
            .await
            .unwrap()
    }
}

/// SPEC Q4: with every second answer lost, half of them of commits that happened.
#[tokio::test]
async fn a_push_retried_after_a_lost_answer_enters_once() {
    let mut total = FaultCounts::default();
    for seed in 0..60 {
        let rates = Rates {
            commit_unknown: 0.5,
            ..Rates::default()
        };
        let (f, faults) = faulty(seed, rates);
        let items = [Bytes::from("a"), pattern(250_000).into(), Bytes::from("b")];
        f.transact_push(&items).await;
        f.transact_push(&["c".into()]).await;
        faults.stop();
        total.unknown_applied += faults.counts().unknown_applied;
        total.unknown_not_applied += faults.counts().unknown_not_applied;

        assert_eq!(f.len().await, 4, "seed {seed}");
        let left = f.consume(10).await;
        assert!(left[..3] == items && left[3] == "c", "seed {seed}");
    }
    assert!(total.unknown_applied > 0 && total.unknown_not_applied > 0);
}

/// SPEC Q4: a push that arrives after its caller has gone on does not enter beside its retry.
#[tokio::test]
async fn a_push_that_arrives_late_enters_once() {
    let mut late = 0;
    for seed in 0..60 {
        let rates = Rates {
            commit_late: 0.5,
            ..Rates::default()
        };
        let (f, faults) = faulty(seed, rates);
        for number in 0..5 {
            f.transact_push(&[Bytes::from(number.to_string())]).await;
        }
        faults.stop();
        late += faults.counts().late;
        // What is late arrives within twenty turns.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(f.len().await, 5, "seed {seed}");
        assert_eq!(
            f.consume(10).await,
            ["0", "1", "2", "3", "4"],
            "seed {seed}"
        );
    }
    assert!(late > 0);
}

/// SPEC Q1, Q4: whatever fails, the queue does what was asked, once and in order.
#[tokio::test]
async fn faults_change_nothing() {
    for seed in 0..40 {
        let (f, faults) = faulty(seed, Rates::all(0.15));
        let mut random = Random::new(seed);
        let mut expected = VecDeque::new();
        let mut names = (0_u64..).map(|number| Bytes::from(number.to_string()));
        for _ in 0..20 {
            let count = random.below(4);
            if random.chance(0.6) {
                let items: Vec<_> = names.by_ref().take(count).collect();
                f.transact_push(&items).await;
                expected.extend(items);
            } else {
                let taken = f.transact_consume(Limits::items(count)).await;
                let count = count.min(expected.len());
                let wanted: Vec<_> = expected.drain(..count).collect();
                assert_eq!(bytes(&taken), wanted, "seed {seed}");
            }
        }
        faults.stop();
        assert_eq!(f.len().await, expected.len() as u64, "seed {seed}");
    }
}

/// SPEC Q1, Q2, Q4: producers and consumers at once, under every fault: each item is taken once, and
/// each consumer gets what it takes in the queue's order.
#[tokio::test]
async fn concurrent_producers_and_consumers_under_faults() {
    const BATCHES: usize = 12;
    const BATCH: usize = 3;
    for seed in 0..12 {
        let (f, faults) = faulty(seed, Rates::all(0.1));
        let taken_by: [RefCell<Vec<Item>>; 2] = [RefCell::default(), RefCell::default()];
        let taken_count = || -> usize { taken_by.iter().map(|taken| taken.borrow().len()).sum() };

        let produce = async |producer: usize| {
            for batch in 0..BATCHES {
                let items: Vec<_> = (0..BATCH)
                    .map(|at| Bytes::from(format!("{producer} {:03}", batch * BATCH + at)))
                    .collect();
                f.transact_push(&items).await;
            }
        };
        let consume = async |taken: &RefCell<Vec<Item>>, items_max: usize| {
            let total = 2 * BATCHES * BATCH;
            while taken_count() < total {
                let items = f.transact_consume(Limits::items(items_max)).await;
                taken.borrow_mut().extend(items);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(
            produce(0),
            produce(1),
            consume(&taken_by[0], 2),
            consume(&taken_by[1], 5),
        );
        faults.stop();
        assert_eq!(f.len().await, 0, "seed {seed}");

        let mut all = Vec::new();
        for taken in taken_by {
            let taken = taken.into_inner();
            assert!(
                taken.is_sorted_by(|left, right| left.stamp() < right.stamp()),
                "seed {seed}: {taken:?}"
            );
            all.extend(taken);
        }
        all.sort_by(|left, right| left.stamp().cmp(right.stamp()));
        for producer in ["0", "1"] {
            let numbers: Vec<_> = bytes(&all)
                .into_iter()
                .filter_map(|item| {
                    let text = String::from_utf8(item.to_vec()).unwrap();
                    let number = text.strip_prefix(producer)?.trim().parse::<usize>();
                    Some(number.unwrap())
                })
                .collect();
            let wanted: Vec<_> = (0..BATCHES * BATCH).collect();
            assert_eq!(numbers, wanted, "seed {seed}, producer {producer}");
        }
    }
}

/// SPEC Q1, B4: consumers that only ever wait for a push miss none, though watches resolve early and
/// transactions fail. The clock stands still, so no poll can help them.
#[tokio::test]
async fn who_waits_misses_no_push_under_faults() {
    for seed in 0..20 {
        let (f, _faults) = faulty(seed, Rates::all(0.1));
        let tenant = f.tenant();
        let produce = async {
            for number in 0..20 {
                f.transact_push(&[Bytes::from(number.to_string())]).await;
                for _ in 0..number % 4 {
                    tokio::task::yield_now().await;
                }
            }
        };
        let consume = async {
            let mut taken = Vec::new();
            while taken.len() < 20 {
                let hour = Duration::from_secs(3_600);
                f.queue.wait_for_push(&tenant, hour).await.unwrap();
                taken.extend(f.transact_consume(Limits::items(3)).await);
            }
            taken
        };
        let ((), taken) = tokio::join!(produce, consume);
        let wanted: Vec<_> = (0..20).map(|number| number.to_string()).collect();
        assert_eq!(bytes(&taken), wanted, "seed {seed}");
    }
}

/// SPEC Q1, B5: an error of the store inside [`Error`] is found by the retry loop.
#[tokio::test]
async fn errors_of_the_store_are_retried() {
    let error = Error::from(StoreError::Conflict);
    assert!(error.is_retryable() && !error.maybe_executed());
    assert!(matches!(
        StoreError::find(&error),
        Some(StoreError::Conflict)
    ));

    let f = Fixture::new();
    let attempts = f
        .tenant()
        .transact(async |tx| match tx.attempt().number {
            1 => Err(Error::from(StoreError::Conflict)),
            number => Ok(number),
        })
        .await
        .unwrap();
    assert_eq!(attempts, 2);
}
