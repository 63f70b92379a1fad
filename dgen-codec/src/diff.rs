//! What to write so that the keys of one tree become those of another: a pure function.

use std::{collections::HashMap, sync::Arc};

use crate::{
    keys::{self, Path},
    tree::{ID, Item, ListView, MapView, Piece, Shape, View},
};

/// The longest value that is written: FoundationDB's limit.
pub(crate) const CHUNK_SIZE_MAX_BYTES: usize = 100_000;

/// The first byte of a map's or list's own value.
pub(crate) const MARKER_FORMAT: u8 = 1;

/// One write, its keys relative to the state's prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write<'a> {
    Set { key: Vec<u8>, value: Value<'a> },
    ClearRange { begin: Vec<u8>, end: Vec<u8> },
}

/// What is written: a part of the state's own bytes where it can be.
pub(crate) type Value<'a> = std::borrow::Cow<'a, [u8]>;

/// The writes that turn the keys of `old` into those of `new`; with no `old`, into an empty range.
///
/// A key whose value stays is not written. Clears come before the sets that they would undo.
pub(crate) fn diff<'a>(old: Option<View<'_>>, new: View<'a>) -> Vec<Write<'a>> {
    let mut diff = Diff {
        path: Path::default(),
        writes: Vec::new(),
    };
    match old {
        Some(old) => diff.change(old, new),
        None => diff.write(new),
    }
    diff.writes
}

struct Diff<'a> {
    path: Path,
    writes: Vec<Write<'a>>,
}

impl<'a> Diff<'a> {
    /// Changes the value at the path.
    fn change(&mut self, old: View<'_>, new: View<'a>) {
        // A map or list lends its shape to equal bytes alone: they need not be looked at.
        if old.shape.is_same(new.shape) {
            debug_assert_eq!(old.bytes, new.bytes);
            return;
        }
        match (old.shape, new.shape) {
            (Shape::Term, Shape::Term) => self.change_term(old.bytes, new.bytes),
            (Shape::Map(old_map), Shape::Map(new_map)) => self.change_map(
                MapView {
                    bytes: old.bytes,
                    map: old_map,
                },
                MapView {
                    bytes: new.bytes,
                    map: new_map,
                },
                Entries::All,
            ),
            (Shape::List(old_list), Shape::List(new_list)) => self.change_list(
                ListView {
                    bytes: old.bytes,
                    list: old_list,
                },
                ListView {
                    bytes: new.bytes,
                    list: new_list,
                },
            ),
            _ => {
                self.clear();
                self.write(new);
            }
        }
    }

    fn change_term(&mut self, old: &[u8], new: &'a [u8]) {
        let mut old_chunks = old.chunks(CHUNK_SIZE_MAX_BYTES);
        self.at_tag(keys::TERM, |diff| {
            let mut number = 0;
            for chunk in new.chunks(CHUNK_SIZE_MAX_BYTES) {
                if old_chunks.next() != Some(chunk) {
                    diff.set_chunk(number, chunk);
                }
                number += 1;
            }
            if old_chunks.next().is_some() {
                let (_, end) = diff.path.to_range();
                let begin = diff.below(|path| path.chunk(number), |diff| diff.path.to_key());
                diff.writes.push(Write::ClearRange { begin, end });
            }
        });
    }

    fn change_map(&mut self, old: MapView<'_>, new: MapView<'a>, which: Entries) {
        self.at_tag(keys::MAP, |diff| {
            if old.map.lead != new.map.lead {
                diff.set_map_marker(new);
            }
            let mut old_at = 0;
            for new_at in 0..new.len() {
                let key = new.key(new_at);
                while old_at < old.len() && old.key(old_at) < key {
                    diff.clear_entry(old.key(old_at), which);
                    old_at += 1;
                }
                let is_kept = old_at < old.len() && old.key(old_at) == key;
                if which.has(key) {
                    diff.below(
                        |path| path.entry(key),
                        |diff| {
                            if is_kept {
                                diff.change(old.value(old_at), new.value(new_at));
                            } else {
                                diff.write(new.value(new_at));
                            }
                        },
                    );
                }
                old_at += usize::from(is_kept);
            }
            for old_at in old_at..old.len() {
                diff.clear_entry(old.key(old_at), which);
            }
        });
    }

    /// Pieces that both have are passed over: both lists are in the order of their indices, so what lies
    /// between two of them in one list has its place between the two in the other.
    fn change_list(&mut self, old: ListView<'_>, new: ListView<'a>) {
        self.at_tag(keys::LIST, |diff| {
            let is_same = |old_run: usize, new_run: usize| {
                Arc::ptr_eq(&old.runs()[old_run].piece, &new.runs()[new_run].piece)
            };
            let (mut old_run, mut new_run) = (0, 0);
            let mut old_runs_of_pieces = None;
            while old_run < old.runs().len() || new_run < new.runs().len() {
                if old_run < old.runs().len()
                    && new_run < new.runs().len()
                    && is_same(old_run, new_run)
                {
                    (old_run, new_run) = (old_run + 1, new_run + 1);
                    continue;
                }
                let same = next_same(old, new, (old_run, new_run), &mut old_runs_of_pieces);
                diff.change_items(old.items(old_run..same.0), new.items(new_run..same.1));
                (old_run, new_run) = same;
            }
        });
    }

    /// Items of one index and id are the same item; all are in the order of their indices.
    fn change_items<'b>(
        &mut self,
        old: impl Iterator<Item = (&'b Item, &'b [u8])>,
        new: impl Iterator<Item = (&'a Item, &'a [u8])>,
    ) {
        let mut old = old.peekable();
        for (new, bytes) in new {
            while let Some((gone, bytes)) = old.next_if(|(old, _)| old.index < new.index) {
                self.below(|path| path.item(&gone.index, gone.id(bytes)), Self::clear);
            }
            let kept = old.next_if(|(old, _)| old.index == new.index);
            let is_kept = kept.is_some_and(|(old, old_bytes)| old.id(old_bytes) == new.id(bytes));
            match kept {
                // Most items of a piece did not change: they cost a comparison, and no key.
                Some((old, _)) if Arc::ptr_eq(&old.map, &new.map) && is_kept => {}
                Some((old, old_bytes)) if is_kept => self.below(
                    |path| path.item(&new.index, new.id(bytes)),
                    |diff| {
                        let (old, new) = (old.view(old_bytes), new.view(bytes));
                        diff.change_map(old, new, Entries::AllButId);
                    },
                ),
                kept => {
                    if let Some((gone, bytes)) = kept {
                        self.below(|path| path.item(&gone.index, gone.id(bytes)), Self::clear);
                    }
                    self.below(
                        |path| path.item(&new.index, new.id(bytes)),
                        |diff| diff.write_map(new.view(bytes), Entries::AllButId),
                    );
                }
            }
        }
        for (gone, bytes) in old {
            self.below(|path| path.item(&gone.index, gone.id(bytes)), Self::clear);
        }
    }

    /// Writes the value at the path, where nothing is.
    fn write(&mut self, new: View<'a>) {
        match new.shape {
            Shape::Term => self.at_tag(keys::TERM, |diff| {
                for (number, chunk) in (0..).zip(new.bytes.chunks(CHUNK_SIZE_MAX_BYTES)) {
                    diff.set_chunk(number, chunk);
                }
            }),
            Shape::Map(map) => self.write_map(
                MapView {
                    bytes: new.bytes,
                    map,
                },
                Entries::All,
            ),
            Shape::List(list) => self.write_list(ListView {
                bytes: new.bytes,
                list,
            }),
        }
    }

    fn write_map(&mut self, new: MapView<'a>, which: Entries) {
        self.at_tag(keys::MAP, |diff| {
            diff.set_map_marker(new);
            for at in (0..new.len()).filter(|at| which.has(new.key(*at))) {
                diff.below(
                    |path| path.entry(new.key(at)),
                    |diff| diff.write(new.value(at)),
                );
            }
        });
    }

    fn write_list(&mut self, new: ListView<'a>) {
        self.at_tag(keys::LIST, |diff| {
            diff.set(Value::Owned(vec![MARKER_FORMAT]));
            for (item, bytes) in new.items(0..new.runs().len()) {
                diff.below(
                    |path| path.item(&item.index, item.id(bytes)),
                    |diff| diff.write_map(item.view(bytes), Entries::AllButId),
                );
            }
        });
    }

    fn clear_entry(&mut self, key: &str, which: Entries) {
        if which.has(key) {
            self.below(|path| path.entry(key), Self::clear);
        }
    }

    /// Clears all there is below the path.
    fn clear(&mut self) {
        let (begin, end) = self.path.to_range();
        self.writes.push(Write::ClearRange { begin, end });
    }

    fn set_map_marker(&mut self, new: MapView<'_>) {
        let mut value = vec![MARKER_FORMAT];
        value.extend_from_slice(new.map.lead.as_deref().unwrap_or_default().as_bytes());
        self.set(Value::Owned(value));
    }

    fn set_chunk(&mut self, number: u64, chunk: &'a [u8]) {
        self.below(
            |path| path.chunk(number),
            |diff| diff.set(Value::Borrowed(chunk)),
        );
    }

    fn set(&mut self, value: Value<'a>) {
        let key = self.path.to_key();
        self.writes.push(Write::Set { key, value });
    }

    fn at_tag(&mut self, tag: u8, work: impl FnOnce(&mut Self)) {
        self.below(|path| path.tag(tag), work);
    }

    /// Does `work` with the path one step further down.
    fn below<R>(&mut self, step: impl FnOnce(&mut Path), work: impl FnOnce(&mut Self) -> R) -> R {
        let len = self.path.len();
        step(&mut self.path);
        let result = work(self);
        self.path.truncate(len);
        result
    }
}

/// The next runs of one piece in both lists, from these on, or the ends of both.
fn next_same<'b>(
    old: ListView<'b>,
    new: ListView<'_>,
    (old_run, new_run): (usize, usize),
    old_runs_of_pieces: &mut Option<HashMap<*const Piece, usize>>,
) -> (usize, usize) {
    let ends = (old.runs().len(), new.runs().len());
    // Most often it is near.
    let near = |end: usize, run: usize| run..end.min(run + RUNS_LOOKED_AT);
    for new_run in near(ends.1, new_run) {
        let is_same =
            |old_run: &usize| Arc::ptr_eq(&old.runs()[*old_run].piece, &new.runs()[new_run].piece);
        if let Some(old_run) = near(ends.0, old_run).find(is_same) {
            return (old_run, new_run);
        }
    }
    let runs = old_runs_of_pieces.get_or_insert_with(|| {
        let pieces = old.runs().iter().map(|run| Arc::as_ptr(&run.piece));
        pieces.zip(0..).collect()
    });
    let same = |new_run: usize| {
        let piece = Arc::as_ptr(&new.runs()[new_run].piece);
        Some((runs.get(&piece).copied()?, new_run))
    };
    (new_run..ends.1).find_map(same).unwrap_or(ends)
}

/// The next piece that two lists share is looked for so far ahead before there is a table of all.
const RUNS_LOOKED_AT: usize = 4;

/// Which entries of a map are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entries {
    All,
    /// A list's item: its key says the id.
    AllButId,
}

impl Entries {
    fn has(self, key: &str) -> bool {
        self == Self::All || key != ID
    }
}
