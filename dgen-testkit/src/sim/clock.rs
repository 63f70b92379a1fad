//! A machine's clocks: too fast or too slow, and wrong.

use std::time::Duration;

use crate::Random;

/// The beginning of 2020, from 1970: where the calendar of a world begins.
pub(super) const EPOCH: Duration = Duration::from_secs(1_577_836_800);

const MILLION: i128 = 1_000_000;

/// How a machine's clocks stand to the world's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// By how many millionths they are too fast.
    drift_ppm: i32,
    /// By how many nanoseconds the calendar is ahead.
    skew_nanos: i128,
}

impl Clock {
    pub(super) fn random(random: &mut Random, skew_max: Duration, drift_max_ppm: u32) -> Self {
        let mut clock = Self {
            drift_ppm: signed(random, i128::from(drift_max_ppm)) as i32,
            skew_nanos: 0,
        };
        clock.jump(random, skew_max);
        clock
    }

    /// The calendar is wrong by another amount.
    pub(super) fn jump(&mut self, random: &mut Random, skew_max: Duration) {
        self.skew_nanos = signed(random, skew_max.as_nanos() as i128);
    }

    /// Sets the calendar to `wall_clock`, given as the time since 1970.
    pub(super) fn set_wall_clock(&mut self, elapsed: Duration, wall_clock: Duration) {
        let unskewed = (EPOCH + self.local(elapsed)).as_nanos() as i128;
        self.skew_nanos = wall_clock.as_nanos() as i128 - unskewed;
    }

    /// What the machine's monotonic clock says has passed, when `elapsed` has.
    pub(super) fn local(&self, elapsed: Duration) -> Duration {
        let nanos = elapsed.as_nanos() as i128;
        from_nanos((nanos * self.rate()).div_euclid(MILLION))
    }

    /// The calendar's time since 1970.
    pub(super) fn wall_clock(&self, elapsed: Duration) -> Duration {
        let unskewed = (EPOCH + self.local(elapsed)).as_nanos() as i128;
        from_nanos(unskewed + self.skew_nanos)
    }

    /// When `duration` has passed on the machine's clock, counted from `elapsed`: the first moment.
    pub(super) fn end(&self, elapsed: Duration, duration: Duration) -> Duration {
        let Some(local_end) = self.local(elapsed).checked_add(duration) else {
            return Duration::MAX;
        };
        // Rounded up, as `local` rounds down.
        let scaled = local_end.as_nanos() as i128 * MILLION;
        from_nanos((scaled + self.rate() - 1).div_euclid(self.rate()))
    }

    /// How many millionths of a second it counts in a second.
    fn rate(&self) -> i128 {
        MILLION + i128::from(self.drift_ppm)
    }
}

/// A number from `-max` to `max`.
fn signed(random: &mut Random, max: i128) -> i128 {
    let width = 2 * max + 1;
    i128::from(random.next_u64()) % width - max
}

fn from_nanos(nanos: i128) -> Duration {
    let nanos = nanos.max(0).cast_unsigned();
    let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
    Duration::new(seconds, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_ends_when_the_machines_own_clock_says_so() {
        let mut random = Random::new(1);
        for _ in 0..10_000 {
            let clock = Clock::random(&mut random, Duration::from_secs(3), 500_000);
            let begin = random.duration(Duration::from_secs(86_400));
            let duration = random.duration(Duration::from_secs(1_000));
            let end = clock.end(begin, duration);
            assert!(clock.local(end) - clock.local(begin) >= duration);
            let just_before = end - Duration::from_nanos(1);
            assert!(duration.is_zero() || clock.local(just_before) < clock.local(begin) + duration);
        }
        let clock = Clock::random(&mut random, Duration::ZERO, 500_000);
        assert_eq!(
            clock.end(Duration::from_secs(9), Duration::MAX),
            Duration::MAX
        );
    }

    #[test]
    fn a_calendar_that_is_set_shows_that() {
        let mut random = Random::new(2);
        let mut clock = Clock::random(&mut random, Duration::from_secs(3), 500_000);
        let (now, wall_clock) = (Duration::from_secs(77), EPOCH - Duration::from_secs(9));
        clock.set_wall_clock(now, wall_clock);
        assert_eq!(clock.wall_clock(now), wall_clock);
    }
}
