//! The tree of keys that a state is stored as, kept beside the state so that a write reads nothing.
//!
//! A tree is the state's MessagePack and a [`Shape`] over it: where the entries and items lie in
//! those bytes. All positions count from the beginning of the value they are in, so a shape fits
//! wherever the same bytes are: a value that did not change lends its shape, indices and all, to
//! the next tree, and the old bytes can go.

use std::{collections::HashMap, sync::Arc};

use crate::{index::FracIndex, keys::Id};

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
    /// Whether it is the very same, and so describes equal bytes the same way.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Term, Self::Term) => true,
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

/// A list of maps with distinct ids, at least one.
#[derive(Debug)]
pub(crate) struct List {
    /// Sorted by index.
    pub(crate) items: Box<[Item]>,
}

#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) index: FracIndex,
    pub(crate) is_id_str: bool,
    /// The id's text or bytes.
    pub(crate) id: Span,
    pub(crate) value: Span,
    /// Its entry `id` is not stored: the key says it.
    pub(crate) map: Arc<Map>,
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
        self.list.items.len()
    }

    pub(crate) fn index(self, at: usize) -> &'a FracIndex {
        &self.list.items[at].index
    }

    pub(crate) fn id(self, at: usize) -> Id<'a> {
        let item = &self.list.items[at];
        let id = item.id.of(self.bytes);
        if item.is_id_str {
            Id::Str(text(id))
        } else {
            Id::Bin(id)
        }
    }

    pub(crate) fn item(self, at: usize) -> MapView<'a> {
        let item = &self.list.items[at];
        MapView {
            bytes: item.value.of(self.bytes),
            map: &item.map,
        }
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

/// Finds items by id. Asked in the list's own order it makes no table: then the next item is the
/// one asked for.
#[derive(Debug)]
pub(crate) struct IdLookup<'a> {
    list: ListView<'a>,
    next: usize,
    table: Option<HashMap<Id<'a>, usize>>,
}

impl<'a> IdLookup<'a> {
    pub(crate) fn new(list: ListView<'a>) -> Self {
        Self {
            list,
            next: 0,
            table: None,
        }
    }

    pub(crate) fn find(&mut self, id: Id<'_>) -> Option<usize> {
        let list = self.list;
        if self.next >= list.len() || list.id(self.next) != id {
            let table = self
                .table
                .get_or_insert_with(|| (0..list.len()).map(|at| (list.id(at), at)).collect());
            self.next = *table.get(&id)?;
        }
        self.next += 1;
        Some(self.next - 1)
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("split and join check keys and string ids to be UTF-8")
}
