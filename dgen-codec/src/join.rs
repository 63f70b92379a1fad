//! From keys to a tree and its MessagePack: checks everything, trusts nothing.

use std::{collections::HashSet, str, sync::Arc};

use crate::{
    diff::MARKER_FORMAT,
    error::Damage,
    index::FracIndex,
    keys::{self, Id, Part, TAG_SIZE_BYTES},
    msgpack,
    split::DEPTH_MAX,
    tree::{Entry, ID, Item, List, Map, Runs, Shape, Span},
};

/// A key below the state's prefix, and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) value: &'a [u8],
}

/// What is wrong, and at which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DamagedAt {
    pub(crate) key: Vec<u8>,
    pub(crate) damage: Damage,
}

/// The value that `rows`, sorted by key, hold; at least one row.
pub(crate) fn join(rows: &[Row<'_>]) -> Result<(Vec<u8>, Shape), DamagedAt> {
    let mut join = Join {
        rows,
        next: 0,
        bytes: Vec::with_capacity(rows.iter().map(|row| row.value.len() + 16).sum()),
    };
    let shape = join.value(0, 0)?;
    if join.next < rows.len() {
        return Err(join.damaged(Damage::UnknownKey));
    }
    Ok((join.bytes, shape))
}

struct Join<'a> {
    rows: &'a [Row<'a>],
    next: usize,
    bytes: Vec<u8>,
}

impl<'a> Join<'a> {
    /// Reads the value whose keys begin as the next row's does, up to `at`.
    fn value(&mut self, at: usize, depth: usize) -> Result<Shape, DamagedAt> {
        let Some(row) = self.rows.get(self.next).copied() else {
            return Err(self.damaged(Damage::MissingMarker));
        };
        let shape = match keys::tag(row.key, at) {
            Some(keys::TERM) => {
                self.term(&row.key[..at + TAG_SIZE_BYTES])?;
                Shape::Term
            }
            Some(keys::MAP | keys::LIST) if depth >= DEPTH_MAX => {
                return Err(self.damaged(Damage::TooDeep { max: DEPTH_MAX }));
            }
            Some(keys::MAP) => Shape::Map(Arc::new(self.map(at, depth, None)?)),
            Some(keys::LIST) => Shape::List(Arc::new(self.list(at, depth)?)),
            _ => return Err(self.damaged(Damage::UnknownKey)),
        };
        if self.row_below(&row.key[..at]).is_some() {
            return Err(self.damaged(Damage::MixedEncodings));
        }
        Ok(shape)
    }

    /// Reads the chunks below `prefix`.
    fn term(&mut self, prefix: &[u8]) -> Result<(), DamagedAt> {
        let begin = self.bytes.len();
        let first = self.next;
        let mut expected = 0;
        while let Some(row) = self.row_below(prefix) {
            match keys::part(row.key, prefix.len()) {
                Some((Part::Int(number), end)) if end == row.key.len() => {
                    if number != expected {
                        return Err(self.damaged(Damage::MissingChunk { expected }));
                    }
                }
                _ => return Err(self.damaged(Damage::UnknownKey)),
            }
            self.bytes.extend_from_slice(row.value);
            self.next += 1;
            expected += 1;
        }
        let bytes = &self.bytes[begin..];
        if msgpack::size_bytes(bytes) == Ok(bytes.len()) {
            return Ok(());
        }
        let size_bytes = bytes.len();
        self.next = first;
        Err(self.damaged(Damage::NotOneValue { size_bytes }))
    }

    /// Reads the map whose tag is at `at`, an item's if there is an id.
    fn map(&mut self, at: usize, depth: usize, id: Option<Id<'_>>) -> Result<Map, DamagedAt> {
        let begin = self.bytes.len();
        let (prefix, lead) = self.marker(at)?;
        let lead = str::from_utf8(lead).map_err(|_| self.unknown_marker(lead))?;
        self.next += 1;
        self.begin_container(MAP32);
        let mut entries = Vec::new();
        if let Some(id) = id {
            entries.push(self.id_entry(begin, id));
        }
        while let Some(row) = self.row_below(prefix) {
            let Some((Part::Str(key), end)) = keys::part(row.key, prefix.len()) else {
                return Err(self.damaged(Damage::UnknownKey));
            };
            if id.is_some() && key == ID {
                return Err(self.damaged(Damage::DuplicateId));
            }
            let key = self.str(begin, &key);
            let value_at = self.bytes.len();
            let shape = self.value(end, depth + 1)?;
            let value = self.span(begin, value_at);
            entries.push(Entry { key, value, shape });
        }
        self.end_container(begin, entries.len())?;
        let map_bytes = &mut self.bytes[begin..];
        move_to_front(map_bytes, &mut entries, lead);
        entries.sort_unstable_by_key(|entry| entry.key.of(map_bytes));
        Ok(Map {
            lead: (!lead.is_empty()).then(|| lead.into()),
            entries: entries.into_boxed_slice(),
        })
    }

    /// Reads the list whose tag is at `at`.
    fn list(&mut self, at: usize, depth: usize) -> Result<List, DamagedAt> {
        let begin = self.bytes.len();
        let (prefix, rest) = self.marker(at)?;
        if !rest.is_empty() {
            return Err(self.unknown_marker(rest));
        }
        self.next += 1;
        self.begin_container(ARRAY32);
        let mut ids = HashSet::new();
        let mut items = Vec::<Item>::new();
        while let Some(row) = self.row_below(prefix) {
            let Some((Part::Bytes(index), id_at)) = keys::part(row.key, prefix.len()) else {
                return Err(self.damaged(Damage::UnknownKey));
            };
            let index = FracIndex::from_bytes(&index);
            let index = index.map_err(|error| self.damaged(Damage::BadIndex(error)))?;
            if items.last().is_some_and(|last| last.index >= index) {
                let index = index.to_string();
                return Err(self.damaged(Damage::DuplicateIndex { index }));
            }
            let Some((id, end)) = keys::part(row.key, id_at) else {
                return Err(self.damaged(Damage::UnknownKey));
            };
            if !ids.insert(id.clone()) {
                return Err(self.damaged(Damage::DuplicateId));
            }
            let id = match &id {
                Part::Str(id) => Id::Str(id),
                Part::Bytes(id) => Id::Bin(id),
                Part::Int(_) => return Err(self.damaged(Damage::UnknownKey)),
            };
            if keys::tag(row.key, end) != Some(keys::MAP) {
                return Err(self.damaged(Damage::ItemNotAMap));
            }
            let value_at = self.bytes.len();
            let map = self.map(end, depth + 1, Some(id))?;
            if self.row_below(&row.key[..end]).is_some() {
                return Err(self.damaged(Damage::MixedEncodings));
            }
            let value = self.span(begin, value_at);
            items.push(Item {
                index,
                is_id_str: matches!(id, Id::Str(_)),
                id: id_span(&self.bytes[value_at..], &map, value.at),
                value,
                map: Arc::new(map),
            });
        }
        if items.is_empty() {
            self.next -= 1;
            return Err(self.damaged(Damage::EmptyList));
        }
        self.end_container(begin, items.len())?;
        let mut runs = Runs::default();
        runs.push_items(&self.bytes[begin..], items);
        Ok(runs.into_list())
    }

    /// The marker at the next row, whose tag is at `at`: the prefix that entries or items share,
    /// and what the value holds behind its format. Stays at the row.
    fn marker(&self, at: usize) -> Result<(&'a [u8], &'a [u8]), DamagedAt> {
        let row = self.rows[self.next];
        if row.key.len() != at + TAG_SIZE_BYTES {
            return Err(self.damaged(Damage::MissingMarker));
        }
        match row.value.split_first() {
            Some((&MARKER_FORMAT, rest)) => Ok((row.key, rest)),
            _ => Err(self.unknown_marker(row.value)),
        }
    }

    /// The next row, if its key begins with the elements of `prefix`.
    fn row_below(&self, prefix: &[u8]) -> Option<Row<'a>> {
        let row = *self.rows.get(self.next)?;
        keys::is_below(row.key, prefix).then_some(row)
    }

    /// Leaves room for the count, which is known at the end.
    fn begin_container(&mut self, marker: u8) {
        self.bytes.extend_from_slice(&[marker, 0, 0, 0, 0]);
    }

    fn end_container(&mut self, begin: usize, count: usize) -> Result<(), DamagedAt> {
        let count = u32::try_from(count).map_err(|_| self.damaged(Damage::UnknownKey))?;
        self.bytes[begin + 1..begin + 5].copy_from_slice(&count.to_be_bytes());
        Ok(())
    }

    fn id_entry(&mut self, begin: usize, id: Id<'_>) -> Entry {
        let key = self.str(begin, ID);
        let value_at = self.bytes.len();
        match id {
            Id::Str(id) => {
                self.str(begin, id);
            }
            Id::Bin(id) => self.counted(BIN32, id),
        }
        let value = self.span(begin, value_at);
        Entry {
            key,
            value,
            shape: Shape::Term,
        }
    }

    /// Appends a string; where its text is.
    fn str(&mut self, begin: usize, text: &str) -> Span {
        self.counted(STR32, text.as_bytes());
        self.span(begin, self.bytes.len() - text.len())
    }

    fn counted(&mut self, marker: u8, payload: &[u8]) {
        // A part of a key, so it fits 32 bits.
        let size_bytes = payload.len() as u32;
        self.bytes.push(marker);
        self.bytes.extend_from_slice(&size_bytes.to_be_bytes());
        self.bytes.extend_from_slice(payload);
    }

    /// From `at` to the end, in the value that begins at `begin`.
    fn span(&self, begin: usize, at: usize) -> Span {
        Span {
            at: at - begin,
            size_bytes: self.bytes.len() - at,
        }
    }

    fn unknown_marker(&self, value: &[u8]) -> DamagedAt {
        let value = value.escape_ascii().to_string();
        self.damaged(Damage::UnknownMarker { value })
    }

    fn damaged(&self, damage: Damage) -> DamagedAt {
        let row = self.rows.get(self.next).or(self.rows.last());
        DamagedAt {
            key: row.map(|row| row.key.to_vec()).unwrap_or_default(),
            damage,
        }
    }
}

const MAP32: u8 = 0xdf;
const ARRAY32: u8 = 0xdd;
const STR32: u8 = 0xdb;
const BIN32: u8 = 0xc6;
/// The length of these markers with their counts.
const HEAD32_SIZE_BYTES: usize = 5;

/// Puts the lead's entry before the others, which are in the order of their bytes.
fn move_to_front(bytes: &mut [u8], entries: &mut [Entry], lead: &str) {
    let is_lead = |entry: &&Entry| entry.key.of(bytes) == lead.as_bytes();
    let Some(entry) = entries.iter().find(is_lead).filter(|_| !lead.is_empty()) else {
        return;
    };
    let begin = entry.key.at - HEAD32_SIZE_BYTES;
    let end = entry.value.at + entry.value.size_bytes;
    bytes[HEAD32_SIZE_BYTES..end].rotate_right(end - begin);
    for entry in entries {
        for at in [&mut entry.key.at, &mut entry.value.at] {
            if *at >= end {
                continue;
            }
            if *at >= begin {
                *at -= begin - HEAD32_SIZE_BYTES;
            } else {
                *at += end - begin;
            }
        }
    }
}

/// Where an item's id is, in the list that has the item at `item_at`.
fn id_span(bytes: &[u8], map: &Map, item_at: usize) -> Span {
    let is_id = |entry: &&Entry| entry.key.of(bytes) == ID.as_bytes();
    let id = map.entries.iter().find(is_id);
    let value = id.expect("an item's map was given its id").value;
    Span {
        at: item_at + value.at + HEAD32_SIZE_BYTES,
        size_bytes: value.size_bytes - HEAD32_SIZE_BYTES,
    }
}
