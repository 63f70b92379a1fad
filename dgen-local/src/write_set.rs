//! What a transaction has written, as its own reads see it.
//!
//! Entries by key, above ranges that were cleared, above the snapshot. The commit replays the writes in their
//! order, into one of its own for the whole group.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Included, Unbounded},
};

use bytes::Bytes;

use crate::span::{Span, after};

/// What is known of a key from the writes alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// It has this value, or none.
    Value(Option<Bytes>),
    /// So much was added to whatever it has.
    Added(i64),
    /// It is set by versionstamp, and has no value yet.
    Stamped,
}

/// The writes of one transaction.
#[derive(Debug, Default)]
pub(crate) struct WriteSet {
    entries: BTreeMap<Bytes, Written>,
    cleared: RangeSet,
    /// Where keys set by versionstamp may land.
    landings: Vec<(Bytes, Bytes)>,
}

impl WriteSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.cleared.0.is_empty() && self.landings.is_empty()
    }

    pub(crate) fn set(&mut self, key: Bytes, value: Bytes) {
        self.entries.insert(key, Written::Value(Some(value)));
    }

    pub(crate) fn clear(&mut self, key: Bytes) {
        self.entries.insert(key, Written::Value(None));
    }

    pub(crate) fn clear_range(&mut self, begin: Bytes, end: Bytes) {
        if begin >= end {
            return;
        }
        let inside = (Included(&begin), Excluded(&end));
        let doomed: Vec<Bytes> = self
            .entries
            .range::<Bytes, _>(inside)
            .map(|(key, _)| key.clone())
            .collect();
        for key in doomed {
            self.entries.remove(&key);
        }
        self.cleared.insert(begin, end);
    }

    pub(crate) fn add(&mut self, key: Bytes, delta: i64) {
        let written = match self.get(&key) {
            Some(Written::Value(value)) => {
                let sum = sum(value.as_deref(), delta);
                Written::Value(Some(Bytes::copy_from_slice(&sum)))
            }
            Some(Written::Added(before)) => Written::Added(before.wrapping_add(delta)),
            Some(Written::Stamped) => Written::Stamped,
            None => Written::Added(delta),
        };
        self.entries.insert(key, written);
    }

    pub(crate) fn set_stamped_value(&mut self, key: Bytes) {
        self.entries.insert(key, Written::Stamped);
    }

    pub(crate) fn set_stamped_key(&mut self, begin: Bytes, end: Bytes) {
        for (_, written) in self.entries.range_mut(begin.clone()..end.clone()) {
            *written = Written::Stamped;
        }
        self.landings.push((begin, end));
    }

    /// What was written to `key`; `None` if the snapshot alone tells its value.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Written> {
        if let Some(written) = self.entries.get(key) {
            return Some(written.clone());
        }
        if self.lands_at(key) {
            return Some(Written::Stamped);
        }
        self.cleared.contains(key).then_some(Written::Value(None))
    }

    /// Whether the writes alone tell the value of `key`.
    pub(crate) fn tells(&self, key: &[u8]) -> bool {
        matches!(self.entries.get(key), Some(Written::Value(_))) || self.cleared.contains(key)
    }

    /// The keys with entries of their own from `begin` to `end`.
    pub(crate) fn entries(
        &self,
        begin: &[u8],
        end: &[u8],
    ) -> impl DoubleEndedIterator<Item = (&Bytes, &Written)> {
        // A range that is empty or inverted would make the map panic.
        let is_empty = begin >= end;
        let bounds = if is_empty {
            (Excluded(&[][..]), Included(&[][..]))
        } else {
            (Included(begin), Excluded(end))
        };
        self.entries
            .range::<[u8], _>(bounds)
            .filter(move |_| !is_empty)
    }

    /// A place between `begin` and `end` where a key set by versionstamp may land.
    pub(crate) fn landing_in(&self, begin: &[u8], end: &[u8]) -> Option<&Bytes> {
        self.landings
            .iter()
            .find(|(first, last)| &first[..] < end && begin < &last[..])
            .map(|(first, _)| first)
    }

    fn lands_at(&self, key: &[u8]) -> bool {
        self.landings
            .iter()
            .any(|(first, last)| &first[..] <= key && key < &last[..])
    }

    /// Whether anything in `span` was written. For a set in which nothing is left to be stamped.
    pub(crate) fn touches(&self, span: &Span) -> bool {
        match span {
            Span::Key(key) => self.entries.contains_key(key) || self.cleared.contains(key),
            Span::Range(begin, end) => {
                self.entries(begin, end).next().is_some()
                    || (begin < end && self.cleared.overlapping(begin, end).next().is_some())
            }
        }
    }

    /// Ranges that are gone, disjoint, before [`values`](Self::values) are set.
    pub(crate) fn cleared(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.cleared.0.iter()
    }

    /// Keys that are set or gone: all, where nothing is left to be added or stamped.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&Bytes, &Option<Bytes>)> {
        self.entries
            .iter()
            .filter_map(|(key, written)| match written {
                Written::Value(value) => Some((key, value)),
                Written::Added(_) | Written::Stamped => None,
            })
    }

    /// The parts of a range whose content depends on the snapshot: what a read of it read.
    pub(crate) fn read_spans(&self, begin: &[u8], end: &[u8]) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut push = |begin: &[u8], end: &[u8]| {
            if begin < end {
                spans.push(Span::Range(
                    Bytes::copy_from_slice(begin),
                    Bytes::copy_from_slice(end),
                ));
            }
        };
        let known_keys = self
            .entries(begin, end)
            .filter(|(_, written)| matches!(written, Written::Value(_)))
            .map(|(key, _)| (key.clone(), after(key)));
        let mut known: Vec<(Bytes, Bytes)> = self
            .cleared
            .overlapping(begin, end)
            .chain(known_keys)
            .collect();
        known.sort_unstable();
        let mut from = begin.to_vec();
        for (known_begin, known_end) in known {
            push(&from, end.min(&known_begin));
            if known_end[..] > from[..] {
                from = known_end.to_vec();
            }
        }
        push(&from, end);
        spans
    }
}

/// `value` as a little-endian 64-bit integer plus `delta`: nothing counts as 0, what is shorter
/// than 8 bytes is extended by zeros, what is longer is cut.
pub(crate) fn sum(value: Option<&[u8]>, delta: i64) -> [u8; 8] {
    let mut bytes = [0; 8];
    let value = value.unwrap_or_default();
    let length = value.len().min(bytes.len());
    bytes[..length].copy_from_slice(&value[..length]);
    i64::from_le_bytes(bytes).wrapping_add(delta).to_le_bytes()
}

/// Disjoint ranges, by their begins; neighbours that touch are one.
#[derive(Debug, Default)]
struct RangeSet(BTreeMap<Bytes, Bytes>);

impl RangeSet {
    fn insert(&mut self, mut begin: Bytes, mut end: Bytes) {
        if let Some((first, last)) = self.0.range(..=begin.clone()).next_back()
            && *last >= begin
        {
            begin = first.clone();
            end = end.max(last.clone());
        }
        while let Some((first, last)) = self.0.range(begin.clone()..=end.clone()).next() {
            end = end.max(last.clone());
            let first = first.clone();
            self.0.remove(&first);
        }
        self.0.insert(begin, end);
    }

    fn contains(&self, key: &[u8]) -> bool {
        let before = self
            .0
            .range::<[u8], _>((Unbounded, Included(key)))
            .next_back();
        before.is_some_and(|(_, end)| key < &end[..])
    }

    fn overlapping(&self, begin: &[u8], end: &[u8]) -> impl Iterator<Item = (Bytes, Bytes)> {
        let begin = begin.to_vec();
        self.0
            .range::<[u8], _>((Unbounded, Excluded(end)))
            .rev()
            .take_while(move |(_, last)| last[..] > begin[..])
            .map(|(first, last)| (first.clone(), last.clone()))
    }
}
