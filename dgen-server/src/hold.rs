//! Why the first message of a queue waits: it failed, or it has locked the server.
//!
//! One key holds it, so that one read tells. What waits for a time waits by its own clock: a
//! consumer notes when it first saw a hold, and acts on it when it has seen it unchanged for long
//! enough. So no two machines' clocks are compared (SPEC S7).

use std::time::{Duration, Instant};

use dgen_backend::{
    Error, Transaction,
    planted::{self, Bug},
};
use dgen_codec::{from_plain, to_plain};
use serde::{Deserialize, Serialize};

use crate::{changes, keys::Keys};

/// How long a message that failed waits before it is tried again, the first time and at most.
const BACKOFF_INITIAL: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// What is stored. docs/wire-format.md describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hold {
    Failing(Failing),
    Locked(Lock),
}

/// The first message was tried, and failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failing {
    /// Which message: its place in the queue.
    #[serde(with = "serde_bytes")]
    pub(crate) stamp: [u8; 12],
    pub(crate) attempts: u32,
    pub(crate) error: String,
    /// When it failed first, in milliseconds since 1970.
    pub(crate) since: u64,
    /// Whether it failed since a version did not know it: one that does need not wait.
    #[serde(default)]
    pub(crate) is_unknown: bool,
}

/// A message has locked the server. It is kept beside this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    /// Which holder: greater for each one.
    pub(crate) fence: u64,
    /// The holder's OS process.
    #[serde(with = "serde_bytes")]
    pub(crate) process: [u8; 16],
    /// How often the lease was renewed.
    pub(crate) renewals: u64,
    /// How long the lease is, in milliseconds.
    pub(crate) lease: u64,
    /// When the message locked, in milliseconds since 1970.
    pub(crate) since: u64,
    /// How often the work failed.
    pub(crate) attempts: u32,
    /// How often the lock was taken over from a holder that was gone.
    pub(crate) takeovers: u32,
    /// Whether its holder has let it go, so that anyone may take it over at once.
    pub(crate) is_free: bool,
    /// Why the work failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// What held the queue up before a priority message locked: it does again when that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failing: Option<Failing>,
}

/// A hold that this version does not know. Nothing is handled meanwhile: it may be a lock.
#[derive(Debug, thiserror::Error)]
#[error("what holds the queue up can't be read: {reason}")]
pub(crate) struct Unreadable {
    pub(crate) reason: String,
}

/// What tells a hold from the same one later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Failing {
        stamp: [u8; 12],
        attempts: u32,
        is_unknown: bool,
    },
    Locked {
        fence: u64,
        renewals: u64,
    },
}

/// A hold that was seen, and when first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    mark: Mark,
    first_at: Instant,
}

impl Hold {
    pub(crate) fn mark(&self) -> Mark {
        match self {
            Self::Failing(failing) => Mark::of_failing(failing),
            Self::Locked(lock) => Mark::Locked {
                fence: lock.fence,
                renewals: lock.renewals,
            },
        }
    }

    /// How long it has to be seen unchanged before it may be acted on.
    pub(crate) fn patience(&self) -> Duration {
        match self {
            Self::Failing(failing) => backoff(failing.attempts),
            Self::Locked(_) if planted::is(Bug::LockWithoutLease) => Duration::ZERO,
            Self::Locked(lock) if lock.is_free => Duration::ZERO,
            Self::Locked(lock) => Duration::from_millis(lock.lease),
        }
    }

    pub(crate) fn write(&self, tx: &Transaction, keys: &Keys) -> Result<(), Error> {
        let bytes = to_plain(self).expect("a hold is numbers, bytes and short texts");
        changes::count(tx, keys)?;
        tx.set(&keys.hold(), &bytes)
    }

    /// The hold there is.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        from_plain(bytes).map_err(|error| Unreadable {
            reason: error.to_string(),
        })
    }
}

impl Mark {
    pub(crate) fn of_failing(failing: &Failing) -> Self {
        Self::Failing {
            stamp: failing.stamp,
            attempts: failing.attempts,
            is_unknown: failing.is_unknown,
        }
    }
}

/// How long a message that failed so often waits.
pub(crate) fn backoff(attempts: u32) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    (BACKOFF_INITIAL * 2_u32.pow(doublings)).min(BACKOFF_MAX)
}

impl Seen {
    pub(crate) fn new(hold: &Hold, now: Instant) -> Self {
        Self {
            mark: hold.mark(),
            first_at: now,
        }
    }

    /// The same sight if `hold` is still the same, else a new one.
    pub(crate) fn again(seen: Option<Self>, hold: &Hold, now: Instant) -> Self {
        seen.filter(|seen| seen.mark == hold.mark())
            .unwrap_or_else(|| Self::new(hold, now))
    }

    /// How long there is still to wait before it may be acted on.
    pub(crate) fn wait(&self, hold: &Hold, now: Instant) -> Duration {
        let seen_for = now.saturating_duration_since(self.first_at);
        hold.patience().saturating_sub(seen_for)
    }

    /// For how long it has not changed.
    pub(crate) fn unchanged_for(seen: Option<Self>, hold: &Hold, now: Instant) -> Duration {
        let seen = seen.filter(|seen| seen.mark == hold.mark());
        seen.map_or(Duration::ZERO, |seen| {
            now.saturating_duration_since(seen.first_at)
        })
    }

    /// Whether it may be acted on: it was seen before, and has not changed for long enough.
    pub(crate) fn is_ripe(seen: Option<Self>, hold: &Hold, now: Instant) -> bool {
        match seen.filter(|seen| seen.mark == hold.mark()) {
            Some(seen) => seen.wait(hold, now).is_zero(),
            None => hold.patience().is_zero(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(renewals: u64) -> Hold {
        Hold::Locked(Lock {
            fence: 7,
            process: [1; 16],
            renewals,
            lease: 5_000,
            since: 0,
            attempts: 0,
            takeovers: 0,
            is_free: false,
            error: None,
            failing: None,
        })
    }

    /// SPEC S7: a lock is ripe when it was not renewed for its whole lease, by the observer's clock.
    #[test]
    fn a_renewed_lock_is_never_ripe() {
        let start = dgen_backend::env::Env::system().now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let seen = Seen::again(None, &lock(0), at(0));
        assert!(!Seen::is_ripe(None, &lock(0), at(100)), "never seen before");
        assert!(!Seen::is_ripe(Some(seen), &lock(0), at(4)));
        assert!(Seen::is_ripe(Some(seen), &lock(0), at(5)));
        let renewed = Seen::again(Some(seen), &lock(1), at(4));
        assert!(!Seen::is_ripe(Some(renewed), &lock(1), at(8)));
        assert_eq!(
            Seen::again(Some(renewed), &lock(1), at(8)).wait(&lock(1), at(8)),
            Duration::from_secs(1)
        );
    }

    /// SPEC S9: backoff doubles, up to ten seconds.
    #[test]
    fn backoff_is_bounded() {
        assert_eq!(backoff(0), Duration::from_millis(50));
        assert_eq!(backoff(1), Duration::from_millis(50));
        assert_eq!(backoff(3), Duration::from_millis(200));
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}
