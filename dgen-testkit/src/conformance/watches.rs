//! Watches: early is allowed, never is not. A watch that should resolve and does not hangs its
//! test.

use std::{
    future::Future,
    task::{Context, Waker},
};

use dgen_backend::{Error, Transaction, Watch};

use super::{Outcome, is_conflict};
use crate::Area;

/// SPEC B4: a watch resolves after another transaction set the key.
pub async fn watch_resolves_after_set(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let watch = watch(&area, "a").await?;
    area.put([("a", b"2")]).await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a watch on a missing key resolves after it was created.
pub async fn watch_resolves_after_creation(area: Area) -> Outcome {
    let watch = watch(&area, "a").await?;
    area.put([("a", b"")]).await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a watch resolves after the key was cleared.
pub async fn watch_resolves_after_clear(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let watch = watch(&area, "a").await?;
    area.clear("a").await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a watch resolves after the key was cleared in a range.
pub async fn watch_resolves_after_clear_range(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let watch = watch(&area, "a").await?;
    area.remove().await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a watch resolves after an addition.
pub async fn watch_resolves_after_add(area: Area) -> Outcome {
    let watch = watch(&area, "n").await?;
    let tx = area.begin();
    tx.add(&area.key("n"), 1)?;
    tx.commit().await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a watch resolves after the key got a versionstamped value.
pub async fn watch_resolves_after_versionstamped_value(area: Area) -> Outcome {
    let watch = watch(&area, "v").await?;
    let tx = area.begin();
    tx.set_versionstamped_value(&area.key("v"), &[0; 14])?;
    tx.commit().await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a watch that is waited for already is woken.
pub async fn waiting_watch_is_woken(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let watch = watch(&area, "a").await?;
    let writer = async {
        tokio::task::yield_now().await;
        area.put([("a", b"2")]).await
    };
    let (watched, written) = tokio::join!(watch, writer);
    written?;
    watched?;
    Ok(())
}

/// SPEC B4: a change between what the transaction saw and its commit is not lost.
pub async fn change_before_the_watching_commit_is_not_lost(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    let watch = tx.watch(&area.key("a"))?;
    tx.get(&area.key("a")).await?;
    area.put([("a", b"2")]).await?;
    // It writes nothing, so it does not conflict.
    tx.commit().await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a change between the watching commit and the first poll is not lost.
pub async fn change_before_the_first_poll_is_not_lost(area: Area) -> Outcome {
    let watch = watch(&area, "a").await?;
    area.put([("a", b"1")]).await?;
    area.put([("b", b"1")]).await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: every watch on a key resolves.
pub async fn all_watches_on_a_key_resolve(area: Area) -> Outcome {
    let mut watches = Vec::new();
    for _ in 0..10 {
        watches.push(watch(&area, "a").await?);
    }
    area.put([("a", b"1")]).await?;
    for watch in watches {
        watch.await?;
    }
    Ok(())
}

/// SPEC B4: what the transaction saw includes its own writes: a watch on a value it has set resolves
/// after the next change.
pub async fn watch_on_own_write_resolves_after_the_next_change(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    tx.set(&area.key("a"), b"2")?;
    let watch = tx.watch(&area.key("a"))?;
    tx.commit().await?;
    // Back to what was stored before: the watch saw 2.
    area.put([("a", b"1")]).await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a transaction's own write behind its watch is a change too.
pub async fn own_write_behind_the_watch_is_a_change(area: Area) -> Outcome {
    area.put([("a", b"1")]).await?;
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    let watch = tx.watch(&area.key("a"))?;
    tx.set(&area.key("a"), b"2")?;
    tx.commit().await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: a watch counts as a read of its key.
pub async fn watch_takes_a_read_conflict(area: Area) -> Outcome {
    let key = area.key("a");
    let mut watches = Vec::new();
    let watch = async |tx: &Transaction| {
        watches.push(tx.watch(&key)?);
        // Its read is under way; the version tells when the snapshot is taken.
        tx.read_version().await.map(drop)
    };
    assert!(is_conflict(&area, watch, async |tx| tx.set(&key, b"1")).await?);
    Ok(())
}

/// SPEC B4: a watch of a transaction that conflicts resolves, with an error or early.
pub async fn watch_of_a_conflicting_transaction_resolves(area: Area) -> Outcome {
    let tx = area.begin();
    tx.get(&area.key("a")).await?;
    let watch = tx.watch(&area.key("w"))?;
    tx.set(&area.key("b"), b"1")?;
    area.put([("a", b"1")]).await?;
    assert_error!(tx.commit().await, Error::Conflict);
    let _failed = watch.await;
    Ok(())
}

/// SPEC B4: a watch of a transaction that is cancelled or dropped fails.
pub async fn watch_of_a_cancelled_transaction_fails(area: Area) -> Outcome {
    let tx = area.begin();
    let watch = tx.watch(&area.key("w"))?;
    tx.cancel();
    assert!(watch.await.is_err());
    let tx = area.begin();
    let watch = tx.watch(&area.key("w"))?;
    drop(tx);
    assert!(watch.await.is_err());
    Ok(())
}

/// SPEC B4: a watch outlives its transaction.
pub async fn watch_outlives_its_transaction(area: Area) -> Outcome {
    let tx = area.begin();
    let watch = tx.watch(&area.key("a"))?;
    tx.commit().await?;
    drop(tx);
    area.put([("a", b"1")]).await?;
    watch.await?;
    Ok(())
}

/// SPEC B4: dropping a watch frees it: more of them can be made, one after another, than may wait at
/// once.
pub async fn dropped_watches_are_freed(area: Area) -> Outcome {
    for _ in 0..101 {
        let tx = area.begin();
        let watches: Vec<Watch> = (0..100_u8)
            .map(|number| tx.watch(&area.key([number])))
            .collect::<Result<_, _>>()?;
        tx.commit().await?;
        drop(watches);
    }
    Ok(())
}

/// SPEC B4: a watch that was polled can be dropped, and the key goes on being written.
pub async fn dropped_watch_disturbs_nobody(area: Area) -> Outcome {
    let mut dropped = Box::pin(watch(&area, "a").await?);
    let mut cx = Context::from_waker(Waker::noop());
    let _early = dropped.as_mut().poll(&mut cx);
    let kept = watch(&area, "a").await?;
    drop(dropped);
    area.put([("a", b"1")]).await?;
    kept.await?;
    Ok(())
}

/// SPEC B4: a thing that waits in a loop of look, watch, wait sees the last value.
pub async fn waiting_in_a_loop_reaches_the_last_value(area: Area) -> Outcome {
    let waiter = async {
        loop {
            let tx = area.begin();
            let value = tx.get(&area.key("a")).await?;
            if value.as_deref() == Some(&[99]) {
                return Ok::<_, Error>(());
            }
            let watch = tx.watch(&area.key("a"))?;
            tx.commit().await?;
            watch.await?;
        }
    };
    let writer = async {
        for value in 0..100_u8 {
            area.put([("a", &[value])]).await?;
        }
        Ok::<_, Error>(())
    };
    let (waited, written) = tokio::join!(waiter, writer);
    waited?;
    written?;
    Ok(())
}

/// A watch in a transaction of its own.
async fn watch(area: &Area, name: &str) -> Result<Watch, Error> {
    let tx = area.begin();
    let watch = tx.watch(&area.key(name))?;
    tx.commit().await?;
    Ok(watch)
}
