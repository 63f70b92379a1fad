//! Which keys were written in the last seconds, and at which version: whether a transaction may
//! still commit.
//!
//! Each group of commits adds one run: its keys, sorted, and the ranges it cleared. Sixteen runs
//! of one tier are merged into a run of the next, so that a check looks at a few dozen sorted runs
//! whatever the rate of commits. Runs older than a transaction may be are dropped whole.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{span::Span, write_set::WriteSet};

/// So many runs of a tier become one of the next.
const TIER_RUNS: usize = 16;

/// The recent writes of all transactions.
#[derive(Debug)]
pub(crate) struct Conflicts {
    /// How long a run is kept.
    window: Duration,
    /// The newest runs are in the first tier; within a tier the oldest run is first.
    tiers: Vec<Vec<Run>>,
    /// What was written at or before this version is no longer known.
    forgotten: u64,
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing that was read has been written since.
    Clean,
    /// Something that was read has been written since.
    Conflict,
    /// The transaction read before the oldest write that is known.
    TooOld,
}

impl Conflicts {
    pub(crate) fn new(window: Duration, version: u64) -> Self {
        Self {
            window,
            tiers: Vec::new(),
            forgotten: version,
        }
    }

    /// Whether any of `reads`, seen at `read_version`, was written since.
    pub(crate) fn check(&self, read_version: u64, reads: &[Span]) -> Verdict {
        if reads.is_empty() {
            return Verdict::Clean;
        }
        if read_version < self.forgotten {
            return Verdict::TooOld;
        }
        let newer = self
            .tiers
            .iter()
            .flatten()
            .filter(|run| run.newest > read_version);
        for run in newer {
            if reads
                .iter()
                .any(|span| run.is_written_since(span, read_version))
            {
                return Verdict::Conflict;
            }
        }
        Verdict::Clean
    }

    /// Adds what the group committed as `version` at `now` wrote, and the conflicts that it added by hand.
    pub(crate) fn add(
        &mut self,
        writes: &WriteSet,
        by_hand: GroupSpans,
        version: u64,
        now: Instant,
    ) {
        self.forget(now);
        self.push(0, Run::new(writes, by_hand, version, now));
    }

    fn push(&mut self, tier: usize, run: Run) {
        if self.tiers.len() == tier {
            self.tiers.push(Vec::new());
        }
        self.tiers[tier].push(run);
        if self.tiers[tier].len() == TIER_RUNS {
            let merged = Run::merge(self.tiers[tier].drain(..));
            self.push(tier + 1, merged);
        }
    }

    fn forget(&mut self, now: Instant) {
        for tier in &mut self.tiers {
            while let Some(run) = tier.first()
                && now.saturating_duration_since(run.newest_at) > self.window
            {
                self.forgotten = self.forgotten.max(run.newest);
                tier.remove(0);
            }
        }
    }
}

/// What a group counts as written besides what it writes.
#[derive(Debug, Default)]
pub(crate) struct GroupSpans {
    keys: BTreeMap<Bytes, ()>,
    ranges: Vec<(Bytes, Bytes)>,
}

impl GroupSpans {
    pub(crate) fn add(&mut self, span: Span) {
        match span {
            Span::Key(key) => drop(self.keys.insert(key, ())),
            Span::Range(begin, end) if begin < end => self.ranges.push((begin, end)),
            // Nothing is in it.
            Span::Range(..) => {}
        }
    }

    pub(crate) fn touches(&self, span: &Span) -> bool {
        match span {
            Span::Key(key) => {
                self.keys.contains_key(key)
                    || self
                        .ranges
                        .iter()
                        .any(|(begin, end)| begin <= key && key < end)
            }
            Span::Range(begin, end) if begin < end => {
                self.keys.range(begin.clone()..end.clone()).next().is_some()
                    || self
                        .ranges
                        .iter()
                        .any(|(first, last)| first < end && begin < last)
            }
            Span::Range(..) => false,
        }
    }
}

/// The writes of one group, or of several.
#[derive(Debug)]
struct Run {
    /// Each key once, sorted, with the newest version that wrote it.
    keys: Vec<(Bytes, u64)>,
    steps: Steps,
    newest: u64,
    newest_at: Instant,
}

impl Run {
    fn new(writes: &WriteSet, by_hand: GroupSpans, version: u64, now: Instant) -> Self {
        let written = writes.values().map(|(key, _)| (key.clone(), version));
        let mut keys: Vec<(Bytes, u64)> = written.collect();
        if !by_hand.keys.is_empty() {
            keys.extend(by_hand.keys.into_keys().map(|key| (key, version)));
            sort(&mut keys);
        }
        let mut steps = Steps::default();
        let cleared = writes
            .cleared()
            .map(|(begin, end)| (begin.clone(), end.clone()));
        for (begin, end) in cleared.chain(by_hand.ranges) {
            steps.raise(begin, end, version);
        }
        Self {
            keys,
            steps,
            newest: version,
            newest_at: now,
        }
    }

    fn is_written_since(&self, span: &Span, version: u64) -> bool {
        match span {
            Span::Key(key) => {
                let found = self.keys.binary_search_by(|(written, _)| written.cmp(key));
                found.is_ok_and(|index| self.keys[index].1 > version)
                    || self.steps.newest_at(key) > version
            }
            Span::Range(begin, end) => {
                let first = self.keys.partition_point(|(written, _)| written < begin);
                let mut inside = self.keys[first..]
                    .iter()
                    .take_while(|(written, _)| written < end);
                inside.any(|(_, written_at)| *written_at > version)
                    || self.steps.newest_in(begin, end) > version
            }
        }
    }

    fn merge(runs: impl Iterator<Item = Run>) -> Run {
        let mut runs = runs;
        let mut merged = runs.next().expect("a tier is merged when it is full");
        for run in runs {
            merged.keys.extend(run.keys);
            for (begin, end, version) in run.steps.ranges() {
                merged.steps.raise(begin, end, version);
            }
            merged.newest = run.newest;
            merged.newest_at = run.newest_at;
        }
        sort(&mut merged.keys);
        merged
    }
}

/// Puts keys in order, each once, with the version that comes last. A stable sort of a few sorted runs merges them.
fn sort(keys: &mut Vec<(Bytes, u64)>) {
    keys.sort_by(|(one, _), (other, _)| one.cmp(other));
    keys.dedup_by(|(later, version), (key, newest)| {
        let is_same = later == key;
        if is_same {
            *newest = *version;
        }
        is_same
    });
}

/// A version for every key: each entry holds from its key to the next entry's. 0 is none.
#[derive(Debug, Default)]
struct Steps(BTreeMap<Bytes, u64>);

impl Steps {
    /// Gives every key from `begin` to `end` at least `version`; versions come in growing order.
    fn raise(&mut self, begin: Bytes, end: Bytes, version: u64) {
        if begin >= end {
            return;
        }
        let behind = self.newest_at(&end);
        let inside: Vec<Bytes> = self
            .0
            .range(begin.clone()..end.clone())
            .map(|(key, _)| key.clone())
            .collect();
        for key in inside {
            self.0.remove(&key);
        }
        self.0.insert(begin, version);
        self.0.insert(end, behind);
    }

    fn newest_at(&self, key: &[u8]) -> u64 {
        let mut before = self.0.range::<[u8], _>((Unbounded, Included(key)));
        before.next_back().map_or(0, |(_, version)| *version)
    }

    fn newest_in(&self, begin: &[u8], end: &[u8]) -> u64 {
        if begin >= end {
            return 0;
        }
        let inside = self.0.range::<[u8], _>((Excluded(begin), Excluded(end)));
        inside
            .map(|(_, version)| *version)
            .fold(self.newest_at(begin), u64::max)
    }

    /// The ranges that have a version.
    fn ranges(self) -> Vec<(Bytes, Bytes, u64)> {
        let mut ranges = Vec::new();
        let mut entries = self.0.into_iter().peekable();
        while let Some((begin, version)) = entries.next() {
            if version > 0
                && let Some((end, _)) = entries.peek()
            {
                ranges.push((begin, end.clone(), version));
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A key or range over a few keys, so that much overlaps.
    fn span() -> impl Strategy<Value = Span> {
        let key = (0..24u8).prop_map(|key| Bytes::copy_from_slice(&[b'a' + key]));
        prop_oneof![
            3 => key.clone().prop_map(Span::Key),
            1 => (key.clone(), key).prop_map(|(begin, end)| Span::Range(begin, end)),
        ]
    }

    fn bounds(span: &Span) -> (Vec<u8>, Vec<u8>) {
        match span {
            Span::Key(key) => (key.to_vec(), [key, &b"\0"[..]].concat()),
            Span::Range(begin, end) => (begin.to_vec(), end.to_vec()),
        }
    }

    fn overlap(one: &Span, other: &Span) -> bool {
        let ((one_begin, one_end), (begin, end)) = (bounds(one), bounds(other));
        one_begin < one_end && begin < end && one_begin < end && begin < one_end
    }

    /// A group that writes every other span, and adds a conflict for each of the rest.
    fn group(spans: &[Span]) -> (WriteSet, GroupSpans) {
        let (mut written, mut by_hand) = (WriteSet::default(), GroupSpans::default());
        for (index, span) in spans.iter().enumerate() {
            match span.clone() {
                span if index % 2 == 1 => by_hand.add(span),
                Span::Key(key) if index % 4 == 0 => written.set(key, Bytes::new()),
                Span::Key(key) => written.clear(key),
                Span::Range(begin, end) => written.clear_range(begin, end),
            }
        }
        (written, by_hand)
    }

    proptest! {
        /// SPEC B1: through every merge of runs, a read conflicts exactly with what was written
        /// after its version; a transaction older than all that is known is too old.
        #[test]
        fn conflicts_are_those_of_a_plain_list(
            groups in prop::collection::vec(prop::collection::vec(span(), 0..5), 1..600),
            checks in prop::collection::vec((0..600u64, prop::collection::vec(span(), 1..4)), 1..60),
            forget_every in 200..2_000u64,
        ) {
            let start = dgen_backend::env::Env::system().now();
            let window = Duration::from_millis(forget_every);
            let mut conflicts = Conflicts::new(window, 0);
            for (version, writes) in (1..).zip(&groups) {
                let (written, by_hand) = group(writes);
                conflicts.add(&written, by_hand, version, start + Duration::from_millis(version));
            }
            let newest = groups.len() as u64;
            for (version, reads) in checks {
                let version = version.min(newest);
                let is_written = (1..).zip(&groups).any(|(written_at, writes)| {
                    written_at > version
                        && writes.iter().any(|write| reads.iter().any(|read| overlap(write, read)))
                });
                match conflicts.check(version, &reads) {
                    Verdict::Clean => prop_assert!(!is_written),
                    Verdict::Conflict => prop_assert!(is_written),
                    Verdict::TooOld => prop_assert!(newest - version > forget_every),
                }
            }
        }

        /// SPEC B1: transactions of one group conflict as those of two would.
        #[test]
        fn a_group_touches_what_overlaps(
            writes in prop::collection::vec(span(), 0..8),
            read in span(),
        ) {
            let (written, by_hand) = group(&writes);
            let expected = writes.iter().any(|write| overlap(write, &read));
            prop_assert_eq!(written.touches(&read) || by_hand.touches(&read), expected);
        }
    }
}
