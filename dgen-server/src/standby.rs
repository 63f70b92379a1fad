//! Standing by: of the consumers of one server, one serves, and the others let it.
//!
//! Every push wakes all of them. Those in other OS processes would handle the same messages and
//! collide at the commit, again and again. So who lost such a race stands by: it looks at the
//! queue's first message, and serves again when it has seen the same one for a while. Whoever served is
//! gone then, or slow. A consumer that has callers next door does not stand by for them.

use std::time::{Duration, Instant};

/// How long the same message has to be first, after one lost race and at most. Longer than most
/// batches take.
const PATIENCE_INITIAL: Duration = Duration::from_millis(100);
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// Place of a message in the queue.
type Place = [u8; 12];

/// That others serve, and what was seen of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standby {
    /// How many races were lost in a row.
    losses: u32,
    /// The queue's first message, and since when it is.
    first: Option<(Place, Instant)>,
}

impl Standby {
    /// One more race was lost.
    pub(crate) fn lost(earlier: Option<Self>) -> Self {
        let losses = earlier.map_or(0, |standby| standby.losses);
        Self {
            losses: losses.saturating_add(1),
            first: None,
        }
    }

    /// The queue's first message was seen.
    pub(crate) fn see(&mut self, first: Place, now: Instant) {
        if self.first.is_none_or(|(seen, _)| seen != first) {
            self.first = Some((first, now));
        }
    }

    /// How long to let others serve yet if this is the first message.
    pub(crate) fn wait(&self, first: Place, now: Instant) -> Duration {
        let doublings = self.losses.saturating_sub(1).min(16);
        let patience = (PATIENCE_INITIAL * 2_u32.pow(doublings)).min(PATIENCE_MAX);
        match self.first {
            Some((seen, since)) if seen == first => {
                patience.saturating_sub(now.saturating_duration_since(since))
            }
            _ => patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC S11: who stands by goes on when nobody else does.
    #[test]
    fn a_message_that_stays_first_is_served() {
        let start = dgen_backend::env::Env::system().now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut standby = Standby::lost(None);
        assert_eq!(standby.wait([1; 12], at(0)), PATIENCE_INITIAL);
        standby.see([1; 12], at(0));
        standby.see([1; 12], at(60));
        assert_eq!(standby.wait([1; 12], at(60)), Duration::from_millis(40));
        assert_eq!(standby.wait([1; 12], at(100)), Duration::ZERO);
        // Another one is first: somebody serves.
        assert_eq!(standby.wait([2; 12], at(100)), PATIENCE_INITIAL);
        standby.see([2; 12], at(100));
        assert_eq!(standby.wait([2; 12], at(150)), Duration::from_millis(50));
    }

    /// SPEC S11: it waits longer the more races it lost, up to a second.
    #[test]
    fn patience_is_bounded() {
        let now = dgen_backend::env::Env::system().now();
        let mut standby = Standby::lost(None);
        for _ in 0..100 {
            standby = Standby::lost(Some(standby));
        }
        assert_eq!(standby.wait([1; 12], now), PATIENCE_MAX);
    }
}
