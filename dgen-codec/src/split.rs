//! From MessagePack to a tree: which values get keys of their own, and at which indices.
//!
//! The shape depends on the value alone, so equal values are stored alike; only indices remember
//! what was. A value that would need too long a key, or is nested too deeply, stays whole inside its
//! parent's MessagePack: any serde type can be stored (SPEC C1).

use std::{str, sync::Arc};

use crate::{
    index::FracIndex,
    keys::{Id, TAG_SIZE_BYTES, packed_size_bytes},
    msgpack::{self, Kind, Malformed},
    order,
    spacing::{self, INDEX_SIZE_MAX_BYTES},
    tree::{Entry, ID, IdLookup, Item, List, ListView, Map, MapView, Shape, Span, View},
};

/// Maps and lists are split this deep; what lies below is stored whole.
pub(crate) const DEPTH_MAX: usize = 48;

/// No map's key and no id is longer and has a key of its own.
pub(crate) const NAME_SIZE_MAX_BYTES: usize = 1_000;

/// What the state's prefix is followed by is no longer than this.
pub(crate) const PATH_SIZE_MAX_BYTES: usize = 4_000;

/// What every path ends with at most: a tag and a chunk's number.
const LEAF_SIZE_BYTES: usize = TAG_SIZE_BYTES + 9;

/// The shape of `bytes`, which are one value. What is equal in `old` is taken from there.
pub(crate) fn split(bytes: &[u8], old: Option<View<'_>>) -> Result<Shape, Malformed> {
    let room = Room {
        path_size_bytes: PATH_SIZE_MAX_BYTES - LEAF_SIZE_BYTES,
        depth: DEPTH_MAX,
    };
    let (shape, size_bytes) = split_value(bytes, old, room)?;
    if size_bytes == bytes.len() {
        Ok(shape)
    } else {
        Err(Malformed)
    }
}

/// What is left to go down.
#[derive(Debug, Clone, Copy)]
struct Room {
    path_size_bytes: usize,
    depth: usize,
}

impl Room {
    /// The room below a map or list.
    fn inside(self) -> Option<Self> {
        Some(Self {
            path_size_bytes: self.path_size_bytes.checked_sub(TAG_SIZE_BYTES)?,
            depth: self.depth.checked_sub(1)?,
        })
    }

    /// The room below an entry or item of this name.
    fn below(self, name: &[u8]) -> Option<Self> {
        if name.len() > NAME_SIZE_MAX_BYTES {
            return None;
        }
        Some(Self {
            path_size_bytes: self.path_size_bytes.checked_sub(packed_size_bytes(name))?,
            ..self
        })
    }

    /// The room below the longest index, whatever the item's own is: indices change, shapes must
    /// not.
    fn below_index(self) -> Option<Self> {
        Some(Self {
            path_size_bytes: self.path_size_bytes.checked_sub(INDEX_SIZE_MAX_BYTES + 2)?,
            ..self
        })
    }
}

/// The value that `bytes` begin with: its shape and its length.
fn split_value(
    bytes: &[u8],
    old: Option<View<'_>>,
    room: Room,
) -> Result<(Shape, usize), Malformed> {
    // No MessagePack value is the beginning of another: if the old bytes are here, they are all.
    if let Some(old) = old
        && bytes.starts_with(old.bytes)
    {
        return Ok((old.shape.clone(), old.bytes.len()));
    }
    let split = match msgpack::head(bytes)?.kind {
        Kind::Map(_) => split_map(bytes, old.and_then(View::as_map), room)?
            .map(|(map, size_bytes)| (Shape::Map(map), size_bytes)),
        Kind::Array(1..) => split_list(bytes, old.and_then(View::as_list), room)?
            .map(|(list, size_bytes)| (Shape::List(list), size_bytes)),
        _ => None,
    };
    match split {
        Some(split) => Ok(split),
        None => Ok((Shape::Term, msgpack::size_bytes(bytes)?)),
    }
}

/// `None` if some key is no string, is there twice, or is too long.
fn split_map(
    bytes: &[u8],
    old: Option<MapView<'_>>,
    room: Room,
) -> Result<Option<(Arc<Map>, usize)>, Malformed> {
    let head = msgpack::head(bytes)?;
    let (Kind::Map(count), Some(room)) = (head.kind, room.inside()) else {
        return Ok(None);
    };
    let mut at = head.size_bytes;
    let mut entries = Vec::new();
    for _ in 0..count {
        let Some((key, span)) = str_at(bytes, at)? else {
            return Ok(None);
        };
        let Some(room) = room.below(key.as_bytes()) else {
            return Ok(None);
        };
        at = span.at + span.size_bytes;
        let old = old.and_then(|old| Some(old.value(old.find(key)?)));
        let (shape, size_bytes) = split_value(&bytes[at..], old, room)?;
        entries.push(Entry {
            key: span,
            value: Span { at, size_bytes },
            shape,
        });
        at += size_bytes;
    }
    let first_key = entries.first().map(|entry: &Entry| entry.key);
    let is_first_str = entries.first().is_some_and(|entry| {
        let head = msgpack::head(entry.value.of(bytes));
        matches!(head, Ok(head) if matches!(head.kind, Kind::Str(_)))
    });
    entries.sort_unstable_by_key(|entry| entry.key.of(bytes));
    if entries
        .windows(2)
        .any(|pair| pair[0].key.of(bytes) == pair[1].key.of(bytes))
    {
        return Ok(None);
    }
    let map = Map {
        lead: None,
        entries: entries.into_boxed_slice(),
    };
    // Only a map of the form of an adjacently tagged enum can need a lead: a name, then the content.
    let is_tagged = is_first_str && map.entries.len() == 2 && first_key != Some(map.entries[0].key);
    let tag = first_key.filter(|_| is_tagged).map(|key| key.of(bytes));
    let tag = tag.and_then(|tag| str::from_utf8(tag).ok());
    let lead = choose_lead(tag, MapView { bytes, map: &map }, old);
    Ok(Some((Arc::new(Map { lead, ..map }), at)))
}

/// Keeps the old lead unless another is needed: hash maps of two entries come in any order, and
/// equal maps must be stored alike.
fn choose_lead(tag: Option<&str>, new: MapView<'_>, old: Option<MapView<'_>>) -> Option<Box<str>> {
    let old_lead = old.and_then(|old| old.map.lead.clone());
    let has_old_keys = old.is_some_and(|old| {
        old.len() == new.len() && (0..old.len()).all(|at| old.key(at) == new.key(at))
    });
    match tag {
        Some(tag) if !has_old_keys => Some(tag.into()),
        _ => old_lead,
    }
}

/// `None` if some item is no map that can be split, or has no id, or not one of its own.
fn split_list(
    bytes: &[u8],
    old: Option<ListView<'_>>,
    room: Room,
) -> Result<Option<(Arc<List>, usize)>, Malformed> {
    let head = msgpack::head(bytes)?;
    let (Kind::Array(count), Some(room)) = (head.kind, room.inside().and_then(Room::below_index))
    else {
        return Ok(None);
    };
    let mut lookup = old.map(IdLookup::new);
    let mut at = head.size_bytes;
    let mut found = Vec::new();
    let mut old_positions = Vec::new();
    for _ in 0..count {
        let Some((id, id_span)) = id_at(bytes, at)? else {
            return Ok(None);
        };
        let Some(room) = room.below(id_bytes(id)) else {
            return Ok(None);
        };
        let old_at = lookup.as_mut().and_then(|lookup| lookup.find(id));
        let old = old.and_then(|old| Some((old.item(old_at?), &old.list.items[old_at?].map)));
        let split = match old {
            Some((old, map)) if bytes[at..].starts_with(old.bytes) => {
                Some((Arc::clone(map), old.bytes.len()))
            }
            old => split_map(&bytes[at..], old.map(|(old, _)| old), room)?,
        };
        let Some((map, size_bytes)) = split else {
            return Ok(None);
        };
        found.push((id, id_span, Span { at, size_bytes }, map));
        old_positions.push(old_at);
        at += size_bytes;
    }
    // Items that are all old ones in their old order have ids of their own.
    let is_as_before =
        old_positions.iter().all(Option::is_some) && old_positions.is_sorted_by(|a, b| a < b);
    if !is_as_before {
        let mut ids: Vec<_> = found.iter().map(|(id, ..)| *id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return Ok(None);
        }
    }
    let indices = place(&old_positions, old);
    let items = found
        .into_iter()
        .zip(indices)
        .map(|((id, id_span, value, map), index)| Item {
            index,
            is_id_str: matches!(id, Id::Str(_)),
            id: id_span,
            value,
            map,
        })
        .collect();
    Ok(Some((Arc::new(List { items }), at)))
}

/// The index of each item: the old one for the most that can keep theirs (SPEC C2).
fn place(old_positions: &[Option<usize>], old: Option<ListView<'_>>) -> Vec<FracIndex> {
    let keep = order::keepers(old_positions);
    let mut slots: Vec<_> = old_positions
        .iter()
        .zip(keep)
        .map(|(position, keep)| {
            let position = position.filter(|_| keep)?;
            Some(old?.index(position).clone())
        })
        .collect();
    spacing::fill(&mut slots);
    slots.into_iter().flatten().collect()
}

/// The string that is the value at `at`, and where its text is; `None` if it is no string.
fn str_at(bytes: &[u8], at: usize) -> Result<Option<(&str, Span)>, Malformed> {
    let bytes = bytes.get(at..).ok_or(Malformed)?;
    let head = msgpack::head(bytes)?;
    let Kind::Str(size) = head.kind else {
        return Ok(None);
    };
    let payload = msgpack::payload(bytes, head, size)?;
    let span = Span {
        at: at + head.size_bytes,
        size_bytes: payload.len(),
    };
    Ok(str::from_utf8(payload).ok().map(|text| (text, span)))
}

/// The id of the map at `at`, if it is a map, all keys before `id` are strings, and the id is a
/// string or bytes.
fn id_at(bytes: &[u8], at: usize) -> Result<Option<(Id<'_>, Span)>, Malformed> {
    let head = msgpack::head(bytes.get(at..).ok_or(Malformed)?)?;
    let Kind::Map(count) = head.kind else {
        return Ok(None);
    };
    let mut at = at + head.size_bytes;
    for _ in 0..count {
        let Some((key, span)) = str_at(bytes, at)? else {
            return Ok(None);
        };
        at = span.at + span.size_bytes;
        let value = bytes.get(at..).ok_or(Malformed)?;
        if key != ID {
            at += msgpack::size_bytes(value)?;
            continue;
        }
        if let Some((text, span)) = str_at(bytes, at)? {
            return Ok(Some((Id::Str(text), span)));
        }
        let head = msgpack::head(value)?;
        let Kind::Bin(size) = head.kind else {
            return Ok(None);
        };
        let id = msgpack::payload(value, head, size)?;
        let span = Span {
            at: at + head.size_bytes,
            size_bytes: id.len(),
        };
        return Ok(Some((Id::Bin(id), span)));
    }
    Ok(None)
}

fn id_bytes(id: Id<'_>) -> &[u8] {
    match id {
        Id::Str(id) => id.as_bytes(),
        Id::Bin(id) => id,
    }
}
