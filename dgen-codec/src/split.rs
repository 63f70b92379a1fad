//! From MessagePack to a tree: which values get keys of their own, and at which indices.
//!
//! The shape depends on the value alone, so equal values are stored alike; only indices remember
//! what was. A value that would need too long a key, or is nested too deeply, stays whole inside its
//! parent's MessagePack: any serde type can be stored (SPEC C1).

use std::{collections::HashSet, str, sync::Arc};

use crate::{
    keys::{Id, TAG_SIZE_BYTES, packed_size_bytes},
    msgpack::{self, Kind, Malformed},
    outline::{self, MARK_SIZE_BYTES},
    parts::{Lists, Part, Parts},
    spacing::INDEX_SIZE_MAX_BYTES,
    stretches::{Found, Stretches},
    tree::{Entry, ID, IdLookup, List, ListView, Map, MapView, Shape, Span, View},
};

/// Maps and lists are split this deep; what lies below is stored whole.
pub(crate) const DEPTH_MAX: usize = 48;

/// No map's key and no id is longer and has a key of its own.
pub(crate) const NAME_SIZE_MAX_BYTES: usize = 1_000;

/// What the state's prefix is followed by is no longer than this.
pub(crate) const PATH_SIZE_MAX_BYTES: usize = 4_000;

/// What every path ends with at most: a tag and a chunk's number.
const LEAF_SIZE_BYTES: usize = TAG_SIZE_BYTES + 9;

/// The shape of `outline`, which is one value that leaves out `lists`. What is equal in `old` is taken
/// from there. A list that is stored whole is put into the outline.
pub(crate) fn split(
    outline: &mut Vec<u8>,
    lists: &Lists,
    old: Option<View<'_>>,
) -> Result<Shape, Malformed> {
    loop {
        let mut splitting = Splitting {
            lists,
            whole: HashSet::new(),
        };
        let shape = splitting.all(outline, old)?;
        if splitting.whole.is_empty() {
            return Ok(shape);
        }
        let mut expanded = Vec::new();
        let is_whole = |number| splitting.whole.contains(&number);
        outline::expand(outline, 1, lists, is_whole, &mut expanded)?;
        *outline = expanded;
    }
}

/// The shape of `bytes`, which are one value that leaves out nothing.
pub(crate) fn split_plain(bytes: &[u8]) -> Result<Shape, Malformed> {
    let mut splitting = Splitting {
        lists: &Lists::new(),
        whole: HashSet::new(),
    };
    let shape = splitting.all(bytes, None)?;
    match splitting.whole.is_empty() {
        true => Ok(shape),
        false => Err(Malformed),
    }
}

struct Splitting<'a> {
    lists: &'a Lists,
    /// Those that have no keys of their own, or lie in a value that has none.
    whole: HashSet<u64>,
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

impl Splitting<'_> {
    fn all(&mut self, bytes: &[u8], old: Option<View<'_>>) -> Result<Shape, Malformed> {
        let room = Room {
            path_size_bytes: PATH_SIZE_MAX_BYTES - LEAF_SIZE_BYTES,
            depth: DEPTH_MAX,
        };
        let (shape, size_bytes) = self.value(bytes, old, room)?;
        if size_bytes == bytes.len() {
            Ok(shape)
        } else {
            Err(Malformed)
        }
    }

    /// The value that `bytes` begin with: its shape and its length.
    fn value(
        &mut self,
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
        let old_list = || old.and_then(View::as_list);
        if let Some(number) = outline::mark(bytes) {
            let parts = self.lists.get(&number).ok_or(Malformed)?;
            if let Some(list) = self.list_in_parts(parts, old_list(), room)? {
                return Ok((Shape::List(Arc::new(list)), MARK_SIZE_BYTES));
            }
        }
        let split = match outline::head(bytes)?.kind {
            Kind::Map(_) => self
                .map(bytes, old.and_then(View::as_map), room)?
                .map(|(map, size_bytes)| (Shape::Map(map), size_bytes)),
            Kind::Array(1..) => self
                .list(bytes, old_list(), room)?
                .map(|(list, size_bytes)| (Shape::List(Arc::new(list)), size_bytes)),
            _ => None,
        };
        match split {
            Some(split) => Ok(split),
            None => {
                let whole = &mut self.whole;
                let size_bytes = outline::size_bytes(bytes, |number, _| {
                    whole.insert(number);
                })?;
                Ok((Shape::Term, size_bytes))
            }
        }
    }

    /// `None` if some key is no string, is there twice, or is too long.
    fn map(
        &mut self,
        bytes: &[u8],
        old: Option<MapView<'_>>,
        room: Room,
    ) -> Result<Option<(Arc<Map>, usize)>, Malformed> {
        let head = msgpack::head(bytes)?;
        let (Kind::Map(count), Some(room)) = (head.kind, room.inside()) else {
            return Ok(None);
        };
        let mut at = head.size_bytes;
        // Each takes two bytes at least.
        let mut entries = Vec::with_capacity((count as usize).min(bytes.len() / 2));
        for _ in 0..count {
            let Some((key, span)) = str_at(bytes, at)? else {
                return Ok(None);
            };
            let Some(room) = room.below(key.as_bytes()) else {
                return Ok(None);
            };
            at = span.at + span.size_bytes;
            let old = old.and_then(|old| Some(old.value(old.find(key)?)));
            let (shape, size_bytes) = self.value(&bytes[at..], old, room)?;
            entries.push(Entry {
                key: span,
                value: Span { at, size_bytes },
                shape,
            });
            at += size_bytes;
        }
        let first_key = entries.first().map(|entry: &Entry| entry.key);
        let is_first_str = entries.first().is_some_and(|entry| {
            let head = outline::head(entry.value.of(bytes));
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
        let is_tagged =
            is_first_str && map.entries.len() == 2 && first_key != Some(map.entries[0].key);
        let tag = first_key.filter(|_| is_tagged).map(|key| key.of(bytes));
        let tag = tag.and_then(|tag| str::from_utf8(tag).ok());
        let lead = choose_lead(tag, MapView { bytes, map: &map }, old);
        Ok(Some((Arc::new(Map { lead, ..map }), at)))
    }

    /// `None` if some item is no map that can be split, or has no id, or not one of its own.
    fn list(
        &mut self,
        bytes: &[u8],
        old: Option<ListView<'_>>,
        room: Room,
    ) -> Result<Option<(List, usize)>, Malformed> {
        let head = msgpack::head(bytes)?;
        let (Kind::Array(count), Some(room)) =
            (head.kind, room.inside().and_then(Room::below_index))
        else {
            return Ok(None);
        };
        let count = usize::try_from(count).map_err(|_| Malformed)?;
        let mut lookup = old.map(IdLookup::new);
        let mut stretches = Stretches::new(old);
        let mut at = head.size_bytes;
        while stretches.len() < count {
            let rest = bytes.get(at..).ok_or(Malformed)?;
            // A run that is there as it was is not taken apart.
            let kept = lookup.as_ref().and_then(|lookup| {
                let run = lookup.run_begun()?;
                stretches.is_next(run).then_some(run)
            });
            if let Some(old) = old
                && let Some(run) = kept
                && stretches.len() + old.runs()[run].piece.items.len() <= count
                && let run_bytes = old.run_bytes(&old.runs()[run])
                && rest.starts_with(run_bytes)
            {
                stretches.keep(run, at);
                if let Some(lookup) = &mut lookup {
                    lookup.go_to(old.first_of(run + 1));
                }
                at += run_bytes.len();
                continue;
            }
            let Some(found) = self.item(bytes, at, lookup.as_mut(), room)? else {
                return Ok(None);
            };
            // It may be the first of a run further on.
            if let (Some(old), Some(lookup), Some(old_at)) = (old, &mut lookup, found.old_at)
                && let run = old.run_of(old_at)
                && kept != Some(run)
                && old.first_of(run) == old_at
                && stretches.is_next(run)
            {
                lookup.go_to(old_at);
                let items = old.runs()[run].piece.items.len();
                if rest.starts_with(old.run_bytes(&old.runs()[run]))
                    && stretches.len() + items <= count
                {
                    continue;
                }
                lookup.go_to(old_at + 1);
            }
            at += found.value.size_bytes;
            stretches.push(found);
        }
        let list = stretches.into_list(Some(bytes));
        Ok(list.map(|list| (list, at)))
    }

    /// The same, of a list that is left out.
    fn list_in_parts(
        &mut self,
        parts: &Parts,
        old: Option<ListView<'_>>,
        room: Room,
    ) -> Result<Option<List>, Malformed> {
        let Some(room) = room.inside().and_then(Room::below_index) else {
            return Ok(None);
        };
        let mut lookup = old.map(IdLookup::new);
        let mut stretches = Stretches::new(old);
        for part in parts.iter() {
            if let Some(run) = stretches.find_part(part) {
                stretches.keep(run, 0);
                if let (Some(old), Some(lookup)) = (old, &mut lookup) {
                    lookup.go_to(old.first_of(run + 1));
                }
                continue;
            }
            let begin = lookup.as_ref().and_then(IdLookup::position);
            let mut part = part;
            let items = loop {
                let mut inner = Splitting {
                    lists: part.lists(),
                    whole: HashSet::new(),
                };
                let Some(items) = inner.items(part, lookup.as_mut(), room)? else {
                    return Ok(None);
                };
                if inner.whole.is_empty() {
                    break items;
                }
                // A list in its items is stored whole: it is put into them, and so are the others there.
                part = part.whole();
                if let (Some(lookup), Some(begin)) = (&mut lookup, begin) {
                    lookup.go_to(begin);
                }
            };
            items.into_iter().for_each(|item| stretches.push(item));
            stretches.end_part(part);
        }
        Ok(stretches.into_list(None))
    }

    /// The items of a part, if all have keys of their own.
    fn items<'a>(
        &mut self,
        part: &'a Part,
        mut lookup: Option<&mut IdLookup<'_>>,
        room: Room,
    ) -> Result<Option<Vec<Found<'a>>>, Malformed> {
        let mut items = Vec::with_capacity(part.count());
        let mut at = 0;
        for _ in 0..part.count() {
            let Some(found) = self.item(part.bytes(), at, lookup.as_deref_mut(), room)? else {
                return Ok(None);
            };
            at += found.value.size_bytes;
            items.push(found);
        }
        Ok(Some(items))
    }

    /// The item at `at`, if it is a map that can be split and has an id.
    fn item<'a>(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        mut lookup: Option<&mut IdLookup<'_>>,
        room: Room,
    ) -> Result<Option<Found<'a>>, Malformed> {
        let rest = bytes.get(at..).ok_or(Malformed)?;
        // Most often it is the one that comes next.
        if let Some(lookup) = &mut lookup
            && let Some((old_at, item, old_bytes)) = lookup.next()
            && rest.starts_with(item.value.of(old_bytes))
        {
            lookup.go_to(old_at + 1);
            return Ok(Some(Found::unchanged(item, bytes, at, old_at)));
        }
        let Some((id, id_span)) = id_at(bytes, at)? else {
            return Ok(None);
        };
        let Some(room) = room.below(id_bytes(id)) else {
            return Ok(None);
        };
        let old_at = lookup.as_mut().and_then(|lookup| lookup.find(id));
        let old = lookup.as_deref().zip(old_at);
        let old = old.map(|(lookup, old_at)| lookup.list().at(old_at));
        if let (Some((item, old_bytes)), Some(old_at)) = (old, old_at)
            && rest.starts_with(item.value.of(old_bytes))
        {
            return Ok(Some(Found::unchanged(item, bytes, at, old_at)));
        }
        let old = old.map(|(item, bytes)| item.view(bytes));
        let map = self.map(rest, old, room)?;
        Ok(map.map(|(map, size_bytes)| Found {
            id,
            id_span,
            value: Span { at, size_bytes },
            map,
            old_at,
        }))
    }
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

/// The string that is the value at `at`, and where its text is; `None` if it is no string.
fn str_at(bytes: &[u8], at: usize) -> Result<Option<(&str, Span)>, Malformed> {
    let bytes = bytes.get(at..).ok_or(Malformed)?;
    let head = outline::head(bytes)?;
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
    let head = outline::head(bytes.get(at..).ok_or(Malformed)?)?;
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
            at += outline::size_bytes(value, |_, _| ())?;
            continue;
        }
        if let Some((text, span)) = str_at(bytes, at)? {
            return Ok(Some((Id::Str(text), span)));
        }
        let head = outline::head(value)?;
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
