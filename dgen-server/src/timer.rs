//! Durable timers: casts that are sent at a time.

use std::fmt;

use dgen_codec::to_plain;
use serde::{Deserialize, Serialize};

use crate::message::Envelope;

/// A timer that was just set. Drop it, or give it a key.
pub struct Timer<'a> {
    key: Option<&'a mut Option<String>>,
}

/// What a timer sends, as it is stored. docs/wire-format.md describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timed {
    /// Without the time at which they are due.
    pub(crate) casts: Vec<Envelope>,
    /// The period of a timer that comes again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) every: Option<u64>,
}

impl Timer<'_> {
    pub(crate) fn of(key: &mut Option<String>) -> Timer<'_> {
        Timer { key: Some(key) }
    }

    pub(crate) fn none() -> Self {
        Self { key: None }
    }

    /// Gives the timer a key: it takes the place of the receiver's earlier timer of that key, and can be
    /// [cancelled](crate::Context::cancel). Of timers that are due in the same millisecond, those with a
    /// key are sent first, by their keys; the others in the order in which they were set.
    ///
    /// # Errors
    /// A key of more than 1,000 bytes is an error of the handler, as a panic is.
    pub fn key(self, key: impl Into<String>) {
        if let Some(slot) = self.key {
            *slot = Some(key.into());
        }
    }
}

impl Timed {
    /// What fits into one value.
    pub(crate) const SIZE_MAX_BYTES: usize = 100_000;

    pub(crate) fn new(casts: &[Envelope], every: Option<u64>) -> Self {
        Self {
            casts: casts.to_vec(),
            every,
        }
    }

    /// What is stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        to_plain(self).expect("its casts are short texts, numbers and bytes")
    }

    /// When a timer that was due at `due` comes next, if it does: at a multiple of its period after
    /// `now`.
    pub(crate) fn next(&self, due_millis: u64, now_millis: u64) -> Option<u64> {
        let every = self.every?.max(1);
        let missed = now_millis.saturating_sub(due_millis) / every;
        Some(due_millis.saturating_add((missed + 1).saturating_mul(every)))
    }
}

impl fmt::Debug for Timer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC T2: what was missed comes once, and the next at a multiple of the period.
    #[test]
    fn a_periodic_timer_skips_what_it_missed() {
        let timed = Timed::new(&[], Some(10));
        assert_eq!(timed.next(100, 100), Some(110));
        assert_eq!(timed.next(100, 109), Some(110));
        assert_eq!(timed.next(100, 110), Some(120));
        assert_eq!(timed.next(100, 1_234), Some(1_240));
        assert_eq!(timed.next(u64::MAX - 1, u64::MAX), Some(u64::MAX));
        assert_eq!(Timed::new(&[], None).next(100, 100), None);
    }
}
