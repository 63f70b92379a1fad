//! Going through a list.

use std::{fmt, iter::FusedIterator, slice, sync::Arc};

use super::{List, root::Chunk};

/// The items of a [`List`] in order.
pub struct ListIter<'a, T> {
    pub(super) front: slice::Iter<'a, T>,
    pub(super) chunks: slice::Iter<'a, Arc<Chunk<T>>>,
    pub(super) back: slice::Iter<'a, T>,
    pub(super) left: usize,
}

impl<'a, T> Iterator for ListIter<'a, T> {
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

impl<T> DoubleEndedIterator for ListIter<'_, T> {
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

impl<T> ExactSizeIterator for ListIter<'_, T> {}
impl<T> FusedIterator for ListIter<'_, T> {}

impl<T> Clone for ListIter<'_, T> {
    fn clone(&self) -> Self {
        Self {
            front: self.front.clone(),
            chunks: self.chunks.clone(),
            back: self.back.clone(),
            left: self.left,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for ListIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
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
