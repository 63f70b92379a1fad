//! One page of a range, as a transaction sees it: its own writes merged over its snapshot.

use bytes::Bytes;
use dgen_backend::{Error, KeyPreview, KeyValue, RangePage, RangeRead};

use crate::{
    published::Snapshot,
    span::after,
    store::{BaseSnapshot as _, RangeRequest, RangeRows},
    write_set::{WriteSet, Written, sum},
};

/// A page ends behind the row that fills it.
const PAGE_SIZE_BYTES: usize = 1 << 20;

/// So many rows are fetched from the snapshot at once.
const FETCH_ROWS: usize = 256;

/// A page, and the part of the range that it covers.
pub(crate) struct Covered {
    pub(crate) page: RangePage,
    pub(crate) begin: Bytes,
    pub(crate) end: Bytes,
}

/// Reads a page. The range is not empty and the limit is not 0.
pub(crate) fn read(
    snapshot: &Snapshot,
    writes: &WriteSet,
    read: &RangeRead,
) -> Result<Covered, Error> {
    let limit = read.limit.unwrap_or(usize::MAX);
    let mut left = (
        Bytes::copy_from_slice(&read.range.begin),
        Bytes::copy_from_slice(&read.range.end),
    );
    let (begin, end) = left.clone();
    let mut rows: Vec<KeyValue> = Vec::new();
    let mut size_bytes = 0;
    let covered = |rows: Vec<KeyValue>, has_more: bool| {
        let last = rows.last().map(|row| row.key.clone());
        let (begin, end) = match (last, read.is_reverse) {
            (Some(last), false) => (begin.clone(), after(&last)),
            (Some(last), true) => (last, end.clone()),
            (None, _) => (begin.clone(), end.clone()),
        };
        let page = RangePage { rows, has_more };
        check_readable(writes, Covered { page, begin, end })
    };
    loop {
        let fetch_rows = limit.saturating_sub(rows.len()).min(FETCH_ROWS);
        let fetched = snapshot.range(&RangeRequest {
            begin: &left.0,
            end: &left.1,
            is_reverse: read.is_reverse,
            limit_rows: fetch_rows,
            limit_bytes: PAGE_SIZE_BYTES,
        })?;
        let (part, rest) = split(&left, &fetched, read.is_reverse);
        for (key, value) in merge(fetched.rows, writes, &part, read.is_reverse) {
            let Some(value) = value? else { continue };
            size_bytes += key.len() + value.len();
            rows.push(KeyValue { key, value });
            if rows.len() == limit {
                return covered(rows, false);
            }
            if size_bytes >= PAGE_SIZE_BYTES {
                return covered(rows, true);
            }
        }
        match rest {
            Some(rest) => left = rest,
            None => {
                let page = RangePage {
                    rows,
                    has_more: false,
                };
                return check_readable(writes, Covered { page, begin, end });
            }
        }
    }
}

/// A page must not step over a place where a key may appear at the commit.
fn check_readable(writes: &WriteSet, covered: Covered) -> Result<Covered, Error> {
    match writes.landing_in(&covered.begin, &covered.end) {
        Some(key) => Err(Error::Unreadable {
            key: KeyPreview::new(key),
        }),
        None => Ok(covered),
    }
}

type Part = (Bytes, Bytes);

/// The part of `left` that `fetched` covers, and the part behind it.
fn split(left: &Part, fetched: &RangeRows, is_reverse: bool) -> (Part, Option<Part>) {
    let (begin, end) = left.clone();
    match fetched.rows.last().filter(|_| fetched.has_more) {
        None => ((begin, end), None),
        Some((last, _)) if is_reverse => ((last.clone(), end), Some((begin, last.clone()))),
        Some((last, _)) => {
            let middle = after(last);
            ((begin, middle.clone()), Some((middle, end)))
        }
    }
}

/// The keys of `fetched` and of the writes in `part`, in order, each with the value that the
/// transaction sees.
fn merge(
    fetched: Vec<(Bytes, Bytes)>,
    writes: &WriteSet,
    part: &Part,
    is_reverse: bool,
) -> impl Iterator<Item = (Bytes, Result<Option<Bytes>, Error>)> {
    let mut written: Vec<(&Bytes, &Written)> = writes.entries(&part.0, &part.1).collect();
    if is_reverse {
        written.reverse();
    }
    let mut written = written.into_iter().peekable();
    let mut stored = fetched.into_iter().peekable();
    std::iter::from_fn(move || {
        let take_stored = match (stored.peek(), written.peek()) {
            (None, None) => return None,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some((stored, _)), Some((written, _))) => {
                stored == *written || (stored < *written) != is_reverse
            }
        };
        if !take_stored {
            let (key, written) = written.next()?;
            return Some((key.clone(), value(key, Some(written.clone()), None)));
        }
        let (key, base) = stored.next()?;
        written.next_if(|(written, _)| **written == key);
        let seen = value(&key, writes.get(&key), Some(base));
        Some((key, seen))
    })
}

/// The value of `key` after `written`, over `base`.
pub(crate) fn value(
    key: &[u8],
    written: Option<Written>,
    base: Option<Bytes>,
) -> Result<Option<Bytes>, Error> {
    match written {
        None => Ok(base),
        Some(Written::Value(value)) => Ok(value),
        Some(Written::Added(delta)) => {
            let sum = sum(base.as_deref(), delta);
            Ok(Some(Bytes::copy_from_slice(&sum)))
        }
        Some(Written::Stamped) => Err(Error::Unreadable {
            key: KeyPreview::new(key),
        }),
    }
}
