//! What is built on the contract, under faults.

use std::{collections::BTreeSet, future::Future, pin::Pin, task, time::Duration};

use dgen_backend::{Database, Error, Tenant, TransactOptions, Transaction, tuple::Subspace};
use dgen_testkit::{
    Area, MockClock,
    faults::{Faults, FaultyBackend, Rates},
    model, serializability,
};
use tokio::task::JoinSet;

const SEEDS: u64 = 10;

/// A faulty model in which backoffs take no time.
fn faulty(seed: u64, rates: Rates) -> (Database, Faults) {
    let clock = MockClock::new(seed).auto_advance_max(Duration::from_secs(1));
    let backend = FaultyBackend::new(model::in_memory_in(clock.env()), seed, rates);
    let faults = backend.faults();
    (Database::new(backend), faults)
}

/// All tasks share the clock, so that each one's backoff takes everybody's time.
fn patient() -> TransactOptions {
    TransactOptions::default().deadline(Duration::from_secs(86_400))
}

fn number(value: Option<&[u8]>) -> u64 {
    value.map_or(0, |value| {
        u64::from_le_bytes(value.try_into().expect("counters have eight bytes"))
    })
}

async fn increment(tx: Transaction, tenant: &Tenant) -> Result<u64, Error> {
    let (read, added) = keys(tenant);
    let next = number(tx.get(&read).await?.as_deref()) + 1;
    tx.set(&read, &next.to_le_bytes())?;
    tx.add(&added, 1)?;
    Ok(next)
}

/// A counter that is read and set, and one that is only added to.
fn keys(tenant: &Tenant) -> (Vec<u8>, Vec<u8>) {
    (tenant.subspace().pack(&"r"), tenant.subspace().pack(&"a"))
}

/// SPEC B5: what a tenant's transaction writes happens once, and what it returns is what that run
/// computed, however many answers are lost.
#[tokio::test]
async fn tenant_transaction_takes_effect_once_under_unknown_commits() -> Result<(), Error> {
    const TASKS: u64 = 4;
    const ROUNDS: u64 = 25;
    for seed in 0..SEEDS {
        let rates = Rates {
            commit_unknown: 0.4,
            ..Rates::all(0.1)
        };
        let (db, faults) = faulty(seed, rates);
        let tenant = Tenant::new(db, Subspace::from("tenant"));
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let tenant = tenant.clone();
            tasks.spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..ROUNDS {
                    let work = |tx| increment(tx, &tenant);
                    seen.push(tenant.transact_with(&patient(), work).await?);
                }
                Ok::<_, Error>(seen)
            });
        }
        let mut seen = BTreeSet::new();
        while let Some(result) = tasks.join_next().await {
            seen.extend(result.unwrap()?);
        }
        faults.stop();
        let counts = faults.counts();
        assert!(counts.unknown_applied > 5 && counts.unknown_not_applied > 5);
        settle().await;
        let (read, added) = keys(&tenant);
        let tx = tenant.database().begin()?;
        let expected = TASKS * ROUNDS;
        assert_eq!(seen, (1..=expected).collect(), "seed {seed}");
        assert_eq!(number(tx.get(&read).await?.as_deref()), expected);
        assert_eq!(number(tx.get(&added).await?.as_deref()), expected);
    }
    Ok(())
}

/// SPEC B5: a commit that arrives after its retry was committed is refused, though it read nothing.
#[tokio::test]
async fn commit_that_arrives_late_does_not_happen_twice() -> Result<(), Error> {
    for seed in 0..SEEDS {
        let rates = Rates {
            commit_late: 0.5,
            ..Rates::default()
        };
        let (db, faults) = faulty(seed, rates);
        let tenant = Tenant::new(db, Subspace::from("tenant"));
        let (_, key) = keys(&tenant);
        for _ in 0..50 {
            tenant
                .transact_with(&patient(), async |tx| tx.add(&key, 1))
                .await?;
        }
        faults.stop();
        assert!(faults.counts().late > 5);
        settle().await;
        let value = tenant.database().begin()?.get(&key).await?;
        assert_eq!(number(value.as_deref()), 50, "seed {seed}");
    }
    Ok(())
}

/// SPEC B5: the closure is told when an earlier attempt may have been committed.
#[tokio::test]
async fn database_transaction_tells_that_it_may_have_executed() -> Result<(), Error> {
    for seed in 0..SEEDS {
        let rates = Rates {
            commit_unknown: 1.0,
            ..Rates::default()
        };
        let (db, faults) = faulty(seed, rates);
        let attempt = db
            .transact(async |tx| {
                tx.set(b"key", b"value")?;
                match tx.attempt().number {
                    1 => assert!(!tx.attempt().maybe_executed),
                    _ => faults.stop(),
                }
                Ok::<_, Error>(tx.attempt())
            })
            .await?;
        assert_eq!(attempt.number, 2);
        assert!(attempt.maybe_executed);
    }
    Ok(())
}

/// SPEC B4: who looks, watches and waits in a loop is right though watches resolve early.
#[tokio::test]
async fn loop_of_look_and_watch_bears_early_watches() -> Result<(), Error> {
    let rates = Rates {
        early_watch: 0.5,
        ..Rates::default()
    };
    let (db, faults) = faulty(1, rates);
    let waiter = async {
        loop {
            let tx = db.begin()?;
            let value = tx.get(b"key").await?;
            if number(value.as_deref()) == 50 {
                return Ok::<_, Error>(());
            }
            let watch = tx.watch(b"key")?;
            tx.commit().await?;
            watch.await?;
            tokio::task::yield_now().await;
        }
    };
    let writer = async {
        for _ in 0..50 {
            let tx = db.begin()?;
            tx.add(b"key", 1)?;
            tx.commit().await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, Error>(())
    };
    let (waited, written) = tokio::join!(waiter, writer);
    waited?;
    written?;
    assert!(faults.counts().early_watches > 0);
    Ok(())
}

/// SPEC B1, B9: faults leave a database serializable, and the check understands lost answers.
#[tokio::test]
async fn faulty_database_is_serializable() {
    let mut unknown_committed = 0;
    for seed in 0..SEEDS {
        let rates = Rates {
            commit_late: 0.0,
            ..Rates::all(0.1)
        };
        let (db, faults) = faulty(seed, rates);
        let area = Area::new(&db, "faulty");
        let options = serializability::Options::new(seed);
        let report = serializability::check(&area, &options).await.unwrap();
        assert!(faults.counts().too_old > 0);
        unknown_committed += report.unknown_committed;
    }
    assert!(unknown_committed > 10);
}

/// Lets commits that are under way arrive.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// A delayed answer is the right one, and comes once the clock is there.
#[tokio::test]
async fn delayed_answers_take_the_databases_time() -> Result<(), Error> {
    let clock = MockClock::new(1);
    let rates = Rates {
        delay: 1.0,
        ..Rates::default()
    };
    let backend = FaultyBackend::new(model::in_memory_in(clock.env()), 1, rates)
        .delay_max(Duration::from_secs(1));
    let faults = backend.faults();
    let db = Database::new(backend);
    let work = async {
        let tx = db.begin()?;
        let before = tx.get(b"key").await?;
        tx.set(b"key", b"value")?;
        tx.commit().await?;
        Ok::<_, Error>(before)
    };
    let mover = async {
        for _answer in 0..2 {
            clock.until_sleepers(1).await;
            clock.advance(Duration::from_secs(1));
        }
    };
    let (before, ()) = tokio::join!(work, mover);
    assert_eq!(before?, None);
    assert_eq!(faults.counts().delays, 2);
    Ok(())
}

/// A lost watch never fires, though its key changes.
#[tokio::test]
async fn lost_watches_never_resolve() -> Result<(), Error> {
    let rates = Rates {
        lost_watch: 1.0,
        ..Rates::default()
    };
    let (db, faults) = faulty(1, rates);
    let tx = db.begin()?;
    let mut watch = tx.watch(b"key")?;
    tx.commit().await?;
    db.transact(|tx| async move { tx.set(b"key", b"value") })
        .await?;
    let mut context = task::Context::from_waker(task::Waker::noop());
    assert!(Pin::new(&mut watch).poll(&mut context).is_pending());
    assert_eq!(faults.counts().lost_watches, 1);
    Ok(())
}
