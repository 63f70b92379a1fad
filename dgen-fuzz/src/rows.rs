//! Rows of a store as bytes that a fuzzer can change: one after the other, each the length of its key
//! (u8), the key, the length of its value (u16, little-endian) and the value. The last may be cut.

use dgen_backend::{Database, Error, KeyRange, Transaction, limits};

/// At most so many rows are read, so that one input takes no time.
const ROWS_MAX: usize = 200;

pub(crate) fn decode(mut bytes: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut rows = Vec::new();
    while let Some((len, rest)) = bytes.split_first()
        && rows.len() < ROWS_MAX
    {
        let (key, rest) = rest.split_at(rest.len().min((*len).into()));
        let (len, rest) = match rest.split_first_chunk() {
            Some((len, rest)) => (u16::from_le_bytes(*len), rest),
            None => (0, &[][..]),
        };
        let (value, rest) = rest.split_at(rest.len().min(len.into()));
        rows.push((key, value));
        bytes = rest;
    }
    rows
}

pub(crate) fn encode<'a>(rows: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in rows {
        bytes.push(u8::try_from(key.len()).expect("a seed's keys are short"));
        bytes.extend_from_slice(key);
        let len = u16::try_from(value.len()).expect("a seed's values are short");
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(value);
    }
    bytes
}

/// Sets the rows that `data` says, below `prefix`. Nothing else is there.
pub(crate) async fn store_with(prefix: &[u8], data: &[u8]) -> Database {
    let db = dgen_local::in_memory().expect("memory can be had");
    set_below(&db, prefix, data).await;
    db
}

/// Sets them in a store that there is.
pub(crate) async fn set_below(db: &Database, prefix: &[u8], data: &[u8]) {
    let set = set(&db.begin().expect("it is open"), prefix, data).await;
    set.expect("the rows are within the limits");
}

async fn set(tx: &Transaction, prefix: &[u8], data: &[u8]) -> Result<(), Error> {
    for (key, value) in decode(data) {
        // Below a tuple there are tuples: all else belongs to somebody else.
        if key.first().is_none_or(|first| *first == 0xff) {
            continue;
        }
        let key = [prefix, key].concat();
        if key.len() <= limits::KEY_SIZE_MAX_BYTES {
            tx.set(&key, value)?;
        }
    }
    tx.commit().await
}

/// The rows below `prefix`, as a target reads them.
pub(crate) async fn dump(db: &Database, prefix: &[u8]) -> Vec<u8> {
    let tx = db.begin().expect("it is open");
    let rows = tx.collect_range(KeyRange::prefix(prefix)).await;
    let rows = rows.expect("it reads");
    encode(
        rows.iter()
            .map(|row| (&row.key[prefix.len()..], &row.value[..])),
    )
}
