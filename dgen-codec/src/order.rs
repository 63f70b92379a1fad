//! Which items of a list can stay where they are.

/// Marks the most items that are in their old order already: a longest increasing subsequence of
/// the old positions. The others have moved, or are new (`None`).
///
/// Patience sorting, as in Fredman's "On computing the length of longest increasing subsequences"
/// (1975): n log n, and n if nothing moved.
pub(crate) fn keepers(old_positions: &[Option<usize>]) -> Vec<bool> {
    // tails[k]: where the increasing run of k + 1 items with the smallest last position ends.
    let mut tails: Vec<(usize, usize)> = Vec::new();
    let mut previous = vec![None; old_positions.len()];
    for (at, position) in old_positions.iter().enumerate() {
        let Some(position) = *position else { continue };
        let run = match tails.last() {
            Some((last, _)) if *last >= position => {
                tails.partition_point(|(end, _)| *end < position)
            }
            _ => tails.len(),
        };
        previous[at] = run.checked_sub(1).map(|run| tails[run].1);
        match tails.get_mut(run) {
            Some(tail) => *tail = (position, at),
            None => tails.push((position, at)),
        }
    }
    let mut keep = vec![false; old_positions.len()];
    let mut at = tails.last().map(|(_, at)| *at);
    while let Some(kept) = at {
        keep[kept] = true;
        at = previous[kept];
    }
    keep
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn kept(positions: &[usize]) -> usize {
        let positions: Vec<_> = positions.iter().copied().map(Some).collect();
        keepers(&positions).into_iter().filter(|kept| *kept).count()
    }

    /// SPEC C2: the fewest possible items are re-indexed.
    #[test]
    fn the_fewest_items_move() {
        assert_eq!(kept(&[]), 0);
        assert_eq!(kept(&[0, 1, 2, 3]), 4);
        assert_eq!(kept(&[3, 0, 1, 2]), 3);
        assert_eq!(kept(&[1, 2, 3, 0]), 3);
        assert_eq!(kept(&[3, 2, 1, 0]), 1);
        assert_eq!(
            keepers(&[Some(1), None, Some(2), Some(0)]),
            [true, false, true, false]
        );
    }

    proptest! {
        /// SPEC C2: as many are kept as a search of all choices finds, and they are in order.
        #[test]
        fn as_many_are_kept_as_can_be(order in vec(0_usize..12, 0..12)) {
            let mut positions: Vec<usize> = Vec::new();
            for position in order {
                if !positions.contains(&position) {
                    positions.push(position);
                }
            }
            let best = (0_u32..1 << positions.len())
                .filter(|chosen| {
                    let chosen = (0..positions.len()).filter(|at| chosen >> at & 1 == 1);
                    chosen.map(|at| positions[at]).is_sorted_by(|a, b| a < b)
                })
                .map(u32::count_ones)
                .max();
            prop_assert_eq!(Some(kept(&positions) as u32), best);
            let options: Vec<_> = positions.iter().copied().map(Some).collect();
            let in_order = keepers(&options).into_iter().zip(&positions).filter(|(keep, _)| *keep);
            prop_assert!(in_order.map(|(_, position)| position).is_sorted());
        }
    }
}
