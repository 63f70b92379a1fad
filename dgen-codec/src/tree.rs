//! The tree of keys that a state is stored as, kept beside the state so that a write reads nothing.
//!
//! A tree is the state's MessagePack and a [`Shape`] over it: where the entries and items lie in
//! those bytes. All positions count from the beginning of the value they are in, so a shape fits
//! wherever the same bytes are: a value that did not change lends its shape, indices and all, to
//! the next tree, and the old bytes can go.
//!
//! A list's shape is in pieces, and the next tree takes over those of which nothing changed: so a
//! change costs what the pieces cost that it is in. Pieces of a [`List`](crate::List) have their own bytes.

use std::{collections::HashMap, ops::Range, sync::Arc};

use crate::{index::FracIndex, keys::Id, parts::Part};

/// A part of a value's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) at: usize,
    pub(crate) size_bytes: usize,
}

impl Span {
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.at..self.at + self.size_bytes]
    }
}

/// How a value is stored.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// Under one key, or several chunks.
    Term,
    /// Each entry under its own key.
    Map(Arc<Map>),
    /// Each item under its own key.
    List(Arc<List>),
}

impl Shape {
    /// Whether it is the very same map or list, and so describes equal bytes the same way.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Map(one), Self::Map(other)) => Arc::ptr_eq(one, other),
            (Self::List(one), Self::List(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

/// A map with string keys, all different.
#[derive(Debug)]
pub(crate) struct Map {
    /// The key to put first when the map is read. Deserializers of adjacently tagged enums want
    /// the tag before the content; other maps don't mind. It need not be in the map any more.
    pub(crate) lead: Option<Box<str>>,
    /// Sorted by key.
    pub(crate) entries: Box<[Entry]>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    /// The text of the key: valid UTF-8.
    pub(crate) key: Span,
    pub(crate) value: Span,
    pub(crate) shape: Shape,
}

/// A list of maps with distinct ids, at least one: in runs, none empty, sorted by index.
#[derive(Debug)]
pub(crate) struct List {
    runs: Box<[Run]>,
    len: usize,
}

/// Some items of a list, one behind the other: as in an earlier tree, if none of them changed.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The place of the first item in the list.
    pub(crate) first: usize,
    /// Where the run lies in the list's bytes, unless it has its own.
    pub(crate) at: usize,
    pub(crate) piece: Arc<Piece>,
}

/// What a run is, wherever it lies. Two runs of one piece have the same bytes and indices.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The bytes, if they are not in the list's.
    pub(crate) part: Option<Arc<Part>>,
    pub(crate) size_bytes: usize,
    pub(crate) items: Box<[Item]>,
    /// Hashes of the items' ids, sorted: to find an id without a table of all.
    id_hashes: Box<[u64]>,
}

/// Positions count from the beginning of the piece.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) index: FracIndex,
    pub(crate) is_id_str: bool,
    /// The id's text or bytes.
    pub(crate) id: Span,
    pub(crate) value: Span,
    /// Its entry `id` is not stored: the key says it.
    pub(crate) map: Arc<Map>,
}

/// No piece of a list that is in one buffer has more items. What changes is compared and kept by the
/// piece: a long one costs more at a change, many short ones at each look at the list. Tests have short
/// ones.
pub(crate) const PIECE_ITEMS_MAX: usize = if cfg!(test) { 8 } else { 128 };

impl Piece {
    /// `bytes` are those that the positions in `items` count from.
    pub(crate) fn new(bytes: &[u8], items: Vec<Item>) -> Self {
        let mut id_hashes: Box<[u64]> = items.iter().map(|item| item.id(bytes).hash()).collect();
        id_hashes.sort_unstable();
        Self {
            part: None,
            size_bytes: items
                .last()
                .map_or(0, |last| last.value.at + last.value.size_bytes),
            items: items.into_boxed_slice(),
            id_hashes,
        }
    }

    /// All items of a part.
    pub(crate) fn of_part(part: Arc<Part>, items: Vec<Item>) -> Self {
        let piece = Self::new(part.bytes(), items);
        Self {
            part: Some(part),
            ..piece
        }
    }

    pub(crate) fn may_have(&self, id_hash: u64) -> bool {
        self.id_hashes.binary_search(&id_hash).is_ok()
    }
}

impl Item {
    /// `bytes` are the piece's.
    pub(crate) fn id<'a>(&self, bytes: &'a [u8]) -> Id<'a> {
        let id = self.id.of(bytes);
        if self.is_id_str {
            Id::Str(text(id))
        } else {
            Id::Bin(id)
        }
    }

    pub(crate) fn view<'a>(&'a self, bytes: &'a [u8]) -> MapView<'a> {
        MapView {
            bytes: self.value.of(bytes),
            map: &self.map,
        }
    }
}

/// Builds a list run by run.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: Vec<Run>,
    len: usize,
}

impl Runs {
    pub(crate) fn with_capacity(runs: usize) -> Self {
        Self {
            runs: Vec::with_capacity(runs),
            len: 0,
        }
    }

    pub(crate) fn push(&mut self, at: usize, piece: Arc<Piece>) {
        let first = self.len;
        self.len += piece.items.len();
        self.runs.push(Run { first, at, piece });
    }

    /// Adds items whose positions count from the beginning of the list, in pieces of about one
    /// size. `bytes` are the list's.
    pub(crate) fn push_items(&mut self, bytes: &[u8], items: Vec<Item>) {
        let mut left = items.len();
        let mut items = items.into_iter();
        while left > 0 {
            let pieces = left.div_ceil(PIECE_ITEMS_MAX);
            let mut taken: Vec<_> = items.by_ref().take(left.div_ceil(pieces)).collect();
            left -= taken.len();
            let at = taken.first().map_or(0, |first| first.value.at);
            for item in &mut taken {
                item.id.at -= at;
                item.value.at -= at;
            }
            self.push(at, Arc::new(Piece::new(&bytes[at..], taken)));
        }
    }

    pub(crate) fn into_list(self) -> List {
        List {
            runs: self.runs.into_boxed_slice(),
            len: self.len,
        }
    }
}

impl List {
    pub(crate) fn empty() -> Self {
        Runs::default().into_list()
    }
}

/// The name of the entry that makes a map an item.
pub(crate) const ID: &str = "id";

/// A map and its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MapView<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) map: &'a Map,
}

impl<'a> MapView<'a> {
    pub(crate) fn len(self) -> usize {
        self.map.entries.len()
    }

    pub(crate) fn key(self, at: usize) -> &'a str {
        text(self.map.entries[at].key.of(self.bytes))
    }

    pub(crate) fn value(self, at: usize) -> View<'a> {
        let entry = &self.map.entries[at];
        View {
            bytes: entry.value.of(self.bytes),
            shape: &entry.shape,
        }
    }

    pub(crate) fn find(self, key: &str) -> Option<usize> {
        let key = key.as_bytes();
        let key_of = |entry: &Entry| entry.key.of(self.bytes);
        self.map
            .entries
            .binary_search_by(|entry| key_of(entry).cmp(key))
            .ok()
    }
}

/// A list and its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListView<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) list: &'a List,
}

impl<'a> ListView<'a> {
    pub(crate) fn len(self) -> usize {
        self.list.len
    }

    pub(crate) fn runs(self) -> &'a [Run] {
        &self.list.runs
    }

    /// The bytes of a run of this list.
    pub(crate) fn run_bytes(self, run: &'a Run) -> &'a [u8] {
        match &run.piece.part {
            Some(part) => part.bytes(),
            None => &self.bytes[run.at..run.at + run.piece.size_bytes],
        }
    }

    /// The items of some of its runs, each with the bytes that its positions count from.
    pub(crate) fn items(self, runs: Range<usize>) -> impl Iterator<Item = (&'a Item, &'a [u8])> {
        self.list.runs[runs].iter().flat_map(move |run| {
            let bytes = self.run_bytes(run);
            run.piece.items.iter().map(move |item| (item, bytes))
        })
    }

    /// The number of the run that the item at `at` is in.
    pub(crate) fn run_of(self, at: usize) -> usize {
        self.list.runs.partition_point(|run| run.first <= at) - 1
    }

    /// Where the run of this number begins, or the list ends.
    pub(crate) fn first_of(self, run: usize) -> usize {
        self.list.runs.get(run).map_or(self.len(), |run| run.first)
    }

    pub(crate) fn at(self, at: usize) -> (&'a Item, &'a [u8]) {
        let run = &self.list.runs[self.run_of(at)];
        (&run.piece.items[at - run.first], self.run_bytes(run))
    }

    pub(crate) fn id(self, at: usize) -> Id<'a> {
        let (item, bytes) = self.at(at);
        item.id(bytes)
    }

    pub(crate) fn item(self, at: usize) -> MapView<'a> {
        let (item, bytes) = self.at(at);
        item.view(bytes)
    }
}

/// A value and its shape.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) shape: &'a Shape,
}

impl<'a> View<'a> {
    pub(crate) fn as_map(self) -> Option<MapView<'a>> {
        match self.shape {
            Shape::Map(map) => Some(MapView {
                bytes: self.bytes,
                map,
            }),
            _ => None,
        }
    }

    pub(crate) fn as_list(self) -> Option<ListView<'a>> {
        match self.shape {
            Shape::List(list) => Some(ListView {
                bytes: self.bytes,
                list,
            }),
            _ => None,
        }
    }
}

/// Finds items by id. Asked in the list's own order it looks at nothing but the next item.
#[derive(Debug)]
pub(crate) struct IdLookup<'a> {
    list: ListView<'a>,
    next: Option<Cursor>,
    /// How often another than the next item was asked for.
    misses: usize,
    table: Option<HashMap<Id<'a>, usize>>,
}

/// An item of a list and its run, so that the one behind it is found at once.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    run: usize,
    at: usize,
}

/// So many ids are looked for in the hashes of each piece; for more, all are put into a table.
const MISSES_MAX: usize = 32;

impl<'a> IdLookup<'a> {
    pub(crate) fn new(list: ListView<'a>) -> Self {
        let mut lookup = Self {
            list,
            next: None,
            misses: 0,
            table: None,
        };
        lookup.go_to(0);
        lookup
    }

    pub(crate) fn list(&self) -> ListView<'a> {
        self.list
    }

    /// The place of the next item.
    pub(crate) fn position(&self) -> Option<usize> {
        self.next.map(|next| next.at)
    }

    /// The run that the next item is the first of.
    pub(crate) fn run_begun(&self) -> Option<usize> {
        let Cursor { run, at } = self.next?;
        (self.list.first_of(run) == at).then_some(run)
    }

    /// The item at the place behind the one found last.
    pub(crate) fn next(&self) -> Option<(usize, &'a Item, &'a [u8])> {
        let Cursor { run, at } = self.next?;
        let run = &self.list.runs()[run];
        let item = &run.piece.items[at - run.first];
        Some((at, item, self.list.run_bytes(run)))
    }

    /// Goes to the item at `at`, which is looked at next.
    pub(crate) fn go_to(&mut self, at: usize) {
        let list = self.list;
        self.next = (at < list.len()).then(|| {
            let is_in = |run: &usize| (list.first_of(*run)..list.first_of(run + 1)).contains(&at);
            // Where the last one was, or behind it, most often.
            let near = self
                .next
                .and_then(|last| [last.run, last.run + 1].into_iter().find(is_in));
            let run = near.unwrap_or_else(|| list.run_of(at));
            Cursor { run, at }
        });
    }

    pub(crate) fn find(&mut self, id: Id<'_>) -> Option<usize> {
        let found = match self.next() {
            Some((at, item, bytes)) if item.id(bytes) == id => at,
            _ => self.search(id)?,
        };
        self.go_to(found + 1);
        Some(found)
    }

    fn search(&mut self, id: Id<'_>) -> Option<usize> {
        let list = self.list;
        self.misses += 1;
        if self.misses > MISSES_MAX {
            let table = self.table.get_or_insert_with(|| {
                let items = list.items(0..list.runs().len());
                items.map(|(item, bytes)| item.id(bytes)).zip(0..).collect()
            });
            return table.get(&id).copied();
        }
        let hash = id.hash();
        let runs = list.runs().iter().filter(|run| run.piece.may_have(hash));
        let mut found = runs.flat_map(|run| {
            let items = run.piece.items.iter().zip(run.first..);
            items.map(|(item, at)| (item.id(list.run_bytes(run)), at))
        });
        found.find(|(found, _)| *found == id).map(|(_, at)| at)
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("split and join check keys and string ids to be UTF-8")
}
