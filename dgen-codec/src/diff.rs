//! What to write so that the keys of one tree become those of another: a pure function.

use crate::{
    keys::{self, Path},
    tree::{ID, IdLookup, ListView, MapView, Shape, View},
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
        if old.bytes == new.bytes && old.shape.is_same(new.shape) {
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

    fn change_list(&mut self, old: ListView<'_>, new: ListView<'a>) {
        self.at_tag(keys::LIST, |diff| {
            let mut lookup = IdLookup::new(old);
            let old_positions: Vec<_> = (0..new.len()).map(|at| lookup.find(new.id(at))).collect();
            let mut is_kept = vec![false; old.len()];
            for (new_at, old_at) in old_positions.iter().enumerate() {
                if let Some(old_at) = *old_at {
                    is_kept[old_at] = old.index(old_at) == new.index(new_at);
                }
            }
            for old_at in (0..old.len()).filter(|at| !is_kept[*at]) {
                diff.below(
                    |path| path.item(old.index(old_at), old.id(old_at)),
                    Self::clear,
                );
            }
            for (new_at, old_at) in old_positions.into_iter().enumerate() {
                let kept_at = old_at.filter(|at| is_kept[*at]);
                // Most items of a long list did not change: they cost a comparison, and no key.
                if let Some(old_at) = kept_at
                    && old.item(old_at).bytes == new.item(new_at).bytes
                    && std::ptr::eq(old.item(old_at).map, new.item(new_at).map)
                {
                    continue;
                }
                diff.below(
                    |path| path.item(new.index(new_at), new.id(new_at)),
                    |diff| match kept_at {
                        Some(old_at) => {
                            diff.change_map(old.item(old_at), new.item(new_at), Entries::AllButId);
                        }
                        None => diff.write_map(new.item(new_at), Entries::AllButId),
                    },
                );
            }
        });
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
            for at in 0..new.len() {
                diff.below(
                    |path| path.item(new.index(at), new.id(at)),
                    |diff| diff.write_map(new.item(at), Entries::AllButId),
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
