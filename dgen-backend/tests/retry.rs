//! The retry loop: what it counts, how it waits, when it gives up, and what it says then.

use std::{cell::RefCell, time::Duration};

use dgen_backend::{
    Database, Error, KeyRange, Read, Tenant, TransactOptions,
    backend::{Backend, BackendTransaction},
    env::Env,
    tuple::Subspace,
};
use dgen_testkit::{
    Forward, Intercept, Intercepted, MockClock,
    faults::{Faults, FaultyBackend, Rates},
    model,
};

const BACKOFF_MAX: Duration = Duration::from_millis(500);

fn faulty(seed: u64, rates: Rates) -> (Database, Faults) {
    let clock = MockClock::new(seed).auto_advance_max(BACKOFF_MAX);
    let backend = FaultyBackend::new(model::in_memory_in(clock.env()), seed, rates);
    let faults = backend.faults();
    (Database::new(backend), faults)
}

fn always_unknown() -> Rates {
    Rates {
        commit_unknown: 1.0,
        ..Rates::default()
    }
}

/// SPEC B5: the loop gives up before its deadline passes, and says how often it tried and why.
#[tokio::test]
async fn deadline_ends_a_loop_of_conflicts() {
    let clock = MockClock::new(1).auto_advance_max(BACKOFF_MAX);
    let db = model::in_memory_in(clock.env());
    let result: Result<(), Error> = db.transact(async |_tx| Err(Error::Conflict)).await;
    match result {
        Err(Error::DeadlineExceeded {
            after,
            attempts,
            last: Some(last),
            maybe_executed: false,
        }) => {
            assert!(after <= Duration::from_secs(30) && after == clock.elapsed());
            assert!(after > Duration::from_secs(29), "{after:?}");
            // With half of 500 milliseconds on average, and a short start.
            assert!((60..400).contains(&attempts), "{attempts}");
            assert!(matches!(*last, Error::Conflict));
        }
        other => panic!("{other:?}"),
    }
}

/// SPEC B5: the wait is random, doubles, and is bounded.
#[tokio::test]
async fn backoff_doubles_to_its_bound() {
    let mut longest = [Duration::ZERO; 14];
    for seed in 0..50 {
        let clock = MockClock::new(seed).auto_advance_max(BACKOFF_MAX);
        let db = model::in_memory_in(clock.env());
        let begun = RefCell::new(Vec::new());
        let options = TransactOptions::default().attempts_max(15);
        let result: Result<(), Error> = db
            .transact_with(&options, async |_tx| {
                begun.borrow_mut().push(clock.elapsed());
                Err(Error::Conflict)
            })
            .await;
        assert!(result.is_err());
        let begun = begun.into_inner();
        assert_eq!(begun.len(), 15);
        for (longest, pair) in longest.iter_mut().zip(begun.windows(2)) {
            *longest = (*longest).max(pair[1] - pair[0]);
        }
    }
    for (doublings, longest) in longest.into_iter().enumerate() {
        let bound = BACKOFF_MAX.min(Duration::from_millis(1 << doublings));
        assert!(longest <= bound, "{longest:?} over {bound:?}");
        assert!(
            longest >= bound / 2,
            "{longest:?} of 50 is far under {bound:?}"
        );
    }
}

/// SPEC B5: an attempt knows that the one before was too old, and no other.
#[tokio::test]
async fn an_attempt_behind_one_that_was_too_old_knows() {
    let clock = MockClock::new(1).auto_advance_max(BACKOFF_MAX);
    let db = model::in_memory_in(clock.env());
    let known = RefCell::new(Vec::new());
    let result: Result<(), Error> = db
        .transact(async |tx| {
            known.borrow_mut().push(tx.attempt().is_too_old);
            match tx.attempt().number {
                1 => Err(Error::Conflict),
                2 | 3 => Err(Error::TransactionTooOld),
                4 => Err(Error::Conflict),
                _ => Ok(()),
            }
        })
        .await;
    assert!(result.is_ok());
    assert_eq!(known.into_inner(), [false, false, true, true, false]);
}

/// SPEC B5: one attempt allowed is one attempt made, and no wait.
#[tokio::test]
async fn one_attempt_waits_for_nothing() {
    let clock = MockClock::new(1);
    let db = model::in_memory_in(clock.env());
    let options = TransactOptions::default().attempts_max(1);
    let result: Result<(), Error> = db
        .transact_with(&options, async |_tx| Err(Error::Conflict))
        .await;
    assert!(matches!(
        result,
        Err(Error::DeadlineExceeded { attempts: 1, .. })
    ));
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

/// SPEC B5: a deadline that passes while the commit is under way says that it may have happened.
#[tokio::test]
async fn deadline_during_the_commit_says_maybe_executed() {
    for has_writes in [true, false] {
        let clock = MockClock::new(1);
        let db = Database::new(Stuck {
            db: model::in_memory_in(clock.env()),
        });
        let work = db.transact(async |tx| {
            if has_writes {
                tx.set(b"key", b"value")?;
            }
            Ok::<_, Error>(())
        });
        let mover = async {
            clock.until_sleepers(1).await;
            clock.advance(Duration::from_secs(30));
        };
        let (result, ()) = tokio::join!(work, mover);
        let error = result.expect_err("the commit never ends");
        assert!(matches!(error, Error::DeadlineExceeded { .. }), "{error:?}");
        assert_eq!(error.maybe_executed(), has_writes);
    }
}

/// SPEC B5: an error of the store after a commit with unknown outcome says that it may have
/// happened, with that error inside.
#[tokio::test]
async fn error_after_an_unknown_commit_says_maybe_executed() {
    let (db, _faults) = faulty(1, always_unknown());
    let result = db
        .transact(async |tx| {
            if tx.attempt().number == 2 {
                tx.set(b"key", &[0; 100_001])?;
            }
            tx.set(b"key", b"value")
        })
        .await;
    match result {
        Err(Error::OutcomeUnknown { last }) => {
            assert!(matches!(*last, Error::ValueTooLarge { .. }));
            assert!(Error::OutcomeUnknown { last }.maybe_executed());
        }
        other => panic!("{other:?}"),
    }
}

/// SPEC B5: a loop that ends with an unknown commit says so.
#[tokio::test]
async fn loop_that_ends_with_an_unknown_commit_says_so() {
    let (db, _faults) = faulty(1, always_unknown());
    let tenant = Tenant::new(db, Subspace::from("tenant"));
    let options = TransactOptions::default().attempts_max(1);
    let key = tenant.subspace().pack(&"key");
    let error = tenant
        .transact_with(&options, async |tx| tx.set(&key, b"value"))
        .await
        .expect_err("one attempt does not tell");
    assert!(error.maybe_executed());
}

/// SPEC B5: a tenant's transaction returns what the attempt computed that was committed, and runs no
/// more once it knows.
#[tokio::test]
async fn tenant_returns_the_value_of_the_attempt_that_was_committed() {
    let mut first_attempts = 0;
    for seed in 0..20 {
        let (db, faults) = faulty(seed, always_unknown());
        let tenant = Tenant::new(db, Subspace::from("tenant"));
        let key = tenant.subspace().pack(&"key");
        let runs = RefCell::new(0_u32);
        let value = tenant
            .transact(async |tx| {
                *runs.borrow_mut() += 1;
                if tx.attempt().number > 1 {
                    faults.stop();
                }
                let number = tx.attempt().number;
                tx.set(&key, &number.to_le_bytes())?;
                Ok::<_, Error>(number)
            })
            .await
            .unwrap();
        let stored = tenant.database().begin().unwrap().get(&key).await.unwrap();
        assert_eq!(stored.as_deref(), Some(&value.to_le_bytes()[..]));
        assert_eq!(*runs.borrow(), value, "it ran no more than it had to");
        first_attempts += u32::from(value == 1);
    }
    assert!((1..20).contains(&first_attempts), "{first_attempts}");
}

/// SPEC B5: markers take no more keys than there were operations at once.
#[tokio::test]
async fn operations_one_after_another_share_a_marker() {
    let (db, _faults) = faulty(1, Rates::default());
    let tenant = Tenant::new(db, Subspace::from("tenant"));
    assert_eq!(markers_after_writes(&tenant, 50).await, 1);
}

/// SPEC B5: a store that loses no answers gets no markers.
#[tokio::test]
async fn store_that_loses_no_answers_has_no_markers() {
    let tenant = Tenant::new(model::in_memory(), Subspace::from("tenant"));
    assert_eq!(markers_after_writes(&tenant, 5).await, 0);
}

/// SPEC B5: a transaction that only reads leaves no marker.
#[tokio::test]
async fn reading_leaves_no_marker() {
    let (db, _faults) = faulty(1, Rates::default());
    let tenant = Tenant::new(db, Subspace::from("tenant"));
    let key = tenant.subspace().pack(&"key");
    tenant
        .transact(async |tx| tx.get(&key).await)
        .await
        .unwrap();
    assert_eq!(markers_after_writes(&tenant, 0).await, 0);
}

/// SPEC B5: an operation whose outcome stays unknown keeps its marker's slot from all others, until
/// no attempt of it can arrive any more.
#[tokio::test]
async fn slot_of_an_unknown_outcome_rests() {
    let clock = MockClock::new(1).auto_advance_max(BACKOFF_MAX);
    let rates = always_unknown();
    let backend = FaultyBackend::new(model::in_memory_in(clock.env()), 1, rates);
    let faults = backend.faults();
    let tenant = Tenant::new(Database::new(backend), Subspace::from("tenant"));
    let key = tenant.subspace().pack(&"key");
    let options = TransactOptions::default().attempts_max(1);
    for _ in 0..8 {
        let result = tenant
            .transact_with(&options, async |tx| tx.add(&key, 1))
            .await;
        assert!(result.is_err());
    }
    faults.stop();
    let applied = usize::try_from(faults.counts().unknown_applied).unwrap();
    assert_eq!(markers_after_writes(&tenant, 3).await, applied + 1);
    clock.advance(Duration::from_secs(61));
    let writes = (0..8).map(|_| tenant.transact(async |tx| tx.add(&key, 1)));
    for write in futures_util::future::join_all(writes).await {
        write.expect("no fault is injected any more");
    }
    assert!(
        markers_after_writes(&tenant, 0).await <= 9,
        "they are used again"
    );
}

/// SPEC B5: what a process that is gone has left is cleared a day later, and nothing else.
#[tokio::test]
async fn markers_of_dead_processes_are_cleared() {
    let clock = MockClock::new(1).auto_advance_max(BACKOFF_MAX);
    let store = model::in_memory_in(clock.env());
    let process = || Database::new(FaultyBackend::new(store.clone(), 1, Rates::default()));
    let dead = Tenant::open(&process(), "tenant").await.unwrap();
    assert_eq!(markers_after_writes(&dead, 1).await, 1);
    let other = Tenant::open(&process(), "tenant").await.unwrap();
    assert_eq!(markers_after_writes(&other, 1).await, 2);
    clock.advance(Duration::from_secs(23 * 60 * 60));
    assert_eq!(markers_after_writes(&other, 1).await, 2);
    clock.advance(Duration::from_secs(2 * 60 * 60));
    let opened = Tenant::open(&process(), "tenant").await.unwrap();
    assert_eq!(markers_after_writes(&opened, 0).await, 1);
}

async fn markers_after_writes(tenant: &Tenant, count: usize) -> usize {
    let key = tenant.subspace().pack(&"key");
    for _ in 0..count {
        let added = tenant.transact(async |tx| tx.add(&key, 1)).await;
        added.expect("no fault is injected here");
    }
    let markers = KeyRange::subspace(&tenant.subspace().subspace(&0));
    let tx = tenant.database().begin().expect("the store is open");
    let markers = tx.collect_range(markers).await;
    markers.expect("no fault is injected here").len()
}

/// A store whose commits never end.
#[derive(Debug)]
struct Stuck {
    db: Database,
}

impl Backend for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        let inner = Forward(self.db.begin()?);
        Ok(Box::new(Intercepted(StuckTransaction(inner))))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }
}

struct StuckTransaction(Forward);

impl Intercept for StuckTransaction {
    fn inner(&self) -> &Forward {
        &self.0
    }

    fn commit(&self) -> Read<()> {
        Read::pending(std::future::pending())
    }
}
