//! A key or a range of keys, as conflicts and watches speak of them.

use bytes::Bytes;
use dgen_backend::KeyRange;

/// Keys that were read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Span {
    /// One key: most spans are, so it is kept without an end.
    Key(Bytes),
    /// From the first, included, to the second, excluded.
    Range(Bytes, Bytes),
}

impl From<&KeyRange> for Span {
    fn from(range: &KeyRange) -> Self {
        let is_one_key = range.end.len() == range.begin.len() + 1
            && range.end.last() == Some(&0)
            && range.end.starts_with(&range.begin);
        let begin = Bytes::copy_from_slice(&range.begin);
        if is_one_key {
            Self::Key(begin)
        } else {
            Self::Range(begin, Bytes::copy_from_slice(&range.end))
        }
    }
}

/// The first key behind `key`.
pub(crate) fn after(key: &[u8]) -> Bytes {
    let mut after = Vec::with_capacity(key.len() + 1);
    after.extend_from_slice(key);
    after.push(0);
    after.into()
}
