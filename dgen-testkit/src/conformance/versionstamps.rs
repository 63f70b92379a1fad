//! Versionstamps: the order of all commits.

use std::collections::BTreeSet;

use dgen_backend::{
    CommitVersionstamp, Error, KeyRange, Transaction,
    tuple::{self, Versionstamp},
};
use tokio::task::JoinSet;

use super::{Outcome, conflicts::stamped_key};
use crate::Area;

/// SPEC B3: versionstamps increase strictly from commit to commit.
pub async fn versionstamps_increase(area: Area) -> Outcome {
    let mut last = None;
    for _ in 0..20 {
        let stamp = commit_stamped(&area, "a").await?;
        assert!(last < Some(stamp), "{last:?} then {stamp:?}");
        last = Some(stamp);
    }
    Ok(())
}

/// SPEC B3: the versionstamp in a value is the commit's, at the offset asked for, and the bytes
/// around it stay.
pub async fn versionstamped_value_holds_the_stamp_at_its_offset(area: Area) -> Outcome {
    for (before, after) in [("", ""), ("before", ""), ("", "after"), ("before", "after")] {
        let tx = area.begin();
        let template = template(before.as_bytes(), after.as_bytes());
        tx.set_versionstamped_value(&area.key("v"), &template)?;
        let stamp = commit_with_stamp(tx).await?;
        let expected = [before.as_bytes(), &stamp, after.as_bytes()].concat();
        assert_eq!(area.value("v").await?.as_deref(), Some(&expected[..]));
    }
    Ok(())
}

/// SPEC B3: the versionstamp in a key is the commit's, at the offset asked for, and the bytes
/// around it stay.
pub async fn versionstamped_key_holds_the_stamp_at_its_offset(area: Area) -> Outcome {
    for after in ["", "after"] {
        let tx = area.begin();
        let template = template(&area.key("k"), after.as_bytes());
        tx.set_versionstamped_key(&template, b"value")?;
        let stamp = commit_with_stamp(tx).await?;
        let key = [&area.key("k"), &stamp[..], after.as_bytes()].concat();
        let value = area.begin().get(&key).await?;
        assert_eq!(value.as_deref(), Some(&b"value"[..]));
    }
    assert_eq!(area.rows().await?.len(), 2);
    Ok(())
}

/// SPEC B3: what was in the place of the stamp does not matter.
pub async fn placeholder_does_not_matter(area: Area) -> Outcome {
    let tx = area.begin();
    let mut template = template(b"", b"");
    template[..10].copy_from_slice(b"0123456789");
    tx.set_versionstamped_value(&area.key("v"), &template)?;
    let stamp = commit_with_stamp(tx).await?;
    assert_eq!(area.value("v").await?.as_deref(), Some(&stamp[..]));
    Ok(())
}

/// SPEC B3: keys of later commits come behind those of earlier ones.
pub async fn versionstamped_keys_are_in_commit_order(area: Area) -> Outcome {
    for number in 0..20_u8 {
        let tx = area.begin();
        tx.set_versionstamped_key(&stamped_key(&area, "log"), &[number])?;
        tx.commit().await?;
    }
    let values: Vec<_> = area.rows().await?.into_iter().map(|row| row.1).collect();
    assert_eq!(
        values,
        (0..20_u8).map(|number| vec![number]).collect::<Vec<_>>()
    );
    Ok(())
}

/// SPEC B3: everything in a transaction has its one stamp, and two bytes order it within.
pub async fn user_versions_order_a_transaction(area: Area) -> Outcome {
    let tx = area.begin();
    let log = tuple::Subspace::from_bytes(area.key("log"));
    for number in 0..300_u32 {
        let version = Versionstamp::incomplete(tx.next_user_version()?);
        let key = log.pack_with_versionstamp(&(version,));
        tx.set_versionstamped_key(&key, &number.to_be_bytes())?;
    }
    let stamp = commit_with_stamp(tx).await?;
    let rows = area.begin().collect_range(area.range("log", "loh")).await?;
    assert_eq!(rows.len(), 300);
    for (number, row) in (0..300_u16).zip(&rows) {
        assert_eq!(row.value[..], u32::from(number).to_be_bytes());
        let (version,) = log.unpack::<(Versionstamp,)>(&row.key)?;
        assert_eq!(version, Versionstamp::complete(stamp, number));
    }
    Ok(())
}

/// SPEC B3: one transaction has room for 65,536 of them, and no more.
pub async fn user_versions_end_after_65536(area: Area) -> Outcome {
    let tx = area.begin();
    for expected in 0..=u16::MAX {
        assert_eq!(tx.next_user_version()?, expected);
    }
    assert_error!(tx.next_user_version(), Error::TooManyVersionstamps);
    Ok(())
}

/// SPEC B3: a template without room for its stamp is refused.
pub async fn template_that_is_too_short_is_refused(area: Area) -> Outcome {
    let mut beyond = area.key("a");
    beyond.extend([0; 10]);
    let offset = u32::try_from(beyond.len() - 9).expect("keys are short");
    beyond.extend(offset.to_le_bytes());
    let far = [&[0; 10][..], &u32::MAX.to_le_bytes()].concat();
    for template in [&b""[..], &[0; 3], &[0; 13], &beyond, &far] {
        let tx = area.begin();
        assert_error!(
            tx.set_versionstamped_key(template, b""),
            Error::VersionstampOutOfBounds { .. }
        );
        let tx = area.begin();
        assert_error!(
            tx.set_versionstamped_value(&area.key("a"), template),
            Error::VersionstampOutOfBounds { .. }
        );
        assert_error!(tx.commit().await, Error::VersionstampOutOfBounds { .. });
    }
    Ok(())
}

/// SPEC B3: a versionstamped value has no value before the commit.
pub async fn own_versionstamped_value_is_unreadable(area: Area) -> Outcome {
    area.put([("v", b"old")]).await?;
    let tx = area.begin();
    tx.set_versionstamped_value(&area.key("v"), &[0; 14])?;
    assert_error!(tx.get(&area.key("v")).await, Error::Unreadable { .. });
    assert_error!(
        tx.snapshot().get(&area.key("v")).await,
        Error::Unreadable { .. }
    );
    assert_error!(tx.collect_range(area.all()).await, Error::Unreadable { .. });
    assert_eq!(tx.get(&area.key("other")).await?, None);
    assert_error!(tx.commit().await, Error::Unreadable { .. });
    assert_eq!(area.value("v").await?.as_deref(), Some(&b"old"[..]));
    Ok(())
}

/// SPEC B3: where a versionstamped key will be is not known before the commit: a range that it may
/// be in is unreadable, another is not.
pub async fn range_of_own_versionstamped_key_is_unreadable(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    tx.set_versionstamped_key(&stamped_key(&area, "log"), b"")?;
    assert_error!(
        tx.collect_range(area.range("log", "loh")).await,
        Error::Unreadable { .. }
    );
    assert_eq!(tx.collect_range(area.range("a", "b")).await?.len(), 1);
    assert_error!(tx.commit().await, Error::Unreadable { .. });
    assert_eq!(area.rows().await?.len(), 1);
    Ok(())
}

/// SPEC B3: a key set by versionstamp is written behind everything else of its transaction: a clear of
/// its neighbours, or of all around it, does not remove it.
pub async fn own_clear_leaves_versionstamped_keys(area: Area) -> Outcome {
    let first = area.begin();
    first.set_versionstamped_key(&stamped_key(&area, "log"), b"0")?;
    first.commit().await?;
    // A few times: what matters is a read version that is the stamp of the key cleared.
    for number in 1..20_u8 {
        let tx = area.begin();
        let old = tx.snapshot().collect_range(area.all()).await?;
        let [old] = &old[..] else {
            panic!("{} rows in round {number}", old.len());
        };
        tx.set_versionstamped_key(&stamped_key(&area, "log"), &[number])?;
        // Up to the last key with the stamp of the one that is there.
        let mut end = old.key.to_vec();
        end.push(0xff);
        match number % 2 {
            0 => tx.clear_range(&KeyRange::new(old.key.to_vec(), end))?,
            _ => tx.clear_range(&area.all())?,
        }
        tx.commit().await?;
        let rows = area.rows().await?;
        let values: Vec<_> = rows.iter().map(|(_, value)| value.as_slice()).collect();
        assert_eq!(values, [[number]], "in round {number}");
    }
    Ok(())
}

/// SPEC B3: a transaction that wrote nothing has no versionstamp.
pub async fn read_only_transaction_has_no_versionstamp(area: Area) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    let stamp = tx.versionstamp();
    tx.commit().await?;
    assert!(stamp.await.is_err());
    Ok(())
}

/// SPEC B3: a transaction that was not committed has no versionstamp, and says so.
pub async fn failed_transaction_has_no_versionstamp(area: Area) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    tx.set(&area.key("b"), b"1")?;
    let stamp = tx.versionstamp();
    area.put([("a", b"1")]).await?;
    assert_error!(tx.commit().await, Error::Conflict);
    assert!(stamp.await.is_err());
    let cancelled = area.begin();
    cancelled.set(&area.key("b"), b"1")?;
    let stamp = cancelled.versionstamp();
    cancelled.cancel();
    assert!(stamp.await.is_err());
    Ok(())
}

/// SPEC B3: commits at the same time have different versionstamps, and the log that they write is
/// in the order in which they were acknowledged.
pub async fn concurrent_commits_have_distinct_versionstamps(area: Area) -> Outcome {
    let mut tasks = JoinSet::new();
    for task in 0..6_u8 {
        let area = area.clone();
        tasks.spawn(async move {
            let mut stamps = Vec::new();
            for _ in 0..20 {
                let tx = area.begin();
                tx.set_versionstamped_key(&stamped_key(&area, "log"), &[task])?;
                stamps.push(commit_with_stamp(tx).await?);
            }
            Ok::<_, Error>(stamps)
        });
    }
    let mut all = BTreeSet::new();
    while let Some(stamps) = tasks.join_next().await {
        let stamps = stamps??;
        assert!(stamps.is_sorted(), "a task's own commits are in order");
        all.extend(stamps);
    }
    assert_eq!(all.len(), 120);
    let logged: Vec<_> = area.rows().await?.into_iter().map(|row| row.0).collect();
    let expected: Vec<_> = all.iter().map(|s| [b"log", &s[..]].concat()).collect();
    assert_eq!(logged, expected);
    Ok(())
}

/// SPEC B3: who has read a commit and commits has the later versionstamp.
pub async fn versionstamps_follow_what_was_read(area: Area) -> Outcome {
    for _ in 0..10 {
        let first = commit_stamped(&area, "a").await?;
        let tx = area.begin();
        assert_eq!(tx.get(&area.key("a")).await?.as_deref(), Some(&first[..]));
        tx.set(&area.key("b"), b"")?;
        assert!(commit_with_stamp(tx).await? > first);
    }
    Ok(())
}

/// A template with its stamp between `before` and `after`.
fn template(before: &[u8], after: &[u8]) -> Vec<u8> {
    let offset = u32::try_from(before.len()).expect("templates are short");
    [before, &[0; 10], after, &offset.to_le_bytes()].concat()
}

async fn commit_stamped(area: &Area, name: &str) -> Result<CommitVersionstamp, Error> {
    let tx = area.begin();
    tx.set_versionstamped_value(&area.key(name), &[0; 14])?;
    commit_with_stamp(tx).await
}

async fn commit_with_stamp(tx: Transaction) -> Result<CommitVersionstamp, Error> {
    let stamp = tx.versionstamp();
    tx.commit().await?;
    stamp.await
}
