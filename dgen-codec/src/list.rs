//! A list that shares what did not change: with its copies, and with what is stored.

use std::{
    fmt,
    iter::FusedIterator,
    marker::PhantomData,
    ops::{Index, IndexMut},
    slice,
    sync::{Arc, OnceLock},
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

use crate::{
    encoding,
    parts::{Part, Parts},
};

/// No chunk has more items. A change copies and encodes a chunk, and each look at the list passes all
/// chunks: so neither few long ones are good, nor many short ones. Tests have short ones.
const CHUNK_ITEMS_MAX: usize = if cfg!(test) { 8 } else { 128 };

/// A chunk that has become shorter goes to its neighbour, if the two are not too long together.
const CHUNK_ITEMS_MIN: usize = CHUNK_ITEMS_MAX / 4;

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
/// For any other format than that of stored states it is a sequence. So it is inside an item of another `List`, and
/// in a struct with a flattened field: there it is stored as it would be, at the cost of a `Vec`.
///
/// # What an item must bear
/// An item changes by `&mut` alone. What changes behind a shared reference, by a `Cell`, a lock or an atomic, is not
/// seen, and not stored.
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

struct Root<T> {
    /// None is empty.
    chunks: Vec<Arc<Chunk<T>>>,
    /// Where each ends in the list.
    ends: Vec<usize>,
    /// What the list was encoded to, as it is.
    parts: OnceLock<Arc<Parts>>,
}

struct Chunk<T> {
    items: Vec<T>,
    /// What the chunk was encoded to, as it is.
    part: OnceLock<Arc<Part>>,
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
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
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

    /// Adds an item without a look at the clones of the list: there are none yet.
    fn grow(root: &mut Root<T>, item: T) {
        let len = root.len();
        match (
            root.chunks.last_mut().and_then(Arc::get_mut),
            root.ends.last_mut(),
        ) {
            (Some(chunk), Some(end)) if chunk.items.len() < CHUNK_ITEMS_MAX => {
                chunk.items.push(item);
                *end += 1;
            }
            _ => root.push_chunk(Chunk::new(vec![item]), len + 1),
        }
    }

    fn parts(&self) -> Option<Arc<Parts>>
    where
        T: Serialize,
    {
        if let Some(parts) = self.root.parts.get() {
            return Some(Arc::clone(parts));
        }
        let mut parts = Vec::with_capacity(self.root.chunks.len());
        // Chunks are of about one size.
        let mut size_bytes = 0;
        for chunk in &self.root.chunks {
            let part = chunk.part(size_bytes)?;
            size_bytes = part.bytes().len();
            parts.push(part);
        }
        let parts = Arc::new(Parts::new(parts)?);
        Some(Arc::clone(self.root.parts.get_or_init(|| parts)))
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

impl<T> Root<T> {
    fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The chunk that has the item at `at`, and where in it.
    fn find(&self, at: usize) -> (usize, usize) {
        let chunk = self.ends.partition_point(|end| *end <= at);
        (chunk, at - self.begin(chunk))
    }

    fn begin(&self, chunk: usize) -> usize {
        chunk.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn push_chunk(&mut self, chunk: Chunk<T>, end: usize) {
        self.chunks.push(Arc::new(chunk));
        self.ends.push(end);
    }
}

impl<T: Clone> Root<T> {
    fn chunk_mut(&mut self, chunk: usize) -> &mut Vec<T> {
        Chunk::vec_mut(&mut self.chunks[chunk])
    }

    /// Makes two chunks of one.
    fn halve(&mut self, chunk: usize) {
        let items = self.chunk_mut(chunk);
        let second = items.split_off(items.len() / 2);
        let middle = self.begin(chunk) + self.chunks[chunk].items.len();
        self.chunks.insert(chunk + 1, Arc::new(Chunk::new(second)));
        self.ends.insert(chunk, middle);
    }

    /// Puts a chunk that has become short to a neighbour.
    fn mend(&mut self, chunk: usize) {
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
    fn new(items: Vec<T>) -> Self {
        Self {
            items,
            part: OnceLock::new(),
        }
    }

    fn part(&self, size_bytes: usize) -> Option<Arc<Part>>
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
    fn vec_mut(chunk: &mut Arc<Self>) -> &mut Vec<T> {
        let chunk = Arc::make_mut(chunk);
        chunk.part = OnceLock::new();
        &mut chunk.items
    }

    fn items_mut(chunk: &mut Arc<Self>) -> slice::IterMut<'_, T> {
        Self::vec_mut(chunk).iter_mut()
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
        }
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

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            root: Arc::default(),
        }
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
            Self::grow(&mut root, item);
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

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T: Clone> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    /// Moves the items out, or copies those that a clone has too.
    fn into_iter(self) -> std::vec::IntoIter<T> {
        let mut items = Vec::with_capacity(self.len());
        let root = Arc::unwrap_or_clone(self.root);
        for chunk in root.chunks {
            items.append(&mut Arc::unwrap_or_clone(chunk).items);
        }
        items.into_iter()
    }
}

/// The items of a [`List`] in order.
pub struct Iter<'a, T> {
    front: slice::Iter<'a, T>,
    chunks: slice::Iter<'a, Arc<Chunk<T>>>,
    back: slice::Iter<'a, T>,
    left: usize,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        loop {
            let item = self.front.next();
            if item.is_some() {
                self.left -= 1;
                return item;
            }
            match self.chunks.next() {
                Some(chunk) => self.front = chunk.items.iter(),
                None => {
                    let item = self.back.next();
                    self.left -= usize::from(item.is_some());
                    return item;
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        loop {
            let item = self.back.next_back();
            if item.is_some() {
                self.left -= 1;
                return item;
            }
            match self.chunks.next_back() {
                Some(chunk) => self.back = chunk.items.iter(),
                None => {
                    let item = self.front.next_back();
                    self.left -= usize::from(item.is_some());
                    return item;
                }
            }
        }
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}
impl<T> FusedIterator for Iter<'_, T> {}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        Self {
            front: self.front.clone(),
            chunks: self.chunks.clone(),
            back: self.back.clone(),
            left: self.left,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Iter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = (!self.is_empty() && encoding::is_current()).then(|| self.parts());
        match parts.flatten() {
            Some(parts) => encoding::leave_out(serializer, &parts, self.len(), self.iter()),
            None => serializer.collect_seq(self),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor(PhantomData))
    }
}

struct ItemsVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ItemsVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List<T>, A::Error> {
        let mut root = Root::default();
        while let Some(item) = items.next_element()? {
            List::grow(&mut root, item);
        }
        Ok(List {
            root: Arc::new(root),
        })
    }
}
