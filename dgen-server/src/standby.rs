//! Standing by: of the consumers of one server, one serves, and the others let it.
//!
//! Every push wakes all of them. Those in other OS processes would handle the same messages and
//! collide at the commit, again and again. So who lost such a race stands by: it looks at the
//! queue's first message, and serves again when it has seen the same one for a while. Whoever served is
//! gone then, or slow.
//!
//! A consumer that has callers next door does not wait for others to handle their messages, since
//! those are nowhere but here. But the one that has just committed goes on at once, while the one that
//! lost waits before it tries again, and so would lose to it again and again. So who lost several
//! races in a row with such messages has its callers put them into the queue, for a while: there they have
//! their place, and whoever commits takes them along.

use std::time::{Duration, Instant};

/// How long the same message has to be first, after one lost race and at most. Longer than most
/// batches take.
const PATIENCE_INITIAL: Duration = Duration::from_millis(100);
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// So many races in a row may be lost with the same messages of callers next door.
pub(crate) const LOST_RACES_MAX: u32 = 3;

/// Place of a message in the queue.
type Place = [u8; 12];

/// That others serve, and what was seen of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standby {
    /// How many races were lost in a row.
    losses: u32,
    /// When several were lost with the same messages of callers next door.
    outrun_at: Option<Instant>,
    /// The queue's first message, and since when it is.
    first: Option<(Place, Instant)>,
}

impl Standby {
    /// One more race was lost.
    pub(crate) fn lost(earlier: Option<Self>) -> Self {
        let losses = earlier.map_or(0, |standby| standby.losses);
        Self {
            losses: losses.saturating_add(1),
            outrun_at: earlier.and_then(|standby| standby.outrun_at),
            first: None,
        }
    }

    /// Several in a row were, with the same messages of callers next door.
    pub(crate) fn outrun(earlier: Option<Self>, now: Instant) -> Self {
        Self {
            outrun_at: Some(now),
            ..Self::lost(earlier)
        }
    }

    /// Whether callers next door are to put their messages into the queue.
    pub(crate) fn defers(&self, now: Instant) -> bool {
        self.outrun_at
            .is_some_and(|at| now.saturating_duration_since(at) < self.patience())
    }

    /// The queue's first message was seen.
    pub(crate) fn see(&mut self, first: Place, now: Instant) {
        if self.first.is_none_or(|(seen, _)| seen != first) {
            self.first = Some((first, now));
        }
    }

    /// How long to let others serve yet if this is the first message.
    pub(crate) fn wait(&self, first: Place, now: Instant) -> Duration {
        match self.first {
            Some((seen, since)) if seen == first => self
                .patience()
                .saturating_sub(now.saturating_duration_since(since)),
            _ => self.patience(),
        }
    }

    fn patience(&self) -> Duration {
        let doublings = self.losses.saturating_sub(1).min(16);
        (PATIENCE_INITIAL * 2_u32.pow(doublings)).min(PATIENCE_MAX)
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

    /// SPEC S11: callers next door are asked to use the queue for a while only: who served may be gone.
    #[test]
    fn callers_are_deferred_for_a_while() {
        let start = dgen_backend::env::Env::system().now();
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!Standby::lost(None).defers(at(0)), "it may be faster here");
        let once = Standby::outrun(None, at(0));
        assert!(once.defers(at(0)) && once.defers(at(99)));
        assert!(!once.defers(at(100)));
        let twice = Standby::outrun(Some(once), at(100));
        assert!(twice.defers(at(299)));
        assert!(!twice.defers(at(300)));
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
