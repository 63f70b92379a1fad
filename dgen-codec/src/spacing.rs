//! Fractional indices for the new items of a list, and the few neighbours that must move over.
//!
//! Insertions at one spot halve the gap there, so indices grow by a byte every six insertions. When
//! one would grow too long, neighbours are spaced anew with it: the fewest, of the choices tried,
//! that bring the indices down far enough. The more neighbours, the further down they must come: as
//! in Dietz and Sleator's order maintenance ("Two algorithms for maintaining order in a list",
//! 1987), that is what keeps the neighbours moved per insertion few.

use crate::index::{FracIndex, Indices};

/// No index is made longer, so no index is longer: insertions at one spot stay within 64 bytes
/// (SPEC C5).
pub(crate) const INDEX_SIZE_MAX_BYTES: usize = 56;

/// How far below the bound a window of one neighbour must bring its indices.
const SLACK_MIN_BYTES: usize = 8;

/// How much further for each doubling of the window.
const SLACK_PER_DOUBLING_BYTES: usize = 2;

/// Gives an index to every item without one: the result sorts, and keeps the indices that are
/// there, but for neighbours that must make room. Returns how many those are.
///
/// The indices that are there are in order.
pub(crate) fn fill(slots: &mut [Option<FracIndex>]) -> usize {
    let mut re_spaced = 0;
    let mut next = 0;
    while let Some(distance) = slots[next..].iter().position(Option::is_none) {
        let gap = Window::around_gap(slots, next + distance);
        next = gap.end;
        if !gap.fill(slots, INDEX_SIZE_MAX_BYTES) {
            let window = gap.widened_to_fit(slots);
            re_spaced += window.filled_count(slots);
            window.fill(slots, usize::MAX);
            next = window.end;
        }
    }
    re_spaced
}

/// The same, unless neighbours must make room: then it stops. Returns whether it did all.
pub(crate) fn fill_gaps(slots: &mut [Option<FracIndex>]) -> bool {
    let mut next = 0;
    while let Some(distance) = slots[next..].iter().position(Option::is_none) {
        let gap = Window::around_gap(slots, next + distance);
        next = gap.end;
        if !gap.fill(slots, INDEX_SIZE_MAX_BYTES) {
            return false;
        }
    }
    true
}

/// Slots that get new indices: `begin` to `end`, with an index or the list's end on either side.
#[derive(Debug, Clone, Copy)]
struct Window {
    begin: usize,
    end: usize,
}

impl Window {
    /// The empty slots from `begin` on. Those before it are filled.
    fn around_gap(slots: &[Option<FracIndex>], begin: usize) -> Self {
        let end = Self::next_filled(slots, begin);
        Self { begin, end }
    }

    /// The smallest window tried whose indices come out short enough: to the left of the gap, to its
    /// right, on both sides, and each time twice as wide. The whole list always will.
    fn widened_to_fit(self, slots: &[Option<FracIndex>]) -> Self {
        let mut extent = 1_usize;
        loop {
            let slack = SLACK_MIN_BYTES + SLACK_PER_DOUBLING_BYTES * extent.ilog2() as usize;
            let size_max_bytes = INDEX_SIZE_MAX_BYTES.saturating_sub(slack);
            for (left, right) in [(extent, 0), (0, extent), (extent, extent)] {
                let window = self.widened(slots, left, right);
                let is_everything = window.begin == 0 && window.end == slots.len();
                if is_everything || window.indices(slots, size_max_bytes).is_some() {
                    return window;
                }
            }
            extent *= 2;
        }
    }

    /// The window with so many slots more, and up to the next filled one.
    fn widened(self, slots: &[Option<FracIndex>], left: usize, right: usize) -> Self {
        let end = (self.end + right).min(slots.len());
        Self {
            begin: self.begin.saturating_sub(left),
            end: Self::next_filled(slots, end),
        }
    }

    fn next_filled(slots: &[Option<FracIndex>], from: usize) -> usize {
        let found = slots[from..].iter().position(Option::is_some);
        found.map_or(slots.len(), |distance| from + distance)
    }

    /// Spaces the window anew if no index gets longer than `size_max_bytes`; says whether it did.
    fn fill(self, slots: &mut [Option<FracIndex>], size_max_bytes: usize) -> bool {
        let Some(indices) = self.indices(slots, size_max_bytes) else {
            return false;
        };
        for (slot, index) in slots[self.begin..self.end].iter_mut().zip(indices) {
            *slot = Some(index);
        }
        true
    }

    /// Indices for the window, unless one gets longer than `size_max_bytes`.
    fn indices(self, slots: &[Option<FracIndex>], size_max_bytes: usize) -> Option<Indices> {
        let low = self.begin.checked_sub(1).and_then(|at| slots[at].as_ref());
        let high = slots.get(self.end).and_then(Option::as_ref);
        let count = u32::try_from(self.end - self.begin)
            .expect("MessagePack counts the items of an array in 32 bits");
        let indices = FracIndex::n_between(low, high, count)
            .expect("indices that are there are in order, and those made lie between them");
        let is_short = |index: FracIndex| index.size_bytes() <= size_max_bytes;
        indices.clone().all(is_short).then_some(indices)
    }

    fn filled_count(self, slots: &[Option<FracIndex>]) -> usize {
        let window = &slots[self.begin..self.end];
        window.iter().filter(|slot| slot.is_some()).count()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// What ten thousand insertions into a list did to its indices.
    #[derive(Debug)]
    struct Growth {
        longest_bytes: usize,
        re_spaced: usize,
        re_spaced_at_once_max: usize,
    }

    /// Inserts one item at a time where `spot` says, given how many were inserted and the list's
    /// length.
    fn insert_10_000(neighbours: u32, spot: impl Fn(usize, usize) -> usize) -> Growth {
        let mut list: Vec<_> = FracIndex::n_first(neighbours).map(Some).collect();
        let mut growth = Growth {
            longest_bytes: 0,
            re_spaced: 0,
            re_spaced_at_once_max: 0,
        };
        for inserted in 0..10_000 {
            let at = spot(inserted, list.len());
            list.insert(at, None);
            let re_spaced = fill(&mut list);
            growth.re_spaced += re_spaced;
            growth.re_spaced_at_once_max = growth.re_spaced_at_once_max.max(re_spaced);
            let made = list[at].as_ref().map(FracIndex::size_bytes);
            growth.longest_bytes = growth.longest_bytes.max(made.unwrap_or(0));
            if re_spaced > 0 {
                assert!(list.is_sorted_by(|a, b| a < b));
                let longest = list.iter().flatten().map(FracIndex::size_bytes).max();
                growth.longest_bytes = growth.longest_bytes.max(longest.unwrap_or(0));
            }
        }
        growth
    }

    /// SPEC C5: 10,000 insertions at one spot stay within 64 bytes, and move few neighbours: here
    /// at the same place in the list each time, so in front of the last one.
    #[test]
    fn inserting_before_the_last_insert_stays_short() {
        let growth = insert_10_000(100, |_, _| 50);
        println!("in front of the last insert: {growth:?}");
        assert!(growth.longest_bytes <= 64, "{growth:?}");
        assert!(growth.re_spaced <= 100, "{growth:?}");
    }

    /// SPEC C5: as above, each behind the one before.
    #[test]
    fn inserting_behind_the_last_insert_stays_short() {
        let growth = insert_10_000(100, |inserted, _| 50 + inserted);
        println!("behind the last insert: {growth:?}");
        assert!(growth.longest_bytes <= 64, "{growth:?}");
        assert!(growth.re_spaced <= 100, "{growth:?}");
    }

    /// SPEC C5: the worst spot, in the middle of what was inserted, where both neighbours are
    /// always the newest.
    #[test]
    fn inserting_amid_the_inserts_stays_short() {
        let growth = insert_10_000(100, |inserted, _| 50 + inserted / 2);
        println!("amid the inserts: {growth:?}");
        assert!(growth.longest_bytes <= 64, "{growth:?}");
        assert!(growth.re_spaced <= 10_000, "{growth:?}");
    }

    proptest! {
        /// SPEC C5: filling sorts, and keeps what is there unless room must be made.
        #[test]
        fn filling_sorts(pattern in vec(any::<bool>(), 0..60)) {
            let mut indices = FracIndex::n_first(60);
            let mut slots: Vec<_> = pattern.iter().map(|kept| indices.next().filter(|_| *kept)).collect();
            let before = slots.clone();
            prop_assert_eq!(fill(&mut slots), 0);
            prop_assert!(slots.iter().all(Option::is_some));
            prop_assert!(slots.is_sorted_by(|a, b| a < b));
            for (before, after) in before.iter().zip(&slots) {
                prop_assert!(before.is_none() || before == after);
            }
        }
    }
}
