//! The chunks of a list.

use std::{
    slice,
    sync::{Arc, OnceLock},
};

use serde::Serialize;

use crate::parts::{Part, Parts};

/// No chunk has more items. A change copies and encodes a chunk, and each look at the list passes all
/// chunks: so neither few long ones are good, nor many short ones. Tests have short ones.
pub(super) const CHUNK_ITEMS_MAX: usize = if cfg!(test) { 8 } else { 128 };

/// A chunk that has become shorter goes to its neighbour, if the two are not too long together.
pub(super) const CHUNK_ITEMS_MIN: usize = CHUNK_ITEMS_MAX / 4;

/// What clones of a list share until one of them changes.
pub(super) struct Root<T> {
    /// None is empty.
    pub(super) chunks: Vec<Arc<Chunk<T>>>,
    /// Where each ends in the list.
    pub(super) ends: Vec<usize>,
    /// What the list was encoded to, as it is.
    pub(super) parts: OnceLock<Arc<Parts>>,
}

pub(super) struct Chunk<T> {
    pub(super) items: Vec<T>,
    /// What the chunk was encoded to, as it is.
    part: OnceLock<Arc<Part>>,
}

impl<T> Root<T> {
    /// Adds an item without a look at the clones of the list: there are none yet.
    pub(super) fn grow(&mut self, item: T) {
        let len = self.len();
        match (
            self.chunks.last_mut().and_then(Arc::get_mut),
            self.ends.last_mut(),
        ) {
            (Some(chunk), Some(end)) if chunk.items.len() < CHUNK_ITEMS_MAX => {
                chunk.items.push(item);
                *end += 1;
            }
            _ => self.push_chunk(Chunk::new(vec![item]), len + 1),
        }
    }

    pub(super) fn parts(&self) -> Option<Arc<Parts>>
    where
        T: Serialize,
    {
        if let Some(parts) = self.parts.get() {
            return Some(Arc::clone(parts));
        }
        let mut parts = Vec::with_capacity(self.chunks.len());
        // Chunks are of about one size.
        let mut size_bytes = 0;
        for chunk in &self.chunks {
            let part = chunk.part(size_bytes)?;
            size_bytes = part.bytes().len();
            parts.push(part);
        }
        let parts = Arc::new(Parts::new(parts)?);
        Some(Arc::clone(self.parts.get_or_init(|| parts)))
    }

    pub(super) fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The chunk that has the item at `at`, and where in it.
    pub(super) fn find(&self, at: usize) -> (usize, usize) {
        let chunk = self.ends.partition_point(|end| *end <= at);
        (chunk, at - self.begin(chunk))
    }

    pub(super) fn begin(&self, chunk: usize) -> usize {
        chunk.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    pub(super) fn push_chunk(&mut self, chunk: Chunk<T>, end: usize) {
        self.chunks.push(Arc::new(chunk));
        self.ends.push(end);
    }
}

impl<T: Clone> Root<T> {
    pub(super) fn chunk_mut(&mut self, chunk: usize) -> &mut Vec<T> {
        Chunk::vec_mut(&mut self.chunks[chunk])
    }

    /// Makes two chunks of one.
    pub(super) fn halve(&mut self, chunk: usize) {
        let items = self.chunk_mut(chunk);
        let second = items.split_off(items.len() / 2);
        let middle = self.begin(chunk) + self.chunks[chunk].items.len();
        self.chunks.insert(chunk + 1, Arc::new(Chunk::new(second)));
        self.ends.insert(chunk, middle);
    }

    /// Puts a chunk that has become short to a neighbour.
    pub(super) fn mend(&mut self, chunk: usize) {
        let len = |at: usize| self.chunks.get(at).map(|chunk| chunk.items.len());
        let Some(len_here) = len(chunk).filter(|len| *len < CHUNK_ITEMS_MIN) else {
            return;
        };
        if len_here == 0 {
            self.chunks.remove(chunk);
            self.ends.remove(chunk);
            return;
        }
        // Not so that the next insertion takes them apart again.
        let fits = |at: &usize| len(*at).is_some_and(|len| len + len_here <= CHUNK_ITEMS_MAX / 2);
        let before = chunk.checked_sub(1).filter(fits);
        let Some(first) = before.or(Some(chunk).filter(|_| fits(&(chunk + 1)))) else {
            return;
        };
        let second = self.chunks.remove(first + 1);
        self.ends.remove(first);
        let second =
            Arc::try_unwrap(second).map_or_else(|shared| shared.items.clone(), |own| own.items);
        self.chunk_mut(first).extend(second);
    }
}

impl<T> Chunk<T> {
    pub(super) fn new(items: Vec<T>) -> Self {
        Self {
            items,
            part: OnceLock::new(),
        }
    }

    pub(super) fn part(&self, size_bytes: usize) -> Option<Arc<Part>>
    where
        T: Serialize,
    {
        if let Some(part) = self.part.get() {
            return Some(Arc::clone(part));
        }
        let part = Arc::new(Part::encode(&self.items, size_bytes)?);
        Some(Arc::clone(self.part.get_or_init(|| part)))
    }
}

impl<T: Clone> Chunk<T> {
    /// The items, to be changed: a copy, if a clone of the list has them too.
    pub(super) fn vec_mut(chunk: &mut Arc<Self>) -> &mut Vec<T> {
        let chunk = Arc::make_mut(chunk);
        chunk.part = OnceLock::new();
        &mut chunk.items
    }

    pub(super) fn items_mut(chunk: &mut Arc<Self>) -> slice::IterMut<'_, T> {
        Self::vec_mut(chunk).iter_mut()
    }
}

/// What it was encoded to is not taken along: it is copied to be changed.
impl<T> Clone for Root<T> {
    fn clone(&self) -> Self {
        Self {
            chunks: self.chunks.clone(),
            ends: self.ends.clone(),
            parts: OnceLock::new(),
        }
    }
}

impl<T: Clone> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Self::new(self.items.clone())
    }
}

impl<T> Default for Root<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            ends: Vec::new(),
            parts: OnceLock::new(),
        }
    }
}
