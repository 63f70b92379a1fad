//! What an operator sees of a server.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use dgen_backend::Transaction;

use crate::{address::Address, agenda, clock, dead_letters, hold::Hold, remedy::AttemptError};

/// How a server is: see [`Handle::status`](crate::Handle::status).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether it has a state: it was started, and not killed since.
    pub is_started: bool,
    /// How many messages wait in its queue.
    pub queue_len: u64,
    /// What holds its queue up, if something does.
    pub hold: Option<HeldBy>,
    /// How many dead letters it has.
    pub dead_letters: u64,
    /// When its next timer is due, or the next sweep of what callers left behind.
    pub next_due: Option<SystemTime>,
}

/// What holds a queue up.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeldBy {
    /// Its first message can't be handled, and is tried again.
    Failing {
        /// How often it was tried.
        attempts: u32,
        /// Why it failed last.
        error: String,
        /// When it failed first.
        since: SystemTime,
    },
    /// A message has locked the server.
    Lock {
        /// Since when.
        since: SystemTime,
        /// The holder's fence: greater for each holder.
        fence: u64,
        /// The holder's OS process, by the random name that it has in this database.
        process: u128,
        /// How often the holder has renewed its lease.
        renewals: u64,
        /// How long the lease is.
        lease: Duration,
        /// How often the lock was taken over from a holder that was gone.
        takeovers: u32,
        /// How often the work failed.
        failures: u32,
        /// Why it failed last.
        error: Option<String>,
    },
}

pub(crate) async fn status(
    tx: &Transaction,
    address: &Arc<Address>,
) -> Result<Status, AttemptError> {
    let keys = &address.keys;
    let hold = tx.get(&keys.hold());
    let version = dgen_codec::version(tx, keys.state());
    let first_due = agenda::first(tx, keys);
    let queue_len = keys.queue().len(tx).await?;
    let hold = hold.await?.map(|bytes| Hold::from_bytes(&bytes));
    Ok(Status {
        is_started: version.await?.is_some(),
        queue_len,
        hold: hold.transpose()?.map(HeldBy::from_hold),
        dead_letters: dead_letters::count(tx, address).await?,
        next_due: first_due.due_millis(keys).await?.map(clock::from_millis),
    })
}

impl HeldBy {
    fn from_hold(hold: Hold) -> Self {
        match hold {
            Hold::Failing(failing) => Self::Failing {
                attempts: failing.attempts,
                error: failing.error,
                since: clock::from_millis(failing.since),
            },
            Hold::Locked(lock) => Self::Lock {
                since: clock::from_millis(lock.since),
                fence: lock.fence,
                process: u128::from_be_bytes(lock.process),
                renewals: lock.renewals,
                lease: Duration::from_millis(lock.lease),
                takeovers: lock.takeovers,
                failures: lock.attempts,
                error: lock.error,
            },
        }
    }
}
