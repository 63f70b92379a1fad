//! As much of MessagePack as it takes to find where values begin and end.
//!
//! `rmp`'s own estimator of lengths does not know extension types, so the walk is here.

use rmp::Marker;

/// Bytes that are not one MessagePack value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a value begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The length of the marker and of the count behind it.
    pub(crate) size_bytes: usize,
}

/// What follows a head: so many values, or so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pairs of values.
    Map(u32),
    /// Values.
    Array(u32),
    /// Bytes of text.
    Str(u32),
    /// Bytes.
    Bin(u32),
    /// The bytes of a number, or of an extension and its type; none for the rest.
    Scalar(u64),
}

/// The head of the value that `bytes` begin with.
pub(crate) fn head(bytes: &[u8]) -> Result<Head, Malformed> {
    let (first, rest) = bytes.split_first().ok_or(Malformed)?;
    let count8 = || rest.first().map(|count| u32::from(*count)).ok_or(Malformed);
    let count16 = || {
        let count = rest.first_chunk().ok_or(Malformed)?;
        Ok(u32::from(u16::from_be_bytes(*count)))
    };
    let count32 = || {
        let count = rest.first_chunk().ok_or(Malformed)?;
        Ok(u32::from_be_bytes(*count))
    };
    let (kind, count_size_bytes) = match Marker::from_u8(*first) {
        Marker::FixMap(count) => (Kind::Map(count.into()), 0),
        Marker::Map16 => (Kind::Map(count16()?), 2),
        Marker::Map32 => (Kind::Map(count32()?), 4),
        Marker::FixArray(count) => (Kind::Array(count.into()), 0),
        Marker::Array16 => (Kind::Array(count16()?), 2),
        Marker::Array32 => (Kind::Array(count32()?), 4),
        Marker::FixStr(count) => (Kind::Str(count.into()), 0),
        Marker::Str8 => (Kind::Str(count8()?), 1),
        Marker::Str16 => (Kind::Str(count16()?), 2),
        Marker::Str32 => (Kind::Str(count32()?), 4),
        Marker::Bin8 => (Kind::Bin(count8()?), 1),
        Marker::Bin16 => (Kind::Bin(count16()?), 2),
        Marker::Bin32 => (Kind::Bin(count32()?), 4),
        // One byte more than its length: the extension's type.
        Marker::Ext8 => (Kind::Scalar(u64::from(count8()?) + 1), 1),
        Marker::Ext16 => (Kind::Scalar(u64::from(count16()?) + 1), 2),
        Marker::Ext32 => (Kind::Scalar(u64::from(count32()?) + 1), 4),
        Marker::FixExt1 => (Kind::Scalar(2), 0),
        Marker::FixExt2 => (Kind::Scalar(3), 0),
        Marker::FixExt4 => (Kind::Scalar(5), 0),
        Marker::FixExt8 => (Kind::Scalar(9), 0),
        Marker::FixExt16 => (Kind::Scalar(17), 0),
        Marker::U8 | Marker::I8 => (Kind::Scalar(1), 0),
        Marker::U16 | Marker::I16 => (Kind::Scalar(2), 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (Kind::Scalar(4), 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (Kind::Scalar(8), 0),
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
            (Kind::Scalar(0), 0)
        }
        Marker::Reserved => return Err(Malformed),
    };
    Ok(Head {
        kind,
        size_bytes: 1 + count_size_bytes,
    })
}

/// The length of the value that `bytes` begin with. Walks, so that no nesting is too deep for it.
pub(crate) fn size_bytes(bytes: &[u8]) -> Result<usize, Malformed> {
    skip(bytes, 0, 1).map_err(|_| Malformed)
}

/// Where the values end that begin at `at`, no more than 2³³ of them; or where the one begins that
/// can't be read.
pub(crate) fn skip(bytes: &[u8], at: usize, values_left: u64) -> Result<usize, usize> {
    let head = |at: usize| head(bytes.get(at..).ok_or(Malformed)?);
    skip_by(head, bytes.len(), at, values_left)
}

/// The same, where `head` gives the head of the value at a place.
pub(crate) fn skip_by(
    mut head: impl FnMut(usize) -> Result<Head, Malformed>,
    size_bytes: usize,
    mut at: usize,
    mut values_left: u64,
) -> Result<usize, usize> {
    while values_left > 0 {
        let head = head(at).map_err(|_| at)?;
        let (values, payload_size_bytes) = match head.kind {
            Kind::Map(count) => (2 * u64::from(count), 0),
            Kind::Array(count) => (u64::from(count), 0),
            Kind::Str(count) | Kind::Bin(count) => (0, u64::from(count)),
            Kind::Scalar(count) => (0, count),
        };
        // At most 2³³ more for each byte read: no overflow.
        values_left = values_left - 1 + values;
        let payload_size_bytes = usize::try_from(payload_size_bytes).map_err(|_| at)?;
        at = at
            .checked_add(head.size_bytes)
            .and_then(|end| end.checked_add(payload_size_bytes))
            .filter(|end| *end <= size_bytes)
            .ok_or(at)?;
    }
    Ok(at)
}

/// The payload of a head that counts bytes, and what is behind it.
pub(crate) fn payload(bytes: &[u8], head: Head, size_bytes: u32) -> Result<&[u8], Malformed> {
    let size_bytes = usize::try_from(size_bytes).map_err(|_| Malformed)?;
    let rest = bytes.get(head.size_bytes..).ok_or(Malformed)?;
    rest.get(..size_bytes).ok_or(Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        /// SPEC C3: any bytes have a length or none; nothing panics or overflows.
        #[test]
        fn arbitrary_bytes_have_a_size_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
            if let Ok(size) = size_bytes(&bytes) {
                prop_assert!(0 < size && size <= bytes.len());
                prop_assert_eq!(size_bytes(&bytes[..size]), Ok(size));
                prop_assert_eq!(size_bytes(&bytes[..size - 1]), Err(Malformed));
            }
        }
    }

    /// SPEC C3: no nesting is too deep to walk.
    #[test]
    fn a_million_nested_arrays_have_a_size() {
        let mut bytes = vec![0x91; 1_000_000];
        bytes.push(0xc0);
        assert_eq!(size_bytes(&bytes), Ok(1_000_001));
        assert_eq!(size_bytes(&[0xd6, 1, 2, 3, 4, 5]), Ok(6));
        assert_eq!(size_bytes(&[0xdd, 0xff, 0xff, 0xff, 0xff]), Err(Malformed));
    }
}
