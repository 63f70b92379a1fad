//! A message at the head of the queue can't be handled: that is counted and, when it has been tried
//! often enough, the message becomes a dead letter.

use std::sync::Arc;

use dgen_backend::Transaction;
use dgen_queue::Limits;

use crate::{
    address::Address,
    clock,
    dead_letters::{self, Buried, shortened},
    decision::Stuck,
    error::text,
    hold::{Failing, Hold, Mark},
    remedy::AttemptError,
    reply::Death,
};

/// What has become of the message.
pub(crate) enum Blamed {
    /// It waits to be tried again.
    Held(Hold),
    /// It is a dead letter.
    Dead(Buried),
    /// It is not the first any more.
    Gone,
}

/// Counts the failure of a message, in a transaction of its own: that of its handler was not
/// committed, or holds only what came before.
pub(crate) async fn blame(address: &Arc<Address>, stuck: &Stuck) -> Result<Blamed, AttemptError> {
    let error = &shortened(&text(&stuck.failure));
    address
        .tenant
        .transact(|tx| async move { count(&tx, address, stuck, error).await })
        .await
}

async fn count(
    tx: &Transaction,
    address: &Address,
    stuck: &Stuck,
    error: &str,
) -> Result<Blamed, AttemptError> {
    let keys = &address.keys;
    let hold = tx.get(&keys.hold());
    let head = keys.queue().head(tx, Limits::items(1));
    let hold = hold.await?.map(|bytes| Hold::from_bytes(&bytes));
    let mut head = head.await?;
    let Some(first) = head.items().first() else {
        return Ok(Blamed::Gone);
    };
    if *first.stamp().as_bytes() != stuck.stamp {
        return Ok(Blamed::Gone);
    }
    // Whoever takes the message meanwhile makes this conflict: else a hold would be left behind.
    tx.add_read_conflict_key(first.key())?;
    let message = first.bytes().clone();
    let now_millis = clock::to_millis(address.tenant.env().wall_clock());
    let (attempts_before, since) = match hold.transpose()? {
        Some(Hold::Locked(_)) => return Ok(Blamed::Gone),
        Some(Hold::Failing(failing)) if failing.stamp == stuck.stamp => {
            if stuck.hold != Some(Mark::of_failing(&failing)) {
                // Another consumer has counted the same failure: this one waits as that one does.
                return Ok(Blamed::Held(Hold::Failing(failing)));
            }
            match (failing.is_unknown, stuck.is_unknown) {
                // A version that knows it has tried it for the first time.
                (true, false) => (0, now_millis),
                // A version that knows it counts; this one only looks.
                (false, true) => return Ok(Blamed::Held(Hold::Failing(failing))),
                _ => (failing.attempts, failing.since),
            }
        }
        _ => (0, now_millis),
    };
    let attempts = attempts_before.saturating_add(1);
    if !is_over(address, stuck, attempts, since, now_millis) {
        let hold = Hold::Failing(Failing {
            stamp: stuck.stamp,
            attempts,
            error: error.to_owned(),
            since,
            is_unknown: stuck.is_unknown,
        });
        hold.write(tx, keys)?;
        return Ok(Blamed::Held(hold));
    }
    head.pop(1)?;
    tx.clear(&keys.hold())?;
    let death = Death {
        error: error.to_owned(),
        attempts,
    };
    dead_letters::bury(tx, address, &message, death)
        .await
        .map(Blamed::Dead)
}

/// Whether it is not tried again. A message that this version does not know may be a newer one's:
/// it is given time, however often it is looked at.
fn is_over(
    address: &Address,
    stuck: &Stuck,
    attempts: u32,
    since_millis: u64,
    now_millis: u64,
) -> bool {
    if stuck.is_unknown {
        let grace = clock::millis(address.options.unknown_message_grace);
        now_millis.saturating_sub(since_millis) >= grace
    } else {
        attempts >= address.options.max_attempts
    }
}
