//! The calendar's time as it is stored: milliseconds since 1970.

use std::time::{Duration, SystemTime};

/// What a time that can't be told is stored as: never, for all that can be waited for.
pub(crate) const NEVER_MILLIS: u64 = u64::MAX;

/// Times are clipped to this, the end of the year 9999, so that adding to one can't overflow.
pub(crate) const MILLIS_MAX: u64 = 253_402_300_799_999;

/// `time` in milliseconds since 1970; 0 for what was before.
pub(crate) fn to_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    u64::try_from(millis).unwrap_or(MILLIS_MAX).min(MILLIS_MAX)
}

/// The same, rounded up: at this time `time` is not to come any more.
pub(crate) fn to_millis_up(time: SystemTime) -> u64 {
    let millis = to_millis(time);
    if from_millis(millis) < time && millis < MILLIS_MAX {
        millis + 1
    } else {
        millis
    }
}

pub(crate) fn from_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.min(MILLIS_MAX))
}

/// `duration` in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).map_or(MILLIS_MAX, |millis| millis.min(MILLIS_MAX))
}
