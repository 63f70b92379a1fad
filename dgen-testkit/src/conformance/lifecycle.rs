//! Use after commit, and errors that were ignored.

use dgen_backend::{Error, KeyRange, Transaction};

use super::Outcome;
use crate::Area;

/// SPEC B1: nothing can be done with a transaction that was committed.
pub async fn committed_transaction_refuses_everything(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    tx.commit().await?;
    assert_refuses_everything(&area, &tx).await;
    tx.cancel();
    assert_eq!(area.rows().await?.len(), 1);
    Ok(())
}

/// SPEC B1: nothing can be done with a transaction that was cancelled.
pub async fn cancelled_transaction_refuses_everything(area: Area) -> Outcome {
    let tx = area.begin();
    tx.cancel();
    assert_refuses_everything(&area, &tx).await;
    tx.cancel();
    assert!(area.rows().await?.is_empty());
    Ok(())
}

/// SPEC B1: nothing can be done with a transaction whose commit failed.
pub async fn conflicting_transaction_refuses_everything(area: Area) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    tx.set(&area.key("b"), b"1")?;
    area.put([("a", b"1")]).await?;
    assert_error!(tx.commit().await, Error::Conflict);
    assert_refuses_everything(&area, &tx).await;
    Ok(())
}

/// SPEC B1: a commit that is under way can't be added to.
pub async fn write_behind_a_commit_in_flight_is_refused(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    let commit = tx.commit();
    assert_error!(tx.set(&area.key("b"), b"1"), Error::UsedAfterCommit);
    commit.await?;
    assert_eq!(area.rows().await?.len(), 1);
    Ok(())
}

/// SPEC B7: a write that failed and was ignored fails the commit, with its error, and nothing is
/// written.
pub async fn ignored_write_error_fails_the_commit(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    let _ignored = tx.set(&area.key("b"), &[0; 100_001]);
    tx.set(&area.key("c"), b"1")?;
    assert_error!(tx.commit().await, Error::ValueTooLarge { .. });
    assert!(area.rows().await?.is_empty());
    Ok(())
}

/// SPEC B1: a read that failed fails no commit.
pub async fn failed_read_does_not_fail_the_commit(area: Area) -> Outcome {
    let tx = area.begin();
    assert_error!(tx.get(b"\xff").await, Error::KeyOutsideLegalRange { .. });
    tx.set(&area.key("a"), b"1")?;
    tx.commit().await?;
    Ok(())
}

async fn assert_refuses_everything(area: &Area, tx: &Transaction) {
    let key = area.key("k");
    let range = KeyRange::key(&key);
    assert_error!(tx.get(&key).await, Error::UsedAfterCommit);
    assert_error!(tx.get_range(range.clone()).await, Error::UsedAfterCommit);
    assert_error!(
        tx.collect_range(range.clone()).await,
        Error::UsedAfterCommit
    );
    assert_error!(tx.snapshot().get(&key).await, Error::UsedAfterCommit);
    assert_error!(
        tx.snapshot().get_range(range.clone()).await,
        Error::UsedAfterCommit
    );
    assert_error!(tx.read_version().await, Error::UsedAfterCommit);
    assert_error!(tx.set(&key, b""), Error::UsedAfterCommit);
    assert_error!(tx.clear(&key), Error::UsedAfterCommit);
    assert_error!(tx.clear_range(&range), Error::UsedAfterCommit);
    assert_error!(tx.add(&key, 1), Error::UsedAfterCommit);
    assert_error!(
        tx.set_versionstamped_key(&[0; 14], b""),
        Error::UsedAfterCommit
    );
    assert_error!(
        tx.set_versionstamped_value(&key, &[0; 14]),
        Error::UsedAfterCommit
    );
    assert_error!(tx.add_read_conflict(&range), Error::UsedAfterCommit);
    assert_error!(tx.add_write_conflict(&range), Error::UsedAfterCommit);
    assert_error!(tx.watch(&key), Error::UsedAfterCommit);
    assert_error!(tx.versionstamp().await, Error::UsedAfterCommit);
    assert_error!(tx.commit().await, Error::UsedAfterCommit);
}
