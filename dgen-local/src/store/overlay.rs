//! What groups have changed since the last checkpoint, in memory.
//!
//! Guarantees: a clone is a snapshot, costs nothing, and never changes.
//!
//! Below it is something that does not change as long as the overlay does: the state when it was begun. What
//! was cleared is kept as ranges in which nothing below counts, and not key by key. A range takes in all
//! that is empty below on either side of it, up to the next range. So two ranges have a row between them that
//! counts, and a read steps over no more ranges than it finds rows: a queue's head stays as fast however much
//! was popped (`queue/million` of the benchmarks, SPEC L4).

use std::ops::Bound::{Excluded, Included};

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

use super::below::Below;
use super::group::Write;
use super::ranges::Ranges;
use super::row::{Row, Rows};
use super::store_error::StoreError;
use crate::span::after;

/// What a row or a range takes besides its bytes: nodes of two maps, counters, and rounding up.
const ENTRY_BYTES: usize = 256;

/// Changes to a state.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    /// The rows that were set.
    entries: RedBlackTreeMapSync<Bytes, Bytes>,
    /// Where nothing below counts.
    hidden: Ranges,
    /// Of all that was written, also what was overwritten since.
    written_bytes: usize,
}

/// What an overlay knows of a key.
pub(super) enum Known<'a> {
    Value(&'a Bytes),
    /// It was cleared.
    Cleared,
    /// It was not changed: what is below counts.
    Nothing,
}

impl Overlay {
    /// Applies `writes`, in order. `below` is the state that this one changes; `None` if that was empty.
    ///
    /// # Errors
    /// What `below` could not read. The overlay is to be thrown away then.
    pub(super) fn apply(
        &mut self,
        writes: &[Write],
        below: Option<&Below>,
    ) -> Result<(), StoreError> {
        for write in writes {
            match write {
                Write::Set { key, value } => {
                    self.written_bytes += key.len() + value.len();
                    self.entries.insert_mut(key.clone(), value.clone());
                }
                Write::Clear { key } => {
                    self.entries.remove_mut(key);
                    self.hide(key.clone(), after(key), below)?;
                }
                Write::ClearRange { begin, end } if begin < end => {
                    self.remove_entries(begin, end);
                    self.hide(begin.clone(), end.clone(), below)?;
                }
                // Nothing is in it.
                Write::ClearRange { .. } => {}
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, key: &[u8]) -> Known<'_> {
        match self.entries.get(key) {
            Some(value) => Known::Value(value),
            None if self.hidden.contains(key) => Known::Cleared,
            None => Known::Nothing,
        }
    }

    /// The rows from `begin` to `end`, in order or in reverse; `below` gives those of a range below.
    pub(super) fn rows<'a>(
        &'a self,
        begin: &'a [u8],
        end: &'a [u8],
        is_reverse: bool,
        below: impl Fn(&'a [u8], &'a [u8]) -> Rows<'a> + 'a,
    ) -> Rows<'a> {
        let kept = self
            .entries
            .range::<[u8], _>((Included(begin), Excluded(end)));
        let gaps = self.hidden.gaps(begin, end, is_reverse);
        let below = gaps.flat_map(move |(begin, end)| below(begin, end));
        if is_reverse {
            Box::new(merge(kept.rev(), below, is_reverse))
        } else {
            Box::new(merge(kept, below, is_reverse))
        }
    }

    /// The rows that were set.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.entries.iter()
    }

    /// The ranges in which nothing below counts.
    pub(super) fn hidden(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.hidden.iter()
    }

    /// What it takes of memory, about, or a little less: a small row may be all that is left of a chunk that it
    /// shared with others of its transaction.
    pub(super) fn size_bytes(&self) -> usize {
        self.written_bytes + (self.entries.size() + self.hidden.len()) * ENTRY_BYTES
    }

    fn remove_entries(&mut self, begin: &Bytes, end: &Bytes) {
        let inside = self
            .entries
            .range::<[u8], _>((Included(&begin[..]), Excluded(&end[..])));
        let keys: Vec<Bytes> = inside.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.entries.remove_mut(&key);
        }
    }

    fn hide(
        &mut self,
        mut begin: Bytes,
        mut end: Bytes,
        below: Option<&Below>,
    ) -> Result<(), StoreError> {
        let Some(below) = below else { return Ok(()) };
        if let Some((first, last)) = self.hidden.before(&begin) {
            if *last >= end {
                return Ok(());
            }
            if *last < begin && below.is_empty(last, &begin)? {
                begin = first.clone();
            }
        }
        if let Some((first, last)) = self.hidden.after(&end)
            && below.is_empty(&end, first)?
        {
            end = last.clone();
        }
        self.written_bytes += begin.len() + end.len();
        self.hidden.insert(begin, end);
        Ok(())
    }
}

/// The rows of both in one order; where both have a key, that of `upper`.
fn merge<'a>(
    upper: impl Iterator<Item = (&'a Bytes, &'a Bytes)> + 'a,
    below: impl Iterator<Item = Result<Row<'a>, redb::Error>> + 'a,
    is_reverse: bool,
) -> impl Iterator<Item = Result<Row<'a>, redb::Error>> + 'a {
    let mut upper = upper.peekable();
    let mut below = below.peekable();
    std::iter::from_fn(move || {
        let Some((key, _)) = upper.peek() else {
            return below.next();
        };
        let order = match below.peek() {
            None => std::cmp::Ordering::Less,
            Some(Err(_)) => return below.next(),
            Some(Ok(row)) if is_reverse => row.key().cmp(key),
            Some(Ok(row)) => key[..].cmp(row.key()),
        };
        if order.is_gt() {
            return below.next();
        }
        if order.is_eq() {
            below.next();
        }
        upper.next().map(|(key, value)| Ok(Row::Kept(key, value)))
    })
}
