//! A list in stretches: runs of an earlier tree that are there as they were, and between them items that
//! are looked at one by one.
//!
//! Which items keep their index, and which indices the others get, is what it would be if the list were
//! looked at as a whole: the most items keep theirs (SPEC C2). Between two runs that stay in
//! their order this is decided by what is between them, unless an item moved from one such gap to
//! another, or a new index would be too long: then the list is one gap. `tests/large_lists.rs` compares
//! the two.

use std::{collections::HashMap, mem, ops::Range, sync::Arc};

use crate::{
    index::FracIndex,
    keys::Id,
    order,
    parts::Part,
    spacing,
    tree::{Item, List, ListView, Map, PIECE_ITEMS_MAX, Piece, Runs, Span},
};

/// An item, in the bytes that its positions count from: the list's, or its part's.
#[derive(Debug)]
pub(crate) struct Found<'a> {
    pub(crate) id: Id<'a>,
    pub(crate) id_span: Span,
    pub(crate) value: Span,
    pub(crate) map: Arc<Map>,
    /// Where the item of this id was.
    pub(crate) old_at: Option<usize>,
}

impl<'a> Found<'a> {
    /// The old item, at `at` in `bytes`.
    pub(crate) fn unchanged(item: &Item, bytes: &'a [u8], at: usize, old_at: usize) -> Self {
        let item = Item {
            id: Span {
                at: at + item.id.at - item.value.at,
                ..item.id
            },
            value: Span { at, ..item.value },
            ..item.clone()
        };
        Self {
            id: item.id(bytes),
            id_span: item.id,
            value: item.value,
            map: item.map,
            old_at: Some(old_at),
        }
    }

    fn into_item(self, index: FracIndex) -> Item {
        Item {
            index,
            is_id_str: matches!(self.id, Id::Str(_)),
            id: self.id_span,
            value: self.value,
            map: self.map,
        }
    }
}

/// A list under construction.
#[derive(Debug)]
pub(crate) struct Stretches<'a> {
    old: Option<ListView<'a>>,
    stretches: Vec<Stretch<'a>>,
    /// How many items there are so far.
    len: usize,
    /// The old run behind the one kept last.
    next_run: usize,
    /// The old runs by their parts, once one was not where it was looked for.
    runs_of_parts: Option<HashMap<*const Part, usize>>,
}

#[derive(Debug)]
enum Stretch<'a> {
    /// The old run of this number, and where it is in the list's bytes if that is where it is.
    Kept {
        run: usize,
        at: usize,
    },
    Gap(Gap<'a>),
}

#[derive(Debug, Default)]
struct Gap<'a> {
    items: Vec<Found<'a>>,
    /// Whose items they are, if they are parts'.
    parts: Vec<Arc<Part>>,
}

/// A part is looked for in so many runs before there is a table of all.
const RUNS_LOOKED_AT: usize = 4;

/// A gap of fewer items takes in the run beside it: else pieces would become ever shorter.
const GAP_ITEMS_MIN: usize = PIECE_ITEMS_MAX / 4;

impl<'a> Stretches<'a> {
    pub(crate) fn new(old: Option<ListView<'a>>) -> Self {
        Self {
            old,
            stretches: Vec::with_capacity(old.map_or(1, |old| old.runs().len() + 1)),
            len: 0,
            next_run: 0,
            runs_of_parts: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the run can be kept: they stay in their order.
    pub(crate) fn is_next(&self, run: usize) -> bool {
        run >= self.next_run
    }

    pub(crate) fn keep(&mut self, run: usize, at: usize) {
        self.len += self.old.map_or(0, |old| old.runs()[run].piece.items.len());
        self.next_run = run + 1;
        self.stretches.push(Stretch::Kept { run, at });
    }

    pub(crate) fn push(&mut self, item: Found<'a>) {
        self.len += 1;
        self.gap().items.push(item);
    }

    /// The items pushed last were those of this part.
    pub(crate) fn end_part(&mut self, part: &Arc<Part>) {
        self.gap().parts.push(Arc::clone(part));
    }

    /// The old run of this part that can be kept.
    pub(crate) fn find_part(&mut self, part: &Arc<Part>) -> Option<usize> {
        let old = self.old?;
        let is_it = |run: usize| is_of(&old.runs()[run].piece, part);
        let runs = self.next_run..old.runs().len();
        let mut near = runs.clone().take(RUNS_LOOKED_AT);
        if let Some(run) = near.find(|run| is_it(*run)) {
            return Some(run);
        }
        let is_far_gap = matches!(self.stretches.last(), Some(Stretch::Gap(gap)) if gap.parts.len() >= RUNS_LOOKED_AT);
        if !is_far_gap {
            return None;
        }
        let table = self.runs_of_parts.get_or_insert_with(|| {
            let parts = old.runs().iter().map(|run| run.piece.part.as_ref());
            let parts = parts.zip(0..);
            parts
                .filter_map(|(part, run)| Some((Arc::as_ptr(part?), run)))
                .collect()
        });
        let run = part.forms().find_map(|part| table.get(&Arc::as_ptr(part)));
        run.copied().filter(|run| runs.contains(run))
    }

    fn gap(&mut self) -> &mut Gap<'a> {
        if !matches!(self.stretches.last(), Some(Stretch::Gap(_))) {
            self.stretches.push(Stretch::Gap(Gap::default()));
        }
        match self.stretches.last_mut() {
            Some(Stretch::Gap(gap)) => gap,
            _ => unreachable!("a gap was just put there"),
        }
    }

    /// The list, whose bytes are `bytes` if it is not in parts. `None` if two items have one id.
    pub(crate) fn into_list(mut self, bytes: Option<&'a [u8]>) -> Option<List> {
        if let Some(bytes) = bytes {
            self.widen_short_gaps(bytes);
        }
        match self.moved() {
            Moved::Ambiguous => return None,
            Moved::WithinGaps => {}
            Moved::Across => {
                self.make_one_gap(bytes);
                if matches!(self.moved(), Moved::Ambiguous) {
                    return None;
                }
            }
        }
        let indices = self.indices(spacing::fill_gaps).unwrap_or_else(|| {
            self.make_one_gap(bytes);
            let fill = |slots: &mut _| {
                spacing::fill(slots);
                true
            };
            self.indices(fill)
                .expect("with all items in view, each gets an index")
        });
        Some(self.place(indices, bytes))
    }

    /// The old items that a gap is in the place of, by the runs kept on both sides of it.
    fn old_range(&self, gap: usize) -> Range<usize> {
        let Some(old) = self.old else { return 0..0 };
        let run = |stretch: Option<&Stretch<'_>>| match stretch {
            Some(Stretch::Kept { run, .. }) => Some(*run),
            _ => None,
        };
        let before = gap
            .checked_sub(1)
            .and_then(|at| run(self.stretches.get(at)));
        let after = run(self.stretches.get(gap + 1));
        let begin = before.map_or(0, |run| old.first_of(run + 1));
        let end = after.map_or(old.len(), |run| old.first_of(run));
        begin..end
    }

    /// Where the items of gaps have been. No two items of the old list have one id, so looking at the gaps is
    /// enough to know it of all.
    fn moved(&self) -> Moved {
        let mut new_ids = Vec::new();
        let mut is_across = false;
        for (at, stretch) in self.stretches.iter().enumerate() {
            let Stretch::Gap(gap) = stretch else { continue };
            let range = self.old_range(at);
            let mut is_taken = vec![false; range.len()];
            for item in &gap.items {
                match item.old_at {
                    None => new_ids.push(item.id),
                    Some(old_at) if range.contains(&old_at) => {
                        if mem::replace(&mut is_taken[old_at - range.start], true) {
                            return Moved::Ambiguous;
                        }
                    }
                    // Or in a run that is kept, with the same id twice: that is seen in one gap.
                    Some(_) => is_across = true,
                }
            }
        }
        new_ids.sort_unstable();
        if new_ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Moved::Ambiguous;
        }
        match is_across {
            true => Moved::Across,
            false => Moved::WithinGaps,
        }
    }

    /// Puts the run beside each short gap into it.
    fn widen_short_gaps(&mut self, bytes: &'a [u8]) {
        let is_short = |stretch: &Stretch<'_>| matches!(stretch, Stretch::Gap(gap) if gap.items.len() < GAP_ITEMS_MIN);
        if !self.stretches.iter().any(is_short) {
            return;
        }
        let stretches = mem::take(&mut self.stretches);
        let mut stretches = stretches.into_iter().peekable();
        while let Some(stretch) = stretches.next() {
            let is_before_short = stretches.peek().is_some_and(is_short);
            match stretch {
                Stretch::Kept { run, at } if is_before_short => self.open(run, at, Some(bytes)),
                Stretch::Kept { run, at } => {
                    let is_behind_short =
                        self.stretches.len() == 1 && self.stretches.first().is_some_and(is_short);
                    match is_behind_short {
                        true => self.open(run, at, Some(bytes)),
                        false => self.stretches.push(Stretch::Kept { run, at }),
                    }
                }
                Stretch::Gap(gap) => self.gap().items.extend(gap.items),
            }
        }
    }

    fn make_one_gap(&mut self, bytes: Option<&'a [u8]>) {
        for stretch in mem::take(&mut self.stretches) {
            match stretch {
                Stretch::Kept { run, at } => self.open(run, at, bytes),
                Stretch::Gap(gap) => {
                    let all = self.gap();
                    all.items.extend(gap.items);
                    all.parts.extend(gap.parts);
                }
            }
        }
    }

    /// Adds the items of an old run that lies at `at` in the list's bytes.
    fn open(&mut self, run: usize, at: usize, bytes: Option<&'a [u8]>) {
        let Some(old) = self.old else { return };
        let run = &old.runs()[run];
        let gap = self.gap();
        for (item, old_at) in run.piece.items.iter().zip(run.first..) {
            let (bytes, at) = match bytes {
                Some(bytes) => (bytes, at + item.value.at),
                None => (old.run_bytes(run), item.value.at),
            };
            gap.items.push(Found::unchanged(item, bytes, at, old_at));
        }
        if bytes.is_none() {
            gap.parts.extend(run.piece.part.clone());
        }
    }

    /// The indices of each gap's items: the old ones for the most that can keep theirs (SPEC C2). `None`
    /// if `fill` can't give the others theirs.
    fn indices(
        &self,
        fill: impl Fn(&mut [Option<FracIndex>]) -> bool,
    ) -> Option<Vec<Vec<FracIndex>>> {
        let mut indices = Vec::new();
        for (at, stretch) in self.stretches.iter().enumerate() {
            let Stretch::Gap(gap) = stretch else { continue };
            let positions: Vec<_> = gap.items.iter().map(|item| item.old_at).collect();
            let range = self.old_range(at);
            let low = at.checked_sub(1).zip(range.start.checked_sub(1));
            let high = (at + 1 < self.stretches.len()).then_some(range.end);
            let mut slots = Vec::with_capacity(positions.len() + 2);
            slots.extend(low.map(|(_, low)| self.old_index(low)));
            let first = slots.len();
            let keep = order::keepers(&positions);
            slots.extend(
                positions
                    .iter()
                    .zip(keep)
                    .map(|(position, keep)| self.old_index(position.filter(|_| keep)?)),
            );
            let end = slots.len();
            slots.extend(high.map(|high| self.old_index(high)));
            if !fill(&mut slots) {
                return None;
            }
            slots.truncate(end);
            indices.push(slots.into_iter().skip(first).flatten().collect());
        }
        Some(indices)
    }

    fn old_index(&self, at: usize) -> Option<FracIndex> {
        Some(self.old?.at(at).0.index.clone())
    }

    fn place(self, indices: Vec<Vec<FracIndex>>, bytes: Option<&[u8]>) -> List {
        let mut indices = indices.into_iter();
        let mut runs = Runs::with_capacity(self.stretches.len());
        for stretch in self.stretches {
            match stretch {
                Stretch::Kept { run, at } => {
                    if let Some(old) = self.old {
                        runs.push(at, Arc::clone(&old.runs()[run].piece));
                    }
                }
                Stretch::Gap(gap) => {
                    let parts = gap.parts;
                    let items = gap
                        .items
                        .into_iter()
                        .zip(indices.next().into_iter().flatten());
                    let mut items = items.map(|(item, index)| (item.old_at, item.into_item(index)));
                    match bytes {
                        Some(bytes) => {
                            let items = items.map(|(_, item)| item);
                            runs.push_items(bytes, items.collect());
                        }
                        None => {
                            for part in parts {
                                let (old_at, items): (Vec<_>, Vec<_>) =
                                    items.by_ref().take(part.count()).unzip();
                                let old_at = old_at.first().copied().flatten();
                                runs.push(0, piece(self.old.zip(old_at), part, items));
                            }
                        }
                    }
                }
            }
        }
        runs.into_list()
    }
}

/// What became of the items of gaps.
#[derive(Debug, Clone, Copy)]
enum Moved {
    /// They are new, or have been in the place of their gap.
    WithinGaps,
    /// Some have been in the place of another.
    Across,
    /// Two items have one id.
    Ambiguous,
}

fn is_of(piece: &Piece, part: &Arc<Part>) -> bool {
    let old = piece.part.as_ref();
    old.is_some_and(|old| part.forms().any(|part| Arc::ptr_eq(old, part)))
}

/// The piece of a part: the old one, if it was there, and with these indices.
fn piece(old: Option<(ListView<'_>, usize)>, part: Arc<Part>, items: Vec<Item>) -> Arc<Piece> {
    if let Some((old, old_at)) = old {
        let piece = &old.runs()[old.run_of(old_at)].piece;
        let indices = piece.items.iter().map(|item| &item.index);
        if is_of(piece, &part) && indices.eq(items.iter().map(|item| &item.index)) {
            return Arc::clone(piece);
        }
    }
    Arc::new(Piece::of_part(part, items))
}
