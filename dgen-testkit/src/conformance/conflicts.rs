//! Which transactions exclude each other.

use dgen_backend::{Error, RangeRead, Transaction};

use super::{Outcome, is_conflict, take_snapshot};
use crate::Area;

/// SPEC B1: a commit fails if a key it read was set since.
pub async fn read_conflicts_with_set(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let key = area.key("a");
    assert!(
        is_conflict(
            &area,
            async |tx| get(tx, &key).await,
            async |tx| tx.set(&key, b"2")
        )
        .await?
    );
    Ok(())
}

/// SPEC B1: setting the value that is there already is a write like any other.
pub async fn read_conflicts_with_set_of_the_same_value(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let key = area.key("a");
    assert!(
        is_conflict(
            &area,
            async |tx| get(tx, &key).await,
            async |tx| tx.set(&key, b"1")
        )
        .await?
    );
    Ok(())
}

/// SPEC B1: a commit fails if a key that it found missing was created since.
pub async fn read_of_missing_key_conflicts_with_its_creation(area: Area) -> Outcome {
    let key = area.key("a");
    assert!(
        is_conflict(
            &area,
            async |tx| get(tx, &key).await,
            async |tx| tx.set(&key, b"1")
        )
        .await?
    );
    Ok(())
}

/// SPEC B1: a commit fails if a key it read was cleared since, by itself or in a range.
pub async fn read_conflicts_with_clears(area: Area) -> Outcome {
    let key = area.key("a");
    let range = area.range("a", "b");
    area.put([("a", b"1")]).await?;
    assert!(
        is_conflict(
            &area,
            async |tx| get(tx, &key).await,
            async |tx| tx.clear(&key)
        )
        .await?
    );
    area.put([("a", b"1")]).await?;
    let clear_range = async |tx: &Transaction| tx.clear_range(&range);
    assert!(is_conflict(&area, async |tx| get(tx, &key).await, clear_range).await?);
    Ok(())
}

/// SPEC B1: a commit fails if a key it read was added to since.
pub async fn read_conflicts_with_add(area: Area) -> Outcome {
    let key = area.key("n");
    assert!(
        is_conflict(
            &area,
            async |tx| get(tx, &key).await,
            async |tx| tx.add(&key, 1)
        )
        .await?
    );
    Ok(())
}

/// SPEC B1: a commit fails if a key it read was set to a versionstamped value since.
pub async fn read_conflicts_with_versionstamped_value(area: Area) -> Outcome {
    let key = area.key("a");
    let stamp = async |tx: &Transaction| tx.set_versionstamped_value(&key, &[0; 14]);
    assert!(is_conflict(&area, async |tx| get(tx, &key).await, stamp).await?);
    Ok(())
}

/// SPEC B1: a commit fails if a versionstamped key was set in a range it read.
pub async fn range_read_conflicts_with_versionstamped_key(area: Area) -> Outcome {
    let template = stamped_key(&area, "s");
    let read = async |tx: &Transaction| collect(tx, area.range("s", "t")).await;
    let write = async |tx: &Transaction| tx.set_versionstamped_key(&template, b"");
    assert!(is_conflict(&area, read, write).await?);
    Ok(())
}

/// SPEC B1: reading another key than is written is no conflict.
pub async fn disjoint_keys_do_not_conflict(area: Area) -> Outcome {
    let (read, written) = (area.key("a"), area.key("a\0"));
    let is_conflict = is_conflict(
        &area,
        async |tx| get(tx, &read).await,
        async |tx| tx.set(&written, b"1"),
    );
    assert!(!is_conflict.await?);
    Ok(())
}

/// SPEC B1: a commit fails if a key was created in a range it read, though it was empty.
pub async fn range_read_conflicts_with_insert(area: Area) -> Outcome {
    let inserted = area.key("m");
    let read = async |tx: &Transaction| collect(tx, area.range("a", "z")).await;
    assert!(is_conflict(&area, read, async |tx| tx.set(&inserted, b"1")).await?);
    Ok(())
}

/// SPEC B1: a commit fails if a row it read was changed or cleared since.
pub async fn range_read_conflicts_with_change_of_a_row(area: Area) -> Outcome {
    area.put([("a", b"1"), ("b", b"1")]).await?;
    let changed = area.key("b");
    let read = async |tx: &Transaction| collect(tx, area.range("a", "z")).await;
    assert!(is_conflict(&area, read, async |tx| tx.set(&changed, b"2")).await?);
    assert!(is_conflict(&area, read, async |tx| tx.clear(&changed)).await?);
    Ok(())
}

/// SPEC B1: what is written just outside a range that was read is no conflict.
pub async fn range_read_does_not_conflict_outside(area: Area) -> Outcome {
    let (before, end) = (area.key("a"), area.key("c"));
    let read = async |tx: &Transaction| collect(tx, area.range("b", "c")).await;
    assert!(!is_conflict(&area, read, async |tx| tx.set(&before, b"1")).await?);
    assert!(!is_conflict(&area, read, async |tx| tx.set(&end, b"1")).await?);
    Ok(())
}

/// SPEC B1: of a range with a limit, only what was returned counts as read.
pub async fn limited_range_read_conflicts_only_where_it_read(area: Area) -> Outcome {
    area.put([("b", b"1"), ("d", b"1"), ("f", b"1")]).await?;
    let read =
        async |tx: &Transaction| collect(tx, RangeRead::from(area.range("a", "z")).limit(2)).await;
    for (name, expected) in [
        ("e", false),
        ("f", false),
        ("d", true),
        ("c", true),
        ("a", true),
    ] {
        let key = area.key(name);
        let found = is_conflict(&area, read, async |tx| tx.clear(&key)).await?;
        assert_eq!(found, expected, "write of {name} against rows b and d");
        area.put([("b", b"1"), ("d", b"1"), ("f", b"1")]).await?;
    }
    Ok(())
}

/// SPEC B1: the same from the end.
pub async fn reverse_limited_range_read_conflicts_only_where_it_read(area: Area) -> Outcome {
    area.put([("b", b"1"), ("d", b"1"), ("f", b"1")]).await?;
    let read = async |tx: &Transaction| {
        collect(tx, RangeRead::from(area.range("a", "z")).limit(2).reverse()).await
    };
    for (name, expected) in [
        ("b", false),
        ("c", false),
        ("d", true),
        ("e", true),
        ("y", true),
    ] {
        let key = area.key(name);
        let found = is_conflict(&area, read, async |tx| tx.clear(&key)).await?;
        assert_eq!(found, expected, "write of {name} against rows f and d");
        area.put([("b", b"1"), ("d", b"1"), ("f", b"1")]).await?;
    }
    Ok(())
}

/// SPEC B1: a range that ended before its limit was read to its end.
pub async fn unfilled_limit_counts_to_the_end_of_the_range(area: Area) -> Outcome {
    area.put([("b", b"1")]).await?;
    let inserted = area.key("y");
    let read =
        async |tx: &Transaction| collect(tx, RangeRead::from(area.range("a", "z")).limit(2)).await;
    assert!(is_conflict(&area, read, async |tx| tx.set(&inserted, b"1")).await?);
    Ok(())
}

/// SPEC B1: of a large range, a page counts as read, and what is behind it does not.
pub async fn page_conflicts_only_where_it_read(area: Area) -> Outcome {
    let tx = area.begin();
    for number in 0..80 {
        tx.set(&area.key(format!("{number:02}")), &[0; 90_000])?;
    }
    tx.commit().await?;
    let (first, last) = (area.key("00"), area.key("79"));
    let page = area.begin().get_range(area.range("00", "99")).await?;
    let is_partial = page.has_more;
    let read = async |tx: &Transaction| tx.get_range(area.range("00", "99")).await.map(drop);
    let found = is_conflict(&area, read, async |tx| tx.set(&last, b"")).await?;
    assert_eq!(found, !is_partial);
    assert!(is_conflict(&area, read, async |tx| tx.set(&first, b"")).await?);
    Ok(())
}

/// SPEC B1: clearing an empty range in the middle of what was read writes nothing.
pub async fn clear_of_an_empty_range_does_not_conflict(area: Area) -> Outcome {
    let empty = area.range("m", "m");
    let read = async |tx: &Transaction| collect(tx, area.range("a", "z")).await;
    assert!(!is_conflict(&area, read, async |tx| tx.clear_range(&empty)).await?);
    Ok(())
}

/// SPEC B1: transactions that only write never conflict, whatever they write.
pub async fn blind_writes_never_conflict(area: Area) -> Outcome {
    let key = area.key("a");
    let (one, two) = (area.begin(), area.begin());
    for tx in [&one, &two] {
        take_snapshot(tx).await?;
        tx.set(&key, b"1")?;
        tx.clear_range(&area.range("b", "c"))?;
        tx.add(&area.key("n"), 1)?;
        tx.set_versionstamped_value(&area.key("v"), &[0; 14])?;
    }
    one.commit().await?;
    two.commit().await?;
    Ok(())
}

/// SPEC B1: snapshot reads add no conflict.
pub async fn snapshot_reads_never_conflict(area: Area) -> Outcome {
    let key = area.key("m");
    let read = async |tx: &Transaction| {
        tx.snapshot().get(&key).await?;
        tx.snapshot().get_range(area.range("a", "z")).await?;
        tx.snapshot().collect_range(area.range("a", "z")).await?;
        Ok(())
    };
    assert!(!is_conflict(&area, read, async |tx| tx.set(&key, b"1")).await?);
    Ok(())
}

/// SPEC B1: a transaction that writes nothing commits, whatever became of what it read.
pub async fn read_only_transaction_never_conflicts(area: Area) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    area.put([("a", b"1")]).await?;
    tx.commit().await?;
    Ok(())
}

/// SPEC B1: what was committed before the first read is no conflict.
pub async fn writes_before_the_snapshot_do_not_conflict(area: Area) -> Outcome {
    let tx = area.begin();
    area.put([("a", b"1")]).await?;
    tx.get(&area.key("a")).await?;
    tx.set(&area.key("b"), b"1")?;
    tx.commit().await?;
    Ok(())
}

/// SPEC B1: of two that read a value and write it back changed, one fails.
pub async fn lost_update_is_refused(area: Area) -> Outcome {
    let key = area.key("a");
    let (one, two) = (area.begin(), area.begin());
    for tx in [&one, &two] {
        tx.get(&key).await?;
        tx.set(&key, b"mine")?;
    }
    one.commit().await?;
    assert_error!(two.commit().await, Error::Conflict);
    Ok(())
}

/// SPEC B1: of two that each read what the other writes, one fails.
pub async fn write_skew_is_refused(area: Area) -> Outcome {
    let (a, b) = (area.key("a"), area.key("b"));
    let (one, two) = (area.begin(), area.begin());
    for tx in [&one, &two] {
        tx.get(&a).await?;
        tx.get(&b).await?;
    }
    one.set(&a, b"1")?;
    two.set(&b, b"1")?;
    one.commit().await?;
    assert_error!(two.commit().await, Error::Conflict);
    Ok(())
}

/// SPEC B1: of two whose ranges each miss the other's insert, one fails.
pub async fn phantom_is_refused(area: Area) -> Outcome {
    let (one, two) = (area.begin(), area.begin());
    for tx in [&one, &two] {
        assert!(tx.collect_range(area.range("a", "z")).await?.is_empty());
    }
    one.set(&area.key("b"), b"one")?;
    two.set(&area.key("c"), b"two")?;
    one.commit().await?;
    assert_error!(two.commit().await, Error::Conflict);
    Ok(())
}

/// SPEC B1: a transaction that conflicts writes nothing, and can be run again.
pub async fn conflict_writes_nothing_and_can_be_retried(area: Area) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    tx.set(&area.key("b"), b"1")?;
    tx.add(&area.key("n"), 1)?;
    area.put([("a", b"1")]).await?;
    let error = tx.commit().await.expect_err("what it read was written");
    assert!(matches!(error, Error::Conflict), "{error:?}");
    assert!(error.is_retryable() && !error.maybe_executed());
    assert_eq!(area.rows().await?.len(), 1);
    let again = area.begin();
    again.get(&area.key("a")).await?;
    again.set(&area.key("b"), b"1")?;
    again.commit().await?;
    Ok(())
}

/// SPEC B1: what a transaction that never committed wrote is no conflict.
pub async fn uncommitted_writes_do_not_conflict(area: Area) -> Outcome {
    let reader = area.begin();
    reader.get(&area.key("a")).await?;
    let cancelled = area.begin();
    cancelled.set(&area.key("a"), b"1")?;
    cancelled.cancel();
    reader.set(&area.key("b"), b"1")?;
    reader.commit().await?;
    Ok(())
}

/// SPEC B1: a value that depends on what is stored counts as read, though the transaction added to
/// it.
pub async fn read_of_own_add_conflicts(area: Area) -> Outcome {
    let key = area.key("n");
    let read = async |tx: &Transaction| {
        tx.add(&key, 1)?;
        get(tx, &key).await
    };
    assert!(is_conflict(&area, read, async |tx| tx.add(&key, 1)).await?);
    Ok(())
}

/// SPEC B1: a value that the transaction itself has set is not read from the store.
pub async fn read_of_own_set_does_not_conflict(area: Area) -> Outcome {
    let key = area.key("a");
    let read = async |tx: &Transaction| {
        take_snapshot(tx).await?;
        tx.set(&key, b"mine")?;
        get(tx, &key).await
    };
    assert!(!is_conflict(&area, read, async |tx| tx.set(&key, b"yours")).await?);
    Ok(())
}

async fn get(tx: &Transaction, key: &[u8]) -> Result<(), Error> {
    tx.get(key).await.map(drop)
}

async fn collect(tx: &Transaction, read: impl Into<RangeRead>) -> Result<(), Error> {
    tx.collect_range(read).await.map(drop)
}

/// A template for a versionstamped key that begins with `name`.
pub(super) fn stamped_key(area: &Area, name: &str) -> Vec<u8> {
    let mut template = area.key(name);
    let offset = u32::try_from(template.len()).expect("keys are short");
    template.extend([0; 10]);
    template.extend(offset.to_le_bytes());
    template
}
