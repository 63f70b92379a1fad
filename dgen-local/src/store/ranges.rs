//! Disjoint ranges of keys, of which a copy costs nothing.

use std::ops::Bound::{Excluded, Included, Unbounded};

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

/// By their begins; ranges that touch are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges(RedBlackTreeMapSync<Bytes, Bytes>);

impl Ranges {
    pub(super) fn len(&self) -> usize {
        self.0.size()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.0.iter()
    }

    /// Adds the keys from `begin` to `end`, which are some.
    pub(super) fn insert(&mut self, mut begin: Bytes, mut end: Bytes) {
        if let Some((first, last)) = self.before(&begin)
            && *last >= begin
        {
            if *last >= end {
                return;
            }
            begin = first.clone();
        }
        while let Some((first, last)) = self.after(&begin)
            && *first <= end
        {
            end = end.max(last.clone());
            let first = first.clone();
            self.0.remove_mut(&first);
        }
        self.0.insert_mut(begin, end);
    }

    /// The last range that begins at `key` or before it.
    pub(super) fn before(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        let mut before = self.0.range::<[u8], _>((Unbounded, Included(key)));
        before.next_back()
    }

    /// The first range that begins behind `key`.
    pub(super) fn after(&self, key: &[u8]) -> Option<(&Bytes, &Bytes)> {
        self.0.range::<[u8], _>((Excluded(key), Unbounded)).next()
    }

    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.before(key).is_some_and(|(_, end)| key < &end[..])
    }

    /// What of the keys from `begin` to `end` is in no range: parts in order, or in reverse.
    pub(super) fn gaps<'a>(&'a self, begin: &'a [u8], end: &'a [u8], is_reverse: bool) -> Gaps<'a> {
        Gaps {
            ranges: self,
            begin,
            end,
            is_reverse,
        }
    }
}

/// See [`Ranges::gaps`]: what is left to go through is from `begin` to `end`.
pub(super) struct Gaps<'a> {
    ranges: &'a Ranges,
    begin: &'a [u8],
    end: &'a [u8],
    is_reverse: bool,
}

impl<'a> Gaps<'a> {
    fn next_forward(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        if let Some((_, last)) = self.ranges.before(self.begin)
            && self.begin < &last[..]
        {
            self.begin = last;
        }
        if self.begin >= self.end {
            return None;
        }
        let begin = self.begin;
        let (first, last) = match self.ranges.after(begin) {
            Some((first, last)) if &first[..] < self.end => (&first[..], &last[..]),
            _ => (self.end, self.end),
        };
        self.begin = last;
        Some((begin, first))
    }

    fn next_back(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        loop {
            if self.begin >= self.end {
                return None;
            }
            let end = self.end;
            let before = self
                .ranges
                .0
                .range::<[u8], _>((Unbounded, Excluded(end)))
                .next_back();
            let Some((first, last)) = before else {
                self.end = self.begin;
                return Some((self.begin, end));
            };
            self.end = first;
            let begin = self.begin.max(last);
            if begin < end {
                return Some((begin, end));
            }
        }
    }
}

impl<'a> Iterator for Gaps<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_reverse {
            self.next_back()
        } else {
            self.next_forward()
        }
    }
}
