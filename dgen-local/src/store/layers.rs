//! A state of the store: the newest changes, in an overlay, over the state at the last checkpoint.

use std::sync::Arc;

use bytes::Bytes;

use super::below::Below;
use super::overlay::{Known, Overlay};
use super::poison::Poison;
use super::row::Rows;
use super::store_error::StoreError;
use super::{BaseSnapshot, RangeRequest, RangeRows};

/// The store at one version; a clone costs nothing.
#[derive(Clone)]
pub(crate) struct Layers {
    pub(super) version: u64,
    pub(super) active: Overlay,
    /// `None` for a store in memory: the overlay has everything.
    pub(super) below: Option<Below>,
    pub(super) poison: Arc<Poison>,
}

impl BaseSnapshot for Layers {
    fn version(&self) -> u64 {
        self.version
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.poison.check()?;
        match (self.active.get(key), &self.below) {
            (Known::Value(value), _) => Ok(Some(value.clone())),
            (Known::Cleared, _) | (Known::Nothing, None) => Ok(None),
            (Known::Nothing, Some(below)) => below.get(key),
        }
    }

    fn range(&self, request: &RangeRequest<'_>) -> Result<RangeRows, StoreError> {
        self.poison.check()?;
        if request.begin >= request.end {
            return Ok(RangeRows::default());
        }
        let taken = || take_rows(self.rows(request), request);
        match &self.below {
            Some(below) => below.tree.read(taken),
            None => Ok(taken().expect("nothing in memory fails to be read")),
        }
    }
}

impl Layers {
    fn rows<'a>(&'a self, request: &RangeRequest<'a>) -> Rows<'a> {
        let is_reverse = request.is_reverse;
        let below = move |begin: &'a [u8], end: &'a [u8]| match &self.below {
            Some(below) => below.rows(begin, end, is_reverse),
            None => Box::new(std::iter::empty()),
        };
        self.active
            .rows(request.begin, request.end, is_reverse, below)
    }
}

fn take_rows(rows: Rows<'_>, request: &RangeRequest<'_>) -> Result<RangeRows, redb::Error> {
    let mut taken = RangeRows::default();
    let mut bytes = 0;
    for row in rows {
        let row = row?;
        if taken.rows.len() >= request.limit_rows
            || (bytes >= request.limit_bytes && !taken.rows.is_empty())
        {
            taken.has_more = true;
            break;
        }
        bytes += row.size_bytes();
        taken.rows.push(row.to_pair());
    }
    Ok(taken)
}
