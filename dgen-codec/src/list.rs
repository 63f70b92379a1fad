//! A list that shares what did not change: with its copies, and with what is stored.

mod coding;
mod iter;
mod root;

use std::{
    fmt,
    ops::{Index, IndexMut},
    sync::{Arc, OnceLock},
};

pub use iter::ListIter;
use root::{CHUNK_ITEMS_MAX, CHUNK_ITEMS_MIN, Chunk, Root};

/// A list for large states: a change of an item costs what a few items cost, and not what the list
/// does.
///
/// It is stored as a `Vec` of the same items is, byte by byte: the type of a field can be changed from one to the
/// other and back. What differs is the work in memory. A `Vec` in a state is cloned, encoded and compared as a
/// whole for each change of the state. A `List` keeps its items in chunks of up to 128, which its clones
/// share; a change copies the chunk that it is in, and then that chunk alone is encoded and
/// compared with what is stored. Items are to have an `id`, as in any list of which the items are to be
/// stored one by one: the [crate] says which lists those are. Of another list the chunks that did not change are
/// not encoded again, but all of it is compared.
///
/// A clone takes the same time whatever the length. `get` and `[]` search among the chunks; `iter` does not.
/// Whatever takes `&mut self` copies the chunks that it touches if a clone shares them, and `iter_mut` touches
/// all.
///
/// For any other format than that of stored states it is a sequence. So it is in a struct with a flattened field: there
/// it is stored as it would be, at the cost of a `Vec`.
///
/// # What an item must bear
/// An item changes by `&mut` alone. What changes behind a shared reference, by a `Cell`, a lock or an atomic, is not
/// seen, and not stored. Nor is what its serde makes of anything else than the item.
///
/// # Examples
/// ```
/// use dgen_backend::tuple::Subspace;
/// use dgen_codec::List;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Shop { is_open: bool, orders: List<Order> }
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Order { id: String, is_paid: bool }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let db = dgen_local::in_memory()?;
/// # let base = &Subspace::from(("Shop", "demo", "state"));
/// let order = |number| Order { id: format!("order-{number}"), is_paid: false };
/// let shop = Shop { is_open: true, orders: (0..1_000).map(order).collect() };
/// let tx = db.begin()?;
/// let written = dgen_codec::store(&tx, base, None, &shop)?;
/// tx.commit().await?;
///
/// // One chunk is copied, encoded and compared; one key is written, and the version.
/// let mut changed = shop.clone();
/// changed.orders[700].is_paid = true;
/// let tx = db.begin()?;
/// dgen_codec::store(&tx, base, Some(&written.stored), &changed)?;
/// tx.commit().await?;
/// assert!(!shop.orders[700].is_paid);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct List<T> {
    root: Arc<Root<T>>,
}

impl<T> List<T> {
    /// An empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.root.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.chunks.is_empty()
    }

    /// The item at this place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&T> {
        let (chunk, at) = self.root.find(at);
        self.root.chunks.get(chunk)?.items.get(at)
    }

    /// The first item.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.root.chunks.first()?.items.first()
    }

    /// The last item.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.root.chunks.last()?.items.last()
    }

    /// The items in order.
    #[must_use]
    pub fn iter(&self) -> ListIter<'_, T> {
        ListIter {
            front: [].iter(),
            chunks: self.root.chunks.iter(),
            back: [].iter(),
            left: self.len(),
        }
    }

    /// Whether an item equals this one.
    #[must_use]
    pub fn contains(&self, item: &T) -> bool
    where
        T: PartialEq,
    {
        self.iter().any(|other| other == item)
    }

    /// Takes all items away.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
impl<T> List<T> {
    /// Checks that chunks are of allowed lengths and end where it is said.
    pub(crate) fn assert_is_sound(&self) {
        let mut end = 0;
        for (chunk, said) in self.root.chunks.iter().zip(&self.root.ends) {
            assert!((1..=CHUNK_ITEMS_MAX).contains(&chunk.items.len()));
            end += chunk.items.len();
            assert_eq!(end, *said);
        }
        assert_eq!(self.root.chunks.len(), self.root.ends.len());
    }

    pub(crate) fn chunks(&self) -> usize {
        self.root.chunks.len()
    }
}

impl<T: Clone> List<T> {
    /// The item at this place, to be changed.
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        if at >= self.len() {
            return None;
        }
        let root = self.root_mut();
        let (chunk, at) = root.find(at);
        root.chunk_mut(chunk).get_mut(at)
    }

    /// The first item, to be changed.
    pub fn first_mut(&mut self) -> Option<&mut T> {
        self.get_mut(0)
    }

    /// The last item, to be changed.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.get_mut(self.len().checked_sub(1)?)
    }

    /// The items in order, to be changed: each chunk counts as changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let chunks = self.root_mut().chunks.iter_mut();
        chunks.flat_map(Chunk::items_mut)
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        self.insert(self.len(), item);
    }

    /// Takes the last item away.
    pub fn pop(&mut self) -> Option<T> {
        let last = self.len().checked_sub(1)?;
        Some(self.remove(last))
    }

    /// Adds an item at this place; those from there on move up.
    ///
    /// # Panics
    /// If the place is behind the end.
    pub fn insert(&mut self, at: usize, item: T) {
        let len = self.len();
        assert!(at <= len, "an item is inserted at {at} in a list of {len}");
        let root = self.root_mut();
        // At the end, into the last chunk.
        let (mut chunk, mut at) = match root.chunks.len().checked_sub(1) {
            None => return root.push_chunk(Chunk::new(vec![item]), 1),
            Some(last) if at == len => (last, root.chunks[last].items.len()),
            Some(_) => root.find(at),
        };
        let is_full = root.chunks[chunk].items.len() == CHUNK_ITEMS_MAX;
        if is_full && chunk + 1 == root.chunks.len() && at == CHUNK_ITEMS_MAX {
            // Lists grow at the end most often: there chunks stay full.
            return root.push_chunk(Chunk::new(vec![item]), len + 1);
        }
        if is_full {
            root.halve(chunk);
            let half = root.chunks[chunk].items.len();
            if at > half {
                (chunk, at) = (chunk + 1, at - half);
            }
        }
        root.chunk_mut(chunk).insert(at, item);
        root.ends[chunk..].iter_mut().for_each(|end| *end += 1);
    }

    /// Takes the item at this place away; those behind it move down.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove(&mut self, at: usize) -> T {
        let len = self.len();
        assert!(at < len, "item {at} is removed from a list of {len}");
        let root = self.root_mut();
        let (chunk, at) = root.find(at);
        let item = root.chunk_mut(chunk).remove(at);
        root.ends[chunk..].iter_mut().for_each(|end| *end -= 1);
        root.mend(chunk);
        item
    }

    /// Swaps two items.
    ///
    /// # Panics
    /// If there is no item at one of the places.
    pub fn swap(&mut self, one: usize, other: usize) {
        let (first, second) = (self[one].clone(), self[other].clone());
        self[one] = second;
        self[other] = first;
    }

    /// Keeps so many items, from the first.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        let root = self.root_mut();
        let (chunk, at) = root.find(len);
        if at > 0 {
            root.chunk_mut(chunk).truncate(at);
            root.ends[chunk] = len;
        }
        let chunks = chunk + usize::from(at > 0);
        root.chunks.truncate(chunks);
        root.ends.truncate(chunks);
    }

    /// Keeps the items that `is_kept` says so of. Chunks of which all are kept stay as they are.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        let mut root = Root::default();
        let mut has_changed = false;
        for chunk in &self.root.chunks {
            let keep: Vec<_> = chunk.items.iter().map(&mut is_kept).collect();
            let kept = keep.iter().filter(|keep| **keep).count();
            let len = root.len() + kept;
            if kept == keep.len() {
                root.chunks.push(Arc::clone(chunk));
                root.ends.push(len);
                continue;
            }
            has_changed = true;
            let items = chunk.items.iter().zip(keep).filter(|(_, keep)| *keep);
            let items = items.map(|(item, _)| item.clone());
            match root.chunks.last_mut() {
                _ if kept == 0 => {}
                Some(last)
                    if last.items.len() + kept <= CHUNK_ITEMS_MAX && kept < CHUNK_ITEMS_MIN =>
                {
                    Chunk::vec_mut(last).extend(items);
                    if let Some(end) = root.ends.last_mut() {
                        *end = len;
                    }
                }
                _ => root.push_chunk(Chunk::new(items.collect()), len),
            }
        }
        if has_changed {
            self.root = Arc::new(root);
        }
    }

    /// The items in order, copied.
    #[must_use]
    pub fn to_vec(&self) -> Vec<T> {
        self.iter().cloned().collect()
    }

    /// The root, to be changed.
    fn root_mut(&mut self) -> &mut Root<T> {
        let root = Arc::make_mut(&mut self.root);
        root.parts = OnceLock::new();
        root
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
        }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            root: Arc::default(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<T: Eq> Eq for List<T> {}

impl<T: PartialEq> PartialEq<Vec<T>> for List<T> {
    fn eq(&self, other: &Vec<T>) -> bool {
        self.len() == other.len() && self.iter().eq(other)
    }
}

impl<T> Index<usize> for List<T> {
    type Output = T;

    /// # Panics
    /// If there is no item at this place.
    fn index(&self, at: usize) -> &T {
        let len = self.len();
        let item = self.get(at);
        item.unwrap_or_else(|| panic!("item {at} is asked for in a list of {len}"))
    }
}

impl<T: Clone> IndexMut<usize> for List<T> {
    /// # Panics
    /// If there is no item at this place.
    fn index_mut(&mut self, at: usize) -> &mut T {
        let len = self.len();
        let item = self.get_mut(at);
        item.unwrap_or_else(|| panic!("item {at} is asked for in a list of {len}"))
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut root = Root::default();
        for item in items {
            root.grow(item);
        }
        Self {
            root: Arc::new(root),
        }
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Clone> From<List<T>> for Vec<T> {
    fn from(list: List<T>) -> Self {
        list.into_iter().collect()
    }
}

impl<T: Clone> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}
