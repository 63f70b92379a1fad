//! A timer rings once for each time that it is due, not before, and not when it was cancelled long
//! before.

use std::{collections::BTreeMap, time::Duration};

use super::Evidence;
use crate::{
    history::Op,
    servers::{Alarm, Entry, State},
};

/// A handler's transaction is committed within this after the handler ran, the store being slow.
const COMMIT_MAX: Duration = Duration::from_secs(6);

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (server, state) in &evidence.states {
        if let State::Alarm(alarm) = state {
            let found = of_alarm(alarm, evidence.begun, evidence.skew_max());
            wrong.extend(found.into_iter().map(|what| format!("s{server}: {what}")));
        }
    }
    wrong
}

/// A timer that was set, and what became of it; times are from 1970.
struct Timer {
    op: Op,
    key: Option<u8>,
    is_periodic: bool,
    /// It can't be due earlier, by any calendar.
    earliest: Duration,
    /// When it was replaced or cancelled.
    gone: Option<Duration>,
    /// When it was due, each time it rang, and when it did.
    rang: Vec<(Duration, Duration)>,
}

fn of_alarm(alarm: &Alarm, begun: Duration, skew: Duration) -> Vec<String> {
    let mut timers: BTreeMap<Op, Timer> = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in &alarm.entries {
        match *entry {
            Entry::Set {
                op,
                key,
                after,
                is_periodic,
                at,
            } => {
                let at = begun + at;
                drop_key(&mut timers, key, at);
                let timer = Timer {
                    op,
                    key,
                    is_periodic,
                    earliest: at + after,
                    gone: None,
                    rang: Vec::new(),
                };
                timers.insert(op, timer);
            }
            Entry::Cancelled { key, at, .. } => drop_key(&mut timers, Some(key), begun + at),
            Entry::Rang { op, due, at } => match timers.get_mut(&op) {
                Some(timer) => timer.rang.push((due, begun + at)),
                None => wrong.push(format!("timer {op} rang, and nobody has set it")),
            },
        }
    }
    for timer in timers.values() {
        wrong.extend(of_timer(timer, begun, skew));
    }
    wrong
}

fn drop_key(timers: &mut BTreeMap<Op, Timer>, key: Option<u8>, at: Duration) {
    for timer in timers.values_mut() {
        if key.is_some() && timer.key == key {
            timer.gone.get_or_insert(at);
        }
    }
}

fn of_timer(timer: &Timer, begun: Duration, skew: Duration) -> Vec<String> {
    let Timer { op, rang, gone, .. } = timer;
    let mut wrong = Vec::new();
    let mut dues: Vec<_> = rang.iter().map(|(due, _)| *due).collect();
    dues.sort();
    let count = dues.len();
    dues.dedup();
    if dues.len() != count {
        wrong.push(format!("timer {op} rang twice for one time: {rang:?}"));
    }
    if !timer.is_periodic && count > 1 {
        wrong.push(format!("timer {op} rang {count} times: {rang:?}"));
    }
    if count == 0 && gone.is_none() {
        wrong.push(format!("timer {op} never rang"));
    }
    for (due, at) in rang {
        // Clocks may be a little fast or slow, too.
        let skew = skew + (*at - begun) / 1_000 + Duration::from_millis(5);
        if *at + skew < timer.earliest || *at + skew < *due {
            wrong.push(format!("timer {op} rang at {at:?}, and was due at {due:?}"));
        }
        if gone.is_some_and(|gone| gone + COMMIT_MAX + skew < *due) {
            wrong.push(format!(
                "timer {op} was cancelled at {gone:?}, and due at {due:?}"
            ));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn set(op: Op, key: Option<u8>, at: u32) -> Entry {
        let (after, is_periodic, at) = (SECOND, false, at * SECOND);
        Entry::Set {
            op,
            key,
            after,
            is_periodic,
            at,
        }
    }

    fn rang(op: Op, due: u32) -> Entry {
        let (due, at) = (due * SECOND, due * SECOND);
        Entry::Rang { op, due, at }
    }

    fn wrong(entries: Vec<Entry>) -> usize {
        of_alarm(&Alarm { entries }, Duration::ZERO, Duration::ZERO).len()
    }

    #[test]
    fn rings_that_are_right_are_accepted() {
        let cancelled = Entry::Cancelled {
            op: 9,
            key: 1,
            at: 2 * SECOND,
        };
        assert_eq!(wrong(vec![set(1, None, 1), rang(1, 2)]), 0);
        assert_eq!(
            wrong(vec![set(1, Some(1), 1), set(2, Some(1), 1), rang(2, 2)]),
            0
        );
        assert_eq!(wrong(vec![set(1, Some(1), 1), cancelled.clone()]), 0);
        // It was in the queue already.
        assert_eq!(wrong(vec![set(1, Some(1), 1), cancelled, rang(1, 2)]), 0);
    }

    #[test]
    fn a_calendar_that_is_slow_has_timers_due_before_the_world_began() {
        let alarm = Alarm {
            entries: vec![
                Entry::Set {
                    op: 1,
                    key: Some(1),
                    after: SECOND,
                    is_periodic: true,
                    at: Duration::ZERO,
                },
                rang(1, 8),
                rang(1, 9),
            ],
        };
        assert_eq!(of_alarm(&alarm, 10 * SECOND, 3 * SECOND).len(), 0);
    }

    #[test]
    fn lost_doubled_early_and_late_rings_are_found() {
        let cancelled = Entry::Cancelled {
            op: 9,
            key: 1,
            at: 2 * SECOND,
        };
        assert_eq!(wrong(vec![set(1, None, 1)]), 1);
        assert!(wrong(vec![set(1, None, 1), rang(1, 2), rang(1, 2)]) > 0);
        assert_eq!(wrong(vec![set(1, None, 2), rang(1, 2)]), 1);
        assert_eq!(wrong(vec![rang(1, 2)]), 1);
        assert_eq!(wrong(vec![set(1, Some(1), 1), cancelled, rang(1, 20)]), 1);
    }
}
