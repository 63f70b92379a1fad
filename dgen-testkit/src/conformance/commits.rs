//! Commits: together or not at all.

use dgen_backend::Error;

use super::Outcome;
use crate::Area;

/// SPEC B1: what is not committed is seen by nobody else.
pub async fn uncommitted_writes_are_invisible(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    assert_eq!(area.value("a").await?, None);
    tx.commit().await?;
    assert!(area.value("a").await?.is_some());
    Ok(())
}

/// SPEC B1: the writes of a transaction are seen together.
pub async fn writes_become_visible_together(area: Area) -> Outcome {
    let mut tasks = tokio::task::JoinSet::new();
    let writer = area.clone();
    tasks.spawn(async move {
        for round in 0..50_u8 {
            writer.put([("a", &[round]), ("z", &[round])]).await?;
        }
        Ok::<_, Error>(())
    });
    loop {
        let tx = area.begin();
        let (a, z) = (tx.get(&area.key("a")), tx.get(&area.key("z")));
        let (a, z) = (a.await?, z.await?);
        assert_eq!(a, z);
        if a.as_deref() == Some(&[49]) {
            break;
        }
        tokio::task::yield_now().await;
    }
    tasks.join_next().await.expect("one task was spawned")??;
    Ok(())
}

/// SPEC B1: a cancelled transaction writes nothing.
pub async fn cancelled_transaction_writes_nothing(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    tx.cancel();
    assert_eq!(area.value("a").await?, None);
    Ok(())
}

/// SPEC B1: a transaction that is dropped writes nothing.
pub async fn dropped_transaction_writes_nothing(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    tx.get(&area.key("a")).await?;
    drop(tx);
    assert_eq!(area.value("a").await?, None);
    Ok(())
}

/// SPEC B1: a transaction that did nothing commits.
pub async fn empty_transaction_commits(area: Area) -> Outcome {
    area.begin().commit().await?;
    Ok(())
}

/// SPEC B1: clones are one transaction.
pub async fn clones_are_one_transaction(area: Area) -> Outcome {
    let tx = area.begin();
    let clone = tx.clone();
    tx.set(&area.key("a"), b"1")?;
    assert!(clone.get(&area.key("a")).await?.is_some());
    clone.set(&area.key("b"), b"1")?;
    drop(clone);
    tx.commit().await?;
    assert_eq!(area.rows().await?.len(), 2);
    Ok(())
}

/// SPEC B1: clearing what is not there is no error.
pub async fn clear_of_a_missing_key_commits(area: Area) -> Outcome {
    let tx = area.begin();
    tx.clear(&area.key("missing"))?;
    tx.clear_range(&area.range("m", "n"))?;
    tx.commit().await?;
    Ok(())
}

/// SPEC B1: the last of several writes to a key is what is committed.
pub async fn last_write_wins(area: Area) -> Outcome {
    area.put([("c", b"stored")]).await?;
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    tx.clear_range(&area.range("a", "d"))?;
    tx.set(&area.key("b"), b"1")?;
    tx.set(&area.key("b"), b"2")?;
    tx.set(&area.key("c"), b"3")?;
    tx.clear(&area.key("c"))?;
    tx.commit().await?;
    assert_eq!(area.rows().await?, super::reads::rows([("b", "2")]));
    Ok(())
}

/// SPEC B1, L3: many commits at the same time are each acknowledged, and each there.
pub async fn commits_in_flight_at_once_all_land(area: Area) -> Outcome {
    let commits: Vec<_> = (0..64_u8)
        .map(|number| {
            let tx = area.begin();
            tx.set(&area.key([number]), b"1")?;
            Ok(tx.commit())
        })
        .collect::<Result<_, Error>>()?;
    for commit in commits {
        commit.await?;
    }
    assert_eq!(area.rows().await?.len(), 64);
    Ok(())
}
