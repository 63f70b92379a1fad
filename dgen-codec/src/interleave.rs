//! Two orders made one.

use std::ops::Range;

/// All items of `primary` in its order, and those that only `secondary` has, each behind the item it
/// follows there: behind the nearest one before it that `primary` has, or else at the beginning.
///
/// Items are numbers below `count`, none twice in one order.
pub(crate) fn interleave(primary: &[usize], secondary: &[usize], count: usize) -> Vec<usize> {
    let mut is_primary = vec![false; count];
    primary.iter().for_each(|item| is_primary[*item] = true);
    // Behind an item stand the ones up to the next that `primary` has: one run of `secondary`.
    let mut first = 0..0;
    let mut behind = vec![0..0; count];
    let mut anchor = None;
    let mut begin = 0;
    for at in 0..=secondary.len() {
        let next = secondary.get(at).copied();
        if next.is_none_or(|item| is_primary[item]) {
            let run: &mut Range<usize> = anchor.map_or(&mut first, |item: usize| &mut behind[item]);
            *run = begin..at;
            (anchor, begin) = (next, at + 1);
        }
    }
    let mut order = secondary[first].to_vec();
    for item in primary {
        order.push(*item);
        order.extend_from_slice(&secondary[behind[*item].clone()]);
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::subsequence};

    use super::*;

    /// SPEC S7: an item that one side added stands behind its neighbour there.
    #[test]
    fn additions_follow_their_neighbours() {
        assert!(interleave(&[], &[], 0).is_empty());
        assert_eq!(interleave(&[1, 0], &[], 2), [1, 0]);
        assert_eq!(interleave(&[], &[1, 0], 2), [1, 0]);
        assert_eq!(
            interleave(&[2, 0, 1], &[3, 0, 4, 5, 1], 6),
            [3, 2, 0, 4, 5, 1]
        );
    }

    proptest! {
        /// SPEC S7: no item is lost or there twice, and the first order is kept.
        #[test]
        fn every_item_is_there_once(
            primary in subsequence((0..20).collect::<Vec<_>>(), 0..=20).prop_shuffle(),
            secondary in subsequence((0..20).collect::<Vec<_>>(), 0..=20).prop_shuffle(),
        ) {
            let order = interleave(&primary, &secondary, 20);
            let kept: Vec<_> = order.iter().copied().filter(|item| primary.contains(item)).collect();
            prop_assert_eq!(kept, primary.clone());
            for item in 0..20 {
                let is_there = primary.contains(&item) || secondary.contains(&item);
                let times = order.iter().filter(|other| **other == item).count();
                prop_assert_eq!(times, usize::from(is_there));
            }
            for (at, item) in secondary.iter().enumerate() {
                if primary.contains(item) {
                    continue;
                }
                let place = order.iter().position(|other| other == item).unwrap();
                let before = place.checked_sub(1).map(|at| order[at]);
                prop_assert_eq!(before, at.checked_sub(1).map(|at| secondary[at]));
            }
        }
    }
}
