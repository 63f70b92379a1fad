//! A group of writes, and its bytes in the log.
//!
//! ```text
//! set          1, key length (4 bytes), key, value length (4 bytes), value
//! clear        2, key length, key
//! clear range  3, begin length, begin, end length, end
//! ```
//!
//! Integers are little endian; writes follow one another to the end of the payload.

use bytes::Bytes;

const SET: u8 = 1;
const CLEAR: u8 = 2;
const CLEAR_RANGE: u8 = 3;

/// One change of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    Set {
        key: Bytes,
        value: Bytes,
    },
    Clear {
        key: Bytes,
    },
    /// Clears `begin <= key < end`.
    ClearRange {
        begin: Bytes,
        end: Bytes,
    },
}

/// Writes that become durable together, applied in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Greater than that of the group before, and than 0. Need not be the next number.
    pub(crate) version: u64,
    pub(crate) writes: Vec<Write>,
}

impl Write {
    /// The parts, each stored with its length, behind the kind.
    fn parts(&self) -> (u8, [Option<&Bytes>; 2]) {
        match self {
            Self::Set { key, value } => (SET, [Some(key), Some(value)]),
            Self::Clear { key } => (CLEAR, [Some(key), None]),
            Self::ClearRange { begin, end } => (CLEAR_RANGE, [Some(begin), Some(end)]),
        }
    }
}

/// The payload of a group's record, or `None` if it does not fit into 32-bit lengths.
pub(crate) fn encode_writes(writes: &[Write]) -> Option<Vec<u8>> {
    let len: usize = writes
        .iter()
        .map(|write| {
            let parts = write.parts().1;
            1 + parts
                .iter()
                .flatten()
                .map(|part| 4 + part.len())
                .sum::<usize>()
        })
        .sum();
    u32::try_from(len).ok()?;
    let mut payload = Vec::with_capacity(len);
    for write in writes {
        let (kind, parts) = write.parts();
        payload.push(kind);
        for part in parts.into_iter().flatten() {
            payload.extend_from_slice(&(part.len() as u32).to_le_bytes());
            payload.extend_from_slice(part);
        }
    }
    Some(payload)
}

/// The writes of a payload, or `None` if it is not one of ours.
pub(crate) fn decode_writes(payload: &[u8]) -> Option<Vec<Write>> {
    let mut rest = Bytes::copy_from_slice(payload);
    let mut writes = Vec::new();
    while !rest.is_empty() {
        let kind = rest.split_to(1)[0];
        writes.push(match kind {
            SET => Write::Set {
                key: take_part(&mut rest)?,
                value: take_part(&mut rest)?,
            },
            CLEAR => Write::Clear {
                key: take_part(&mut rest)?,
            },
            CLEAR_RANGE => Write::ClearRange {
                begin: take_part(&mut rest)?,
                end: take_part(&mut rest)?,
            },
            _ => return None,
        });
    }
    Some(writes)
}

fn take_part(rest: &mut Bytes) -> Option<Bytes> {
    if rest.len() < 4 {
        return None;
    }
    let len = rest.split_to(4);
    let len = u32::from_le_bytes(len[..].try_into().expect("four bytes")) as usize;
    (len <= rest.len()).then(|| rest.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes() -> Vec<Write> {
        vec![
            Write::Set {
                key: Bytes::from_static(b"k"),
                value: Bytes::from_static(b"value"),
            },
            Write::Clear { key: Bytes::new() },
            Write::ClearRange {
                begin: Bytes::from_static(b"a"),
                end: Bytes::from_static(b"b"),
            },
        ]
    }

    /// SPEC L2: the stored form of a group is fixed.
    #[test]
    fn payload_bytes_are_stable() {
        let payload = encode_writes(&writes()).unwrap();
        assert_eq!(
            payload,
            b"\x01\x01\0\0\0k\x05\0\0\0value\x02\0\0\0\0\x03\x01\0\0\0a\x01\0\0\0b"
        );
        assert_eq!(decode_writes(&payload), Some(writes()));
    }

    /// SPEC L2: a payload that is not one is refused, and does not panic.
    #[test]
    fn cut_payloads_are_refused() {
        let payload = encode_writes(&writes()).unwrap();
        let whole = [0, 15, 20, payload.len()];
        for len in (0..payload.len()).filter(|len| !whole.contains(len)) {
            assert_eq!(decode_writes(&payload[..len]), None, "cut to {len}");
        }
        assert_eq!(decode_writes(&[9]), None);
    }
}
