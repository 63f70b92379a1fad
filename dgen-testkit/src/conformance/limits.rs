//! FoundationDB's limits, which hold on every backend.

use dgen_backend::{
    Error, KeyRange,
    limits::{KEY_SIZE_MAX_BYTES, VALUE_SIZE_MAX_BYTES},
};

use super::Outcome;
use crate::Area;

/// SPEC B7: a key of 10,000 bytes is written, read and cleared.
pub async fn longest_key_works(area: Area) -> Outcome {
    let key = key_of(&area, KEY_SIZE_MAX_BYTES);
    let tx = area.begin();
    tx.set(&key, b"1")?;
    tx.commit().await?;
    assert!(area.begin().get(&key).await?.is_some());
    let rows = area.begin().collect_range(KeyRange::key(&key)).await?;
    assert_eq!(rows.len(), 1);
    let tx = area.begin();
    tx.clear_range(&KeyRange::key(&key))?;
    tx.commit().await?;
    assert_eq!(area.begin().get(&key).await?, None);
    Ok(())
}

/// SPEC B7: a key of 10,001 bytes is refused by every operation.
pub async fn longer_key_is_refused(area: Area) -> Outcome {
    let key = key_of(&area, KEY_SIZE_MAX_BYTES + 1);
    let is_too_large = |result: Result<(), Error>| {
        assert_error!(
            result,
            Error::KeyTooLarge {
                size_bytes: 10_001,
                ..
            }
        );
    };
    let tx = area.begin();
    is_too_large(tx.set(&key, b""));
    is_too_large(tx.clear(&key));
    is_too_large(tx.add(&key, 1));
    is_too_large(tx.set_versionstamped_value(&key, &[0; 14]));
    is_too_large(tx.watch(&key).map(drop));
    is_too_large(tx.get(&key).await.map(drop));
    is_too_large(tx.snapshot().get(&key).await.map(drop));
    is_too_large(tx.commit().await);
    Ok(())
}

/// SPEC B7: a value of 100,000 bytes is written and read.
pub async fn largest_value_works(area: Area) -> Outcome {
    let value = vec![0xab; VALUE_SIZE_MAX_BYTES];
    area.put([("a", &value)]).await?;
    assert!(area.value("a").await?.as_deref() == Some(&value));
    Ok(())
}

/// SPEC B7: a value of 100,001 bytes is refused.
pub async fn larger_value_is_refused(area: Area) -> Outcome {
    let value = vec![0xab; VALUE_SIZE_MAX_BYTES + 1];
    let tx = area.begin();
    assert_error!(
        tx.set(&area.key("a"), &value),
        Error::ValueTooLarge {
            size_bytes: 100_001,
            ..
        }
    );
    assert_error!(tx.commit().await, Error::ValueTooLarge { .. });
    Ok(())
}

/// SPEC B7: a transaction of 9 MB commits.
pub async fn large_transaction_commits(area: Area) -> Outcome {
    let tx = area.begin();
    for number in 0..90_u8 {
        tx.set(&area.key([number]), &vec![number; VALUE_SIZE_MAX_BYTES])?;
    }
    tx.commit().await?;
    let last = area.begin().get(&area.key([89])).await?;
    assert!(last.is_some_and(|value| value.iter().all(|byte| *byte == 89)));
    Ok(())
}

/// SPEC B7: a transaction of more than 10 MB is refused, and nothing of it is written.
pub async fn larger_transaction_is_refused(area: Area) -> Outcome {
    let tx = area.begin();
    let written = (0..101_u8)
        .try_for_each(|number| tx.set(&area.key([number]), &vec![number; VALUE_SIZE_MAX_BYTES]));
    // At the write that passes the limit or at the commit: both are clear.
    if let Err(error) = written {
        assert!(
            matches!(error, Error::TransactionTooLarge { .. }),
            "{error:?}"
        );
    }
    assert_error!(tx.commit().await, Error::TransactionTooLarge { .. });
    assert_eq!(area.value("\0").await?, None);
    Ok(())
}

/// SPEC B7: conflict ranges count for the transaction's size too.
pub async fn conflict_ranges_count_for_the_size(area: Area) -> Outcome {
    let tx = area.begin();
    tx.set(&area.key("a"), b"1")?;
    let range = KeyRange::key(&key_of(&area, KEY_SIZE_MAX_BYTES));
    let added = (0..510).try_for_each(|_| tx.add_read_conflict(&range));
    if let Err(error) = added {
        assert!(
            matches!(error, Error::TransactionTooLarge { .. }),
            "{error:?}"
        );
    }
    assert_error!(tx.commit().await, Error::TransactionTooLarge { .. });
    Ok(())
}

/// SPEC B7: keys that begin with 0xFF are the database's own.
pub async fn system_keys_are_refused(area: Area) -> Outcome {
    let is_outside = |result: Result<(), Error>| {
        assert_error!(result, Error::KeyOutsideLegalRange { .. });
    };
    let tx = area.begin();
    let system = KeyRange::new([0xff], [0xff, 0xff]);
    is_outside(tx.set(b"\xff/a", b""));
    is_outside(tx.clear(b"\xff"));
    is_outside(tx.add(b"\xff/a", 1));
    is_outside(tx.set_versionstamped_value(b"\xff/a", &[0; 14]));
    is_outside(tx.clear_range(&system));
    is_outside(tx.add_read_conflict(&system));
    is_outside(tx.add_write_conflict(&system));
    is_outside(tx.watch(b"\xff/a").map(drop));
    is_outside(tx.commit().await);
    Ok(())
}

/// SPEC B7: the end of all keys, 0xFF, may end a range.
pub async fn range_may_end_at_the_end_of_all_keys(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let range = KeyRange::new(area.key("a"), [0xff]);
    let read = dgen_backend::RangeRead::from(range).limit(1);
    assert_eq!(area.begin().collect_range(read).await?.len(), 1);
    Ok(())
}

/// A key of the area that is `size_bytes` long.
fn key_of(area: &Area, size_bytes: usize) -> Vec<u8> {
    area.key(vec![b'k'; size_bytes - area.prefix().len()])
}
