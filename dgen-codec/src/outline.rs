//! A state's MessagePack in which lists are left out: where one would be, there is a mark with its
//! number.
//!
//! A mark begins with the one byte that MessagePack never uses, so nothing that serde writes looks
//! like one. Outlines stay in memory: what is stored is taken from the lists.

use std::collections::HashSet;

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
    mut on_mark: impl FnMut(u64, usize),
) -> Result<usize, Malformed> {
    let head = |at: usize| {
        let bytes = bytes.get(at..).ok_or(Malformed)?;
        if let Some(number) = mark(bytes) {
            on_mark(number, at);
        }
        head(bytes)
    };
    msgpack::skip_by(head, bytes.len(), 0, 1).map_err(|_| Malformed)
}

/// The outline with these lists put in.
pub(crate) fn expand(
    bytes: &[u8],
    lists: &Lists,
    numbers: &HashSet<u64>,
) -> Result<Vec<u8>, Malformed> {
    let mut marks = Vec::new();
    size_bytes(bytes, |number, at| marks.push((number, at)))?;
    marks.retain(|(number, _)| numbers.contains(number));
    let lists = marks
        .into_iter()
        .map(|(number, at)| Ok((lists.get(&number).ok_or(Malformed)?, at)));
    let lists = lists.collect::<Result<Vec<_>, _>>()?;
    let added: usize = lists.iter().map(|(list, _)| list.size_bytes()).sum();
    let mut expanded = Vec::with_capacity(bytes.len() + added);
    let mut from = 0;
    for (list, at) in lists {
        expanded.extend_from_slice(&bytes[from..at]);
        list.write(&mut expanded);
        from = at + MARK_SIZE_BYTES;
    }
    expanded.extend_from_slice(&bytes[from..]);
    Ok(expanded)
}
