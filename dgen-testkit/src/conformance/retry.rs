//! The retry loop on this backend. How it counts, waits and gives up is tested without one, in
//! `dgen-backend`.

use std::time::Duration;

use dgen_backend::{Error, TransactOptions, Transaction};

use super::Outcome;
use crate::Area;

/// An error of a user that wraps the database's.
#[derive(Debug)]
enum UserError {
    Refused,
    Below(Error),
}

impl std::fmt::Display for UserError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the user's own error")
    }
}

impl std::error::Error for UserError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused => None,
            Self::Below(error) => Some(error),
        }
    }
}

impl From<Error> for UserError {
    fn from(error: Error) -> Self {
        Self::Below(error)
    }
}

/// SPEC B5: a closure whose transaction conflicts is run again, and told which run it is.
pub async fn conflict_is_retried(area: Area) -> Outcome {
    let attempts = area
        .database()
        .transact(async |tx| {
            disturb_attempts_below(3, &area, &tx).await?;
            Ok::<_, Error>(tx.attempt().number)
        })
        .await?;
    assert_eq!(attempts, 3);
    assert_eq!(area.value("result").await?.as_deref(), Some(&[3][..]));
    Ok(())
}

/// SPEC B5: a conflict never says that an attempt may have happened.
pub async fn conflict_does_not_say_maybe_executed(area: Area) -> Outcome {
    let maybe_executed = area
        .database()
        .transact(async |tx| {
            disturb_attempts_below(2, &area, &tx).await?;
            Ok::<_, Error>(tx.attempt().maybe_executed)
        })
        .await?;
    assert!(!maybe_executed);
    Ok(())
}

/// SPEC B5: an error that is not the database's is returned at once, and nothing is written.
pub async fn error_of_the_user_is_returned_and_nothing_written(area: Area) -> Outcome {
    let runs = std::cell::Cell::new(0);
    let result: Result<(), _> = area
        .database()
        .transact(async |tx| {
            runs.set(runs.get() + 1);
            tx.set(&area.key("a"), b"1")?;
            Err(UserError::Refused)
        })
        .await;
    assert_error!(result, UserError::Refused);
    assert_eq!(runs.get(), 1);
    assert!(area.rows().await?.is_empty());
    Ok(())
}

/// SPEC B5: an error of the user that wraps a retryable one, however deep, is retried.
pub async fn wrapped_retryable_error_is_retried(area: Area) -> Outcome {
    let attempts = area
        .database()
        .transact(async |tx| {
            if tx.attempt().number < 3 {
                return Err(UserError::Below(Error::Conflict));
            }
            Ok(tx.attempt().number)
        })
        .await?;
    assert_eq!(attempts, 3);
    Ok(())
}

/// SPEC B5: an error of the database that a retry can't mend is returned at once.
pub async fn error_that_is_not_retryable_is_returned(area: Area) -> Outcome {
    let result = area
        .database()
        .transact(async |tx| tx.set(&area.key("a"), &[0; 100_001]))
        .await;
    assert_error!(result, Error::ValueTooLarge { .. });
    Ok(())
}

/// SPEC B5: after the last attempt allowed the loop gives up, and says what the last one failed with.
pub async fn attempts_end_at_their_maximum(area: Area) -> Outcome {
    let options = TransactOptions::default().attempts_max(3);
    let result: Result<(), Error> = area
        .database()
        .transact_with(&options, async |tx| {
            disturb_attempts_below(u32::MAX, &area, &tx).await
        })
        .await;
    let error = result.expect_err("every attempt conflicts");
    assert!(!error.maybe_executed() && !error.is_retryable());
    match error {
        Error::DeadlineExceeded {
            attempts: 3,
            last: Some(last),
            maybe_executed: false,
            ..
        } => assert!(matches!(*last, Error::Conflict), "{last:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(area.value("result").await?, None);
    Ok(())
}

/// SPEC B5: the deadline ends a closure that waits for something that never comes.
pub async fn deadline_ends_a_closure_that_hangs(area: Area) -> Outcome {
    let options = TransactOptions::default().deadline(Duration::from_millis(10));
    let result: Result<(), Error> = area
        .database()
        .transact_with(&options, async |tx| {
            tx.set(&area.key("a"), b"1")?;
            std::future::pending().await
        })
        .await;
    assert_error!(
        result,
        Error::DeadlineExceeded {
            maybe_executed: false,
            ..
        }
    );
    assert!(area.rows().await?.is_empty());
    Ok(())
}

/// SPEC B5: what the closure returned is returned, and what it wrote is committed.
pub async fn result_is_returned_after_the_commit(area: Area) -> Outcome {
    let answer = area
        .database()
        .transact(async |tx| {
            tx.set(&area.key("a"), b"1")?;
            Ok::<_, Error>(42)
        })
        .await?;
    assert_eq!(answer, 42);
    assert!(area.value("a").await?.is_some());
    Ok(())
}

/// Reads a key, writes the attempt's number, and, in attempts with a number below `number`, has
/// another transaction write the key.
async fn disturb_attempts_below(number: u32, area: &Area, tx: &Transaction) -> Result<(), Error> {
    let attempt = tx.attempt().number;
    tx.get(&area.key("disturbed")).await?;
    if attempt < number {
        area.put([("disturbed", &attempt.to_le_bytes())]).await?;
    }
    tx.set(&area.key("result"), &[attempt as u8])
}
