//! The state that an overlay changes: the tree as of the last checkpoint, under the overlay that the next one
//! writes into it.

use std::sync::Arc;

use bytes::Bytes;

use super::overlay::{Known, Overlay};
use super::row::Rows;
use super::store_error::StoreError;
use super::tree::TreeSnapshot;

/// A state that does not change; a clone costs nothing.
#[derive(Clone)]
pub(super) struct Below {
    pub(super) tree: Arc<TreeSnapshot>,
    /// What is being written into the tree.
    pub(super) frozen: Option<Overlay>,
}

impl Below {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.frozen.as_ref().map(|frozen| frozen.get(key)) {
            Some(Known::Value(value)) => Ok(Some(value.clone())),
            Some(Known::Cleared) => Ok(None),
            Some(Known::Nothing) | None => self.tree.get(key),
        }
    }

    /// Whether there is no row from `begin` to `end`.
    pub(super) fn is_empty(&self, begin: &[u8], end: &[u8]) -> Result<bool, StoreError> {
        self.tree
            .read(|| match self.rows(begin, end, false).next() {
                Some(row) => row.map(|_| false),
                None => Ok(true),
            })
    }

    /// The rows from `begin` to `end`, in order or in reverse. To be read inside of the tree's
    /// [`read`](TreeSnapshot::read).
    pub(super) fn rows<'a>(&'a self, begin: &'a [u8], end: &'a [u8], is_reverse: bool) -> Rows<'a> {
        let stored = move |begin: &'a [u8], end: &'a [u8]| self.tree.rows(begin, end, is_reverse);
        match &self.frozen {
            Some(frozen) => frozen.rows(begin, end, is_reverse, stored),
            None => stored(begin, end),
        }
    }
}
