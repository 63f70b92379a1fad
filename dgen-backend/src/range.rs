//! Ranges of keys, and what reading one returns.

use bytes::Bytes;

use crate::{Error, KeyPreview, tuple::Subspace};

/// The keys from `begin`, included, to `end`, excluded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The first key in the range.
    pub begin: Vec<u8>,
    /// The first key behind the range.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// The keys from `begin` to `end`.
    #[must_use]
    pub fn new(begin: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> Self {
        Self {
            begin: begin.into(),
            end: end.into(),
        }
    }

    /// Every key that begins with `prefix`, `prefix` itself included.
    ///
    /// # Examples
    /// ```
    /// use dgen_backend::KeyRange;
    /// assert_eq!(KeyRange::prefix(b"a\xff").end, b"b");
    /// ```
    #[must_use]
    pub fn prefix(prefix: &[u8]) -> Self {
        // The first key that does not begin with `prefix`: drop trailing 0xFF, add one to the last
        // byte. A prefix of nothing but 0xFF has no such key below the end of the key space.
        let kept = prefix.iter().rposition(|byte| *byte != 0xff);
        let end = match kept {
            Some(last) => {
                let mut end = prefix[..=last].to_vec();
                end[last] += 1;
                end
            }
            None => vec![0xff; prefix.len() + 1],
        };
        Self::new(prefix, end)
    }

    /// Every tuple below `subspace`, without the subspace's own key.
    #[must_use]
    pub fn subspace(subspace: &Subspace) -> Self {
        let (begin, end) = subspace.range();
        Self { begin, end }
    }

    /// Just `key`.
    #[must_use]
    pub fn key(key: &[u8]) -> Self {
        let mut end = Vec::with_capacity(key.len() + 1);
        end.extend_from_slice(key);
        end.push(0);
        Self::new(key, end)
    }

    /// Whether no key can be in the range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.begin >= self.end
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.begin > self.end {
            return Err(Error::InvertedRange {
                begin: KeyPreview::new(&self.begin),
                end: KeyPreview::new(&self.end),
            });
        }
        Ok(())
    }
}

/// How to read a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRead {
    /// What to read.
    pub range: KeyRange,
    /// At most so many rows. Default: all.
    pub limit: Option<usize>,
    /// From the last key to the first. Default: false.
    pub is_reverse: bool,
}

impl RangeRead {
    /// At most `limit` rows.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// From the last key to the first.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.is_reverse = true;
        self
    }
}

impl From<KeyRange> for RangeRead {
    fn from(range: KeyRange) -> Self {
        Self {
            range,
            limit: None,
            is_reverse: false,
        }
    }
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
}

/// One page of a range.
///
/// A backend ends a page where it likes, so that a reader holds a bounded part of a large range;
/// every page that says `has_more` holds at least one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangePage {
    /// The rows, in the order asked for.
    pub rows: Vec<KeyValue>,
    /// Whether the range, up to its limit, goes on behind the last row.
    pub has_more: bool,
}

impl RangePage {
    /// What is left to read of `read` behind this page, if anything is.
    #[must_use]
    pub fn rest(&self, read: &RangeRead) -> Option<RangeRead> {
        let last = self.rows.last().filter(|_| self.has_more)?;
        let mut rest = read.clone();
        if read.is_reverse {
            rest.range.end = last.key.to_vec();
        } else {
            rest.range.begin = KeyRange::key(&last.key).end;
        }
        rest.limit = read
            .limit
            .map(|limit| limit.saturating_sub(self.rows.len()));
        Some(rest)
    }
}
