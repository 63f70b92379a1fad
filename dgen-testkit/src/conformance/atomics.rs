//! Atomic addition.

use dgen_backend::{Error, Transaction};
use tokio::task::JoinSet;

use super::{Outcome, is_conflict, take_snapshot};
use crate::Area;

/// SPEC B2: a missing value counts as 0.
pub async fn add_to_a_missing_key_gives_the_operand(area: Area) -> Outcome {
    assert_eq!(add(&area, None, -2).await?, (-2_i64).to_le_bytes());
    Ok(())
}

/// SPEC B2: an empty value counts as 0.
pub async fn add_to_an_empty_value_gives_the_operand(area: Area) -> Outcome {
    assert_eq!(add(&area, Some(b""), 5).await?, 5_i64.to_le_bytes());
    Ok(())
}

/// SPEC B2: the numbers are little-endian, and the sum carries.
pub async fn add_is_little_endian(area: Area) -> Outcome {
    let sum = add(&area, Some(&[0xff, 0, 0, 0, 0, 0, 0, 0]), 1).await?;
    assert_eq!(sum, [0, 1, 0, 0, 0, 0, 0, 0]);
    Ok(())
}

/// SPEC B2: a shorter value is extended with zeros, not with its sign.
pub async fn add_extends_a_short_value_with_zeros(area: Area) -> Outcome {
    let sum = add(&area, Some(&[0xff, 0xff]), 1).await?;
    assert_eq!(sum, [0, 0, 1, 0, 0, 0, 0, 0]);
    Ok(())
}

/// SPEC B2: a longer value is cut to eight bytes.
pub async fn add_cuts_a_long_value(area: Area) -> Outcome {
    let sum = add(&area, Some(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), 1).await?;
    assert_eq!(sum, [2, 2, 3, 4, 5, 6, 7, 8]);
    Ok(())
}

/// SPEC B2: a sum that is too large wraps around.
pub async fn add_wraps_around(area: Area) -> Outcome {
    let sum = add(&area, Some(&i64::MAX.to_le_bytes()), 1).await?;
    assert_eq!(sum, i64::MIN.to_le_bytes());
    let sum = add(&area, Some(&[0xff; 8]), 1).await?;
    assert_eq!(sum, [0; 8]);
    Ok(())
}

/// SPEC B2: adding 0 to a missing key creates it.
pub async fn add_of_zero_creates_the_key(area: Area) -> Outcome {
    assert_eq!(add(&area, None, 0).await?, [0; 8]);
    Ok(())
}

/// SPEC B2: additions apply behind the transaction's own writes, in order.
pub async fn add_follows_own_writes(area: Area) -> Outcome {
    area.put([("n", &100_i64.to_le_bytes())]).await?;
    let tx = area.begin();
    tx.set(&area.key("n"), &1_i64.to_le_bytes())?;
    tx.add(&area.key("n"), 2)?;
    tx.set(&area.key("m"), &9_i64.to_le_bytes())?;
    tx.clear(&area.key("m"))?;
    tx.add(&area.key("m"), 4)?;
    tx.commit().await?;
    assert_eq!(
        area.value("n").await?.as_deref(),
        Some(&3_i64.to_le_bytes()[..])
    );
    assert_eq!(
        area.value("m").await?.as_deref(),
        Some(&4_i64.to_le_bytes()[..])
    );
    Ok(())
}

/// SPEC B2: a value may be set over an addition.
pub async fn set_replaces_own_add(area: Area) -> Outcome {
    let tx = area.begin();
    tx.add(&area.key("n"), 2)?;
    tx.set(&area.key("n"), b"text")?;
    tx.commit().await?;
    assert_eq!(area.value("n").await?.as_deref(), Some(&b"text"[..]));
    Ok(())
}

/// SPEC B2: additions don't read: two in flight both commit, and both count.
pub async fn adds_commute(area: Area) -> Outcome {
    let key = area.key("n");
    let (one, two) = (area.begin(), area.begin());
    for (tx, delta) in [(&one, 1), (&two, 10)] {
        take_snapshot(tx).await?;
        tx.add(&key, delta)?;
    }
    two.commit().await?;
    one.commit().await?;
    assert_eq!(
        area.value("n").await?.as_deref(),
        Some(&11_i64.to_le_bytes()[..])
    );
    Ok(())
}

/// SPEC B2: an addition conflicts with no read of its own transaction.
pub async fn add_does_not_count_as_read(area: Area) -> Outcome {
    let key = area.key("n");
    let read = async |tx: &Transaction| {
        take_snapshot(tx).await?;
        tx.add(&key, 1)
    };
    assert!(!is_conflict(&area, read, async |tx| tx.set(&key, b"1")).await?);
    Ok(())
}

/// SPEC B2: additions of many tasks at once all count, once.
pub async fn concurrent_adds_all_count(area: Area) -> Outcome {
    const TASKS: i64 = 8;
    const ADDS: i64 = 25;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let area = area.clone();
        tasks.spawn(async move {
            for _ in 0..ADDS {
                let tx = area.begin();
                tx.add(&area.key("n"), 1)?;
                tx.commit().await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(result) = tasks.join_next().await {
        result??;
    }
    let sum = (TASKS * ADDS).to_le_bytes();
    assert_eq!(area.value("n").await?.as_deref(), Some(&sum[..]));
    Ok(())
}

/// What is committed when `delta` is added to `value`; what the transaction itself sees is the
/// same.
async fn add(area: &Area, value: Option<&[u8]>, delta: i64) -> Result<Vec<u8>, Error> {
    match value {
        Some(value) => area.put([("n", value)]).await?,
        None => area.clear("n").await?,
    }
    let tx = area.begin();
    tx.add(&area.key("n"), delta)?;
    let seen = tx.get(&area.key("n")).await?;
    tx.commit().await?;
    let committed = area.value("n").await?;
    assert_eq!(seen, committed);
    Ok(committed.expect("it was just written").to_vec())
}
