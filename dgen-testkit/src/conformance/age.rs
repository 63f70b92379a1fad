//! The limit of five seconds, in virtual time.

use std::time::Duration;

use dgen_backend::{Error, limits::TRANSACTION_AGE_MAX};

use super::Outcome;
use crate::{Area, MockClock};

const A_LITTLE: Duration = Duration::from_millis(100);

/// SPEC B7: five seconds after its first read, a transaction reads no more.
pub async fn old_transaction_cannot_read(area: Area, clock: MockClock) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    clock.advance(TRANSACTION_AGE_MAX + A_LITTLE);
    assert_error!(tx.get(&area.key("a")).await, Error::TransactionTooOld);
    assert_error!(tx.get_range(area.all()).await, Error::TransactionTooOld);
    assert_error!(
        tx.snapshot().get(&area.key("b")).await,
        Error::TransactionTooOld
    );
    Ok(())
}

/// SPEC B7: five seconds after its first read, a transaction can't commit what it wrote.
pub async fn old_transaction_cannot_commit(area: Area, clock: MockClock) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    tx.set(&area.key("b"), b"1")?;
    clock.advance(TRANSACTION_AGE_MAX + A_LITTLE);
    let error = tx.commit().await.expect_err("it is too old");
    assert!(matches!(error, Error::TransactionTooOld), "{error:?}");
    assert!(error.is_retryable() && !error.maybe_executed());
    assert!(area.rows().await?.is_empty());
    Ok(())
}

/// SPEC B7: just before that, it still reads and commits.
pub async fn transaction_lasts_nearly_five_seconds(area: Area, clock: MockClock) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    clock.advance(TRANSACTION_AGE_MAX - A_LITTLE);
    tx.get(&area.key("a")).await?;
    tx.set(&area.key("a"), b"1")?;
    tx.commit().await?;
    Ok(())
}

/// SPEC B7: the age counts from the first read, not from the beginning.
pub async fn age_counts_from_the_first_read(area: Area, clock: MockClock) -> Outcome {
    let tx = area.begin();
    clock.advance(TRANSACTION_AGE_MAX * 2);
    tx.get(&area.key("a")).await?;
    tx.set(&area.key("a"), b"1")?;
    tx.commit().await?;
    Ok(())
}

/// SPEC B7: a transaction that has read nothing is never too old.
pub async fn blind_transaction_is_never_too_old(area: Area, clock: MockClock) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    clock.advance(TRANSACTION_AGE_MAX * 2);
    tx.commit().await?;
    Ok(())
}

/// SPEC B5: a transaction that grew too old is run again.
pub async fn old_transaction_is_run_again(area: Area, clock: MockClock) -> Outcome {
    let attempts = area
        .database()
        .transact(async |tx| {
            tx.get(&area.key("a")).await?;
            if tx.attempt().number == 1 {
                clock.advance(TRANSACTION_AGE_MAX + A_LITTLE);
                // So that the backoff ends too.
                clock.set_auto_advance_max(Duration::from_secs(1));
            }
            tx.set(&area.key("a"), b"1")?;
            Ok::<_, Error>(tx.attempt().number)
        })
        .await?;
    assert_eq!(attempts, 2);
    Ok(())
}
