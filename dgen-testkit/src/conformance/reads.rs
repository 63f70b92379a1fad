//! What a transaction sees: one snapshot, and its own writes.

use dgen_backend::{Error, KeyRange};

use super::Outcome;
use crate::Area;

/// SPEC B2: a key that nobody set has no value.
pub async fn missing_key_has_no_value(area: Area) -> Outcome {
    assert_eq!(area.value("missing").await?, None);
    Ok(())
}

/// SPEC B2: an empty value is a value.
pub async fn empty_value_is_not_missing(area: Area) -> Outcome {
    area.put([("empty", b"")]).await?;
    assert_eq!(area.value("empty").await?.as_deref(), Some(&b""[..]));
    Ok(())
}

/// SPEC B1: reads see the transaction's own sets; the last one wins.
pub async fn own_set_is_read(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"first")?;
    tx.set(&area.key("a"), b"last")?;
    assert_eq!(tx.get(&area.key("a")).await?.as_deref(), Some(&b"last"[..]));
    Ok(())
}

/// SPEC B1: reads see the transaction's own clears.
pub async fn own_clear_is_read(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    tx.clear(&area.key("a"))?;
    assert_eq!(tx.get(&area.key("a")).await?, None);
    Ok(())
}

/// SPEC B1: reads see the transaction's own clears of ranges, and what it set behind them.
pub async fn own_clear_range_is_read(area: Area) -> Outcome {
    area.put([("a", b"1"), ("b", b"1"), ("c", b"1")]).await?;
    let tx = area.begin();
    tx.set(&area.key("a1"), b"before the clear")?;
    tx.clear_range(&area.range("a", "c"))?;
    tx.set(&area.key("b"), b"2")?;
    let seen = area.rows_in(&tx).await?;
    assert_eq!(seen, rows([("b", "2"), ("c", "1")]));
    assert_eq!(tx.get(&area.key("a")).await?, None);
    Ok(())
}

/// SPEC B1: reads see the sum of what is stored and the transaction's own additions.
pub async fn own_add_is_read(area: Area) -> Outcome {
    area.put([("n", &7_i64.to_le_bytes())]).await?;
    let tx = area.begin();
    tx.add(&area.key("n"), 3)?;
    tx.add(&area.key("n"), -1)?;
    let sum = tx.get(&area.key("n")).await?;
    assert_eq!(sum.as_deref(), Some(&9_i64.to_le_bytes()[..]));
    Ok(())
}

/// SPEC B1: ranges show the transaction's own writes among what is stored, in order.
pub async fn own_writes_show_in_ranges(area: Area) -> Outcome {
    area.put([("a", b"1"), ("c", b"1"), ("e", b"1")]).await?;
    let tx = area.begin();
    tx.set(&area.key("b"), b"2")?;
    tx.set(&area.key("c"), b"2")?;
    tx.clear(&area.key("a"))?;
    tx.set(&area.key("f"), b"2")?;
    let seen = area.rows_in(&tx).await?;
    assert_eq!(seen, rows([("b", "2"), ("c", "2"), ("e", "1"), ("f", "2")]));
    Ok(())
}

/// SPEC B2: a limit counts the rows that are left after the transaction's own writes.
pub async fn own_writes_count_for_limits(area: Area) -> Outcome {
    area.put([("a", b"1"), ("b", b"1"), ("d", b"1")]).await?;
    let tx = area.begin();
    tx.clear(&area.key("a"))?;
    tx.set(&area.key("c"), b"2")?;
    let read = dgen_backend::RangeRead::from(area.all());
    let forward = tx.collect_range(read.clone().limit(2)).await?;
    assert_eq!(names(&area, &forward), ["b", "c"]);
    let reverse = tx.collect_range(read.limit(2).reverse()).await?;
    assert_eq!(names(&area, &reverse), ["d", "c"]);
    Ok(())
}

/// SPEC B1: snapshot reads see the transaction's own writes too.
pub async fn snapshot_reads_see_own_writes(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    let value = tx.snapshot().get(&area.key("a")).await?;
    assert_eq!(value.as_deref(), Some(&b"1"[..]));
    Ok(())
}

/// SPEC B1: all reads of a transaction see one snapshot, whatever is committed meanwhile.
pub async fn reads_see_one_snapshot(area: Area) -> Outcome {
    area.put([("a", b"old"), ("b", b"old")]).await?;
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    area.put([("a", b"new"), ("b", b"new"), ("c", b"new")])
        .await?;
    let value = tx.get(&area.key("b")).await?;
    assert_eq!(value.as_deref(), Some(&b"old"[..]));
    let seen = tx.collect_range(area.all()).await?;
    assert_eq!(names(&area, &seen), ["a", "b"]);
    let value = tx.snapshot().get(&area.key("a")).await?;
    assert_eq!(value.as_deref(), Some(&b"old"[..]));
    Ok(())
}

/// SPEC B1: a snapshot outlives the clear of what it holds.
pub async fn snapshot_keeps_what_is_cleared_later(area: Area) -> Outcome {
    area.put([("a", b"1"), ("b", b"1")]).await?;
    let tx = area.begin();
    tx.read_version().await?;
    area.remove().await?;
    assert_eq!(tx.collect_range(area.all()).await?.len(), 2);
    Ok(())
}

/// SPEC B2: the snapshot is taken at the first read, not when the transaction begins.
pub async fn snapshot_is_taken_at_first_read(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("mine"), b"")?;
    area.put([("a", b"1")]).await?;
    assert!(tx.get(&area.key("a")).await?.is_some());
    Ok(())
}

/// SPEC B1: what is committed is seen by every transaction that begins afterwards.
pub async fn commit_is_seen_by_the_next_transaction(area: Area) -> Outcome {
    for round in 0..20_u8 {
        let tx = area.begin();
        tx.set(&area.key("round"), &[round])?;
        tx.commit().await?;
        assert_eq!(area.value("round").await?.as_deref(), Some(&[round][..]));
    }
    Ok(())
}

/// SPEC B2: reads are futures: several are in flight at once, and may be awaited in any order.
pub async fn several_reads_are_in_flight_at_once(area: Area) -> Outcome {
    area.put([("a", b"1"), ("b", b"2")]).await?;
    let tx = area.begin();
    let first = tx.get(&area.key("a"));
    let second = tx.get(&area.key("b"));
    let all = tx.get_range(area.all());
    let version = tx.read_version();
    assert_eq!(all.await?.rows.len(), 2);
    assert_eq!(second.await?.as_deref(), Some(&b"2"[..]));
    assert_eq!(first.await?.as_deref(), Some(&b"1"[..]));
    version.await?;
    Ok(())
}

/// SPEC B2: a read that is dropped harms nothing.
pub async fn dropped_read_harms_nothing(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    drop(tx.get(&area.key("a")));
    drop(tx.get_range(area.all()));
    assert!(tx.get(&area.key("a")).await?.is_some());
    tx.set(&area.key("b"), b"")?;
    tx.commit().await?;
    Ok(())
}

/// SPEC B2: a read borrows nothing of its transaction, and can be awaited in another task.
pub async fn read_can_be_awaited_elsewhere(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    let read = tx.get(&area.key("a"));
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(read);
    let value = tasks.join_next().await.expect("one task was spawned")??;
    assert_eq!(value.as_deref(), Some(&b"1"[..]));
    Ok(())
}

/// SPEC B2: reads are refused for keys that are too long or are the database's own.
pub async fn reads_check_their_keys(area: Area) -> Outcome {
    let tx = area.begin();
    assert_error!(tx.get(&[b'k'; 10_001]).await, Error::KeyTooLarge { .. });
    assert_error!(
        tx.get(b"\xff/system").await,
        Error::KeyOutsideLegalRange { .. }
    );
    let system = KeyRange::new([0xff], [0xff, 0xff]);
    assert_error!(
        tx.get_range(system).await,
        Error::KeyOutsideLegalRange { .. }
    );
    Ok(())
}

pub(super) fn rows<const N: usize>(rows: [(&str, &str); N]) -> Vec<(Vec<u8>, Vec<u8>)> {
    rows.map(|(name, value)| (name.into(), value.into())).into()
}

pub(super) fn names(area: &Area, rows: &[dgen_backend::KeyValue]) -> Vec<String> {
    rows.iter()
        .map(|row| String::from_utf8_lossy(area.name_of(&row.key)).into_owned())
        .collect()
}
