//! Conflict ranges that are added by hand.

use dgen_backend::{Error, KeyRange, RangeRead, Transaction};

use super::{Outcome, is_conflict, take_snapshot};
use crate::Area;

/// SPEC B1: a read conflict added by hand counts as a read.
pub async fn added_read_conflict_counts_as_read(area: Area) -> Outcome {
    let key = area.key("m");
    let read = async |tx: &Transaction| {
        take_snapshot(tx).await?;
        tx.add_read_conflict(&area.range("a", "z"))
    };
    assert!(is_conflict(&area, read, async |tx| tx.set(&key, b"1")).await?);
    Ok(())
}

/// SPEC B1: a read conflict has its begin and not its end.
pub async fn added_read_conflict_keeps_to_its_bounds(area: Area) -> Outcome {
    let read = async |tx: &Transaction| {
        take_snapshot(tx).await?;
        tx.add_read_conflict(&area.range("b", "c"))
    };
    for (name, expected) in [("a", false), ("b", true), ("c", false)] {
        let key = area.key(name);
        let found = is_conflict(&area, read, async |tx| tx.set(&key, b"1")).await?;
        assert_eq!(found, expected, "write of {name} against b to c");
    }
    Ok(())
}

/// SPEC B1: a read conflict on one key is on that key alone.
pub async fn added_read_conflict_on_a_key_keeps_to_it(area: Area) -> Outcome {
    let read = async |tx: &Transaction| {
        take_snapshot(tx).await?;
        tx.add_read_conflict_key(&area.key("b"))
    };
    for (name, expected) in [("a", false), ("b", true), ("b\0", false), ("c", false)] {
        let key = area.key(name);
        let found = is_conflict(&area, read, async |tx| tx.set(&key, b"1")).await?;
        assert_eq!(found, expected, "write of {name:?} against b");
        let range = area.range(name, format!("{name}\0"));
        let found = is_conflict(&area, read, async |tx| tx.clear_range(&range)).await?;
        assert_eq!(found, expected, "clear of {name:?} against b");
    }
    Ok(())
}

/// SPEC B1: a write conflict added by hand counts as a write, and writes nothing.
pub async fn added_write_conflict_counts_as_write(area: Area) -> Outcome {
    let key = area.key("m");
    let read = async |tx: &Transaction| tx.get(&key).await.map(drop);
    let write = async |tx: &Transaction| tx.add_write_conflict(&area.range("a", "z"));
    assert!(is_conflict(&area, read, write).await?);
    assert!(area.rows().await?.is_empty());
    Ok(())
}

/// SPEC B1: a write conflict makes its own transaction one that can conflict.
pub async fn added_write_conflict_makes_reads_count(area: Area) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    tx.add_write_conflict(&area.range("x", "y"))?;
    area.put([("a", b"1")]).await?;
    assert_error!(tx.commit().await, Error::Conflict);
    Ok(())
}

/// SPEC B1: two write conflicts on one range are no conflict.
pub async fn added_write_conflicts_do_not_conflict_with_each_other(area: Area) -> Outcome {
    let write = async |tx: &Transaction| {
        take_snapshot(tx).await?;
        tx.add_write_conflict(&area.range("a", "z"))
    };
    assert!(!is_conflict(&area, write, write).await?);
    Ok(())
}

/// SPEC B1, Q2: a snapshot read of an open end, and a read conflict on just the rows taken: an insert
/// behind them is no conflict, taking the same row is one.
pub async fn rows_taken_by_snapshot_conflict_only_by_themselves(area: Area) -> Outcome {
    area.put([("a", b"1"), ("b", b"1")]).await?;
    let take = async |tx: &Transaction| {
        let read = RangeRead::from(area.all()).limit(1);
        for row in tx.snapshot().collect_range(read).await? {
            tx.add_read_conflict(&KeyRange::key(&row.key))?;
            tx.clear(&row.key)?;
        }
        Ok(())
    };
    let pushed = area.key("c");
    assert!(!is_conflict(&area, take, async |tx| tx.set(&pushed, b"1")).await?);
    assert!(is_conflict(&area, take, take).await?);
    Ok(())
}

/// SPEC B1: an empty range conflicts with nothing.
pub async fn empty_conflict_range_conflicts_with_nothing(area: Area) -> Outcome {
    let key = area.key("a");
    let read = async |tx: &Transaction| {
        take_snapshot(tx).await?;
        tx.add_read_conflict(&area.range("a", "a"))
    };
    assert!(!is_conflict(&area, read, async |tx| tx.set(&key, b"1")).await?);
    Ok(())
}
