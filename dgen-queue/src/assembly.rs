//! Items put together from their rows, whatever pages these come in.
//!
//! Pure: it is given rows in the order of their keys and says when it has seen enough.

use bytes::{Bytes, BytesMut};
use dgen_backend::KeyValue;

use crate::{
    Damage, Error, Item, Limits,
    keys::{ChunkKey, Keys, RowKey},
};

/// Items of which rows are still coming.
pub(crate) struct Assembly<'a> {
    keys: &'a Keys,
    limits: Limits,
    items: Vec<Item>,
    size_bytes: usize,
    open: Option<OpenItem>,
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More rows are wanted.
    WantsMore,
    /// No further row is: there may be more in the queue.
    IsFull,
}

/// A chunked item of which some chunks are there.
struct OpenItem {
    next: ChunkKey,
    bytes: BytesMut,
    first_key: Bytes,
}

impl<'a> Assembly<'a> {
    pub(crate) fn new(keys: &'a Keys, limits: Limits) -> Self {
        Self {
            keys,
            limits,
            items: Vec::new(),
            size_bytes: 0,
            open: None,
        }
    }

    /// How many rows may still be needed: one for each item that is wanted, and the chunks that are
    /// known to come.
    pub(crate) fn rows_wanted(&self) -> usize {
        let items_wanted = self.limits.items_max - self.items.len();
        match &self.open {
            Some(open) => items_wanted - 1 + (open.next.count() - open.next.index),
            None => items_wanted,
        }
    }

    /// Takes the next row.
    ///
    /// Damage is an error only at the very head. Behind good items it ends the read: they can be
    /// popped, and the next read meets the damage first.
    pub(crate) fn add(&mut self, row: KeyValue) -> Result<Progress, Error> {
        let added = self.try_add(row);
        self.unless_damaged(added)
    }

    /// The queue ends here.
    pub(crate) fn end(&mut self) -> Result<Progress, Error> {
        let ended = match &self.open {
            Some(open) => Err(self.missing(&open.next)),
            None => Ok(Progress::WantsMore),
        };
        self.unless_damaged(ended)
    }

    pub(crate) fn into_items(self) -> Vec<Item> {
        self.items
    }

    fn unless_damaged(&self, progress: Result<Progress, Error>) -> Result<Progress, Error> {
        match progress {
            Err(_) if !self.items.is_empty() => Ok(Progress::IsFull),
            progress => progress,
        }
    }

    fn try_add(&mut self, row: KeyValue) -> Result<Progress, Error> {
        let parsed = self.keys.parse_row(&row.key);
        if let Some(open) = self.open.take() {
            return match parsed {
                Some(RowKey::Chunk(chunk)) if chunk == open.next => self.add_chunk(open, row),
                _ => Err(self.missing(&open.next)),
            };
        }
        match parsed {
            Some(RowKey::Whole(stamp)) => {
                if !self.has_room(row.value.len()) {
                    return Ok(Progress::IsFull);
                }
                Ok(self.add_item(Item {
                    stamp,
                    bytes: row.value,
                    first_key: row.key.clone(),
                    last_key: row.key,
                }))
            }
            Some(RowKey::Chunk(chunk)) => {
                let first = ChunkKey {
                    index: 0,
                    ..chunk.clone()
                };
                if chunk != first {
                    return Err(self.missing(&first));
                }
                if !self.has_room(chunk.item_size_bytes) {
                    return Ok(Progress::IsFull);
                }
                let open = OpenItem {
                    bytes: BytesMut::with_capacity(chunk.item_size_bytes),
                    next: chunk,
                    first_key: row.key.clone(),
                };
                self.add_chunk(open, row)
            }
            None => Err(Error::damaged(&row.key, Damage::UnknownRow)),
        }
    }

    /// Adds the row that `open` waits for.
    fn add_chunk(&mut self, mut open: OpenItem, row: KeyValue) -> Result<Progress, Error> {
        let expected_bytes = open.next.size_bytes();
        if row.value.len() != expected_bytes {
            let damage = Damage::ChunkSize {
                size_bytes: row.value.len(),
                expected_bytes,
            };
            return Err(Error::damaged(&row.key, damage));
        }
        open.bytes.extend_from_slice(&row.value);
        match open.next.next() {
            Some(next) => {
                open.next = next;
                self.open = Some(open);
                Ok(Progress::WantsMore)
            }
            None => Ok(self.add_item(Item {
                stamp: open.next.stamp,
                bytes: open.bytes.freeze(),
                first_key: open.first_key,
                last_key: row.key,
            })),
        }
    }

    fn add_item(&mut self, item: Item) -> Progress {
        self.size_bytes += item.bytes.len();
        self.items.push(item);
        if self.items.len() < self.limits.items_max {
            Progress::WantsMore
        } else {
            Progress::IsFull
        }
    }

    /// Whether an item of this size may be taken: the first always may.
    fn has_room(&self, size_bytes: usize) -> bool {
        self.items.is_empty() || self.size_bytes + size_bytes <= self.limits.size_max_bytes
    }

    fn missing(&self, chunk: &ChunkKey) -> Error {
        let damage = Damage::ChunkMissing {
            index: chunk.index,
            count: chunk.count(),
        };
        Error::damaged(&self.keys.chunk(chunk), damage)
    }
}
