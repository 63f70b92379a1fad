//! A state's MessagePack in which lists are left out: where one would be, there is a mark with its
//! number.
//!
//! A mark begins with the one byte that MessagePack never uses, so nothing that serde writes looks
//! like one. Outlines stay in memory: what is stored is taken from the lists.

use crate::{
    msgpack::{self, Head, Kind, Malformed},
    parts::Lists,
};

const MARK: u8 = 0xc1;
pub(crate) const MARK_SIZE_BYTES: usize = 1 + size_of::<u64>();

/// Appends a mark.
pub(crate) fn write_mark(number: u64, out: &mut Vec<u8>) {
    out.push(MARK);
    out.extend_from_slice(&number.to_be_bytes());
}

/// The number of the list that is left out here.
pub(crate) fn mark(bytes: &[u8]) -> Option<u64> {
    let (first, rest) = bytes.split_first()?;
    let number = rest.first_chunk().filter(|_| *first == MARK)?;
    Some(u64::from_be_bytes(*number))
}

/// The head of the value that `bytes` begin with.
pub(crate) fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    match mark(bytes) {
        Some(_) => Ok(Head {
            kind: Kind::Scalar(size_of::<u64>() as u64),
            size_bytes: 1,
        }),
        None => msgpack::head(bytes),
    }
}

/// The length of the value that `bytes` begin with. Tells `on_mark` of each mark in it, and where it
/// is.
pub(crate) fn size_bytes(
    bytes: &[u8],
    on_mark: impl FnMut(u64, usize),
) -> Result<usize, Malformed> {
    size_bytes_of(bytes, 1, on_mark)
}

/// The same for so many values.
fn size_bytes_of(
    bytes: &[u8],
    values: u64,
    mut on_mark: impl FnMut(u64, usize),
) -> Result<usize, Malformed> {
    let head = |at: usize| {
        let bytes = bytes.get(at..).ok_or(Malformed)?;
        if let Some(number) = mark(bytes) {
            on_mark(number, at);
        }
        head(bytes)
    };
    msgpack::skip_by(head, bytes.len(), 0, values).map_err(|_| Malformed)
}

/// Appends the outline of so many values with these lists put in, and all that is in them.
pub(crate) fn expand(
    bytes: &[u8],
    values: u64,
    lists: &Lists,
    is_put_in: impl Fn(u64) -> bool,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    if lists.is_empty() {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let mut marks = Vec::new();
    size_bytes_of(bytes, values, |number, at| marks.push((number, at)))?;
    marks.retain(|(number, _)| is_put_in(*number));
    let mut from = 0;
    for (number, at) in marks {
        out.extend_from_slice(&bytes[from..at]);
        lists.get(&number).ok_or(Malformed)?.write(out);
        from = at + MARK_SIZE_BYTES;
    }
    out.extend_from_slice(&bytes[from..]);
    Ok(())
}
