//! Whether two values are equal, whatever the order of their maps.
//!
//! Hash maps of one content are written in any order, so their bytes alone don't tell.

use std::borrow::Cow;

use crate::msgpack::{self, Kind, Malformed};

/// Whether both are the same MessagePack value but for the order of entries in maps.
///
/// Takes the stack of the value's nesting: for what [`to_plain`](crate::to_plain) made.
pub(crate) fn is_equal(one: &[u8], other: &[u8]) -> bool {
    // The order of entries does not change how long a map is.
    one == other || one.len() == other.len() && is_equal_sorted(one, other) == Ok(true)
}

fn is_equal_sorted(one: &[u8], other: &[u8]) -> Result<bool, Malformed> {
    Ok(sorted(one)?.0 == sorted(other)?.0)
}

/// The value that `bytes` begin with, the entries of its maps sorted, and its length.
fn sorted(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, usize), Malformed> {
    let head = msgpack::head(bytes)?;
    let (count, values_each) = match head.kind {
        Kind::Map(count) => (count, 2),
        Kind::Array(count) => (count, 1),
        _ => {
            let size_bytes = msgpack::size_bytes(bytes)?;
            return Ok((Cow::Borrowed(&bytes[..size_bytes]), size_bytes));
        }
    };
    let mut at = head.size_bytes;
    let mut parts = Vec::new();
    for _ in 0..count {
        let mut part = Vec::new();
        for _ in 0..values_each {
            let (value, size_bytes) = sorted(bytes.get(at..).ok_or(Malformed)?)?;
            part.extend_from_slice(&value);
            at += size_bytes;
        }
        parts.push(part);
    }
    if values_each == 2 {
        parts.sort_unstable();
    }
    parts.insert(0, bytes[..head.size_bytes].to_vec());
    Ok((Cow::Owned(parts.concat()), at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tests::value::{Value, any_value};

    fn reversed(value: &Value) -> Value {
        match value {
            Value::Array(items) => Value::Array(items.iter().map(reversed).collect()),
            Value::Map(entries) => {
                let entries = entries.iter().rev();
                Value::Map(entries.map(|(k, v)| (reversed(k), reversed(v))).collect())
            }
            other => other.clone(),
        }
    }

    proptest! {
        /// SPEC C2: equal maps are equal in any order, and nothing else is.
        #[test]
        fn the_order_of_maps_does_not_count(one in any_value(), other in any_value()) {
            let bytes = |value: &Value| crate::to_plain(value).unwrap();
            prop_assert!(is_equal(&bytes(&one), &bytes(&reversed(&one))));
            prop_assert_eq!(is_equal(&bytes(&one), &bytes(&other)), one == other);
        }
    }
}
