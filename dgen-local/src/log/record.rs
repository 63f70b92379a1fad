//! One record of the log: a group, or the seal that says the group before it was acknowledged.
//!
//! ```text
//! 0   magic "dgR1" (4 bytes), kind: 1 group, 2 seal (1 byte), zeros (3 bytes)
//! 8   sequence of the segment
//! 16  version: of this group, or of the group sealed
//! 24  version of the group before (a seal repeats its own)
//! 32  version of the last durable checkpoint when this was written
//! 40  payload length in bytes (4 bytes), zeros (4 bytes)
//! 48  checksum of bytes 0..48
//! 56  payload, zeros up to a multiple of 8
//! ..  checksum of everything before
//! ```
//!
//! Integers are little endian. Both checksums are seeded with the store, the segment and the
//! offset, so that a copy of a record elsewhere, such as in a user's value, is not one.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::layout::{FILL, read_u64};

pub(super) const HEADER_BYTES: usize = 56;
/// What a seal takes, in bytes.
pub(super) const SEAL_BYTES: u64 = HEADER_BYTES as u64 + 8;
/// Records begin at multiples of this, so that their first bytes are never torn apart.
pub(super) const ALIGN_BYTES: usize = 8;

const MAGIC: [u8; 4] = *b"dgR1";
const CHECKSUM_OFFSET: usize = 48;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Group = 1,
    Seal = 2,
}

impl Kind {
    /// The first eight bytes of a record of this kind.
    fn start(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = self as u8;
        bytes
    }
}

/// Where a record is: the salt of its checksums.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) store_id: u64,
    pub(super) sequence: u64,
    pub(super) offset: u64,
}

impl Place {
    pub(super) fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    fn seed(self) -> u64 {
        self.store_id
            ^ self.sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15)
            ^ self.offset.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: Kind,
    pub(super) version: u64,
    pub(super) previous: u64,
    pub(super) checkpoint: u64,
    pub(super) payload_bytes: usize,
}

impl RecordHeader {
    pub(super) fn group(
        version: u64,
        previous: u64,
        checkpoint: u64,
        payload_bytes: usize,
    ) -> Self {
        Self {
            kind: Kind::Group,
            version,
            previous,
            checkpoint,
            payload_bytes,
        }
    }

    pub(super) fn seal(version: u64, checkpoint: u64) -> Self {
        Self {
            kind: Kind::Seal,
            version,
            previous: version,
            checkpoint,
            payload_bytes: 0,
        }
    }

    pub(super) fn record_bytes(&self) -> u64 {
        record_bytes(self.payload_bytes)
    }
}

/// What a record of that payload takes, in bytes.
pub(super) fn record_bytes(payload_bytes: usize) -> u64 {
    (HEADER_BYTES + payload_bytes.next_multiple_of(ALIGN_BYTES) + 8) as u64
}

pub(super) fn encode(place: Place, header: &RecordHeader, payload: &[u8]) -> Vec<u8> {
    let len = record_bytes(payload.len()) as usize;
    let payload_bytes =
        u32::try_from(payload.len()).expect("the store refuses groups of 4 GiB and more");
    let mut bytes = vec![0; len];
    bytes[..8].copy_from_slice(&header.kind.start());
    bytes[8..16].copy_from_slice(&place.sequence.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.version.to_le_bytes());
    bytes[24..32].copy_from_slice(&header.previous.to_le_bytes());
    bytes[32..40].copy_from_slice(&header.checkpoint.to_le_bytes());
    bytes[40..44].copy_from_slice(&payload_bytes.to_le_bytes());
    let checksum = xxh3_64_with_seed(&bytes[..CHECKSUM_OFFSET], place.seed());
    bytes[CHECKSUM_OFFSET..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
    bytes[HEADER_BYTES..HEADER_BYTES + payload.len()].copy_from_slice(payload);
    let checksum = xxh3_64_with_seed(&bytes[..len - 8], place.seed());
    bytes[len - 8..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The header in the first [`HEADER_BYTES`] of `bytes`, if it is sound.
pub(super) fn decode_header(place: Place, bytes: &[u8]) -> Option<RecordHeader> {
    let kind = [Kind::Group, Kind::Seal]
        .into_iter()
        .find(|kind| bytes[..8] == kind.start())?;
    let checksum = xxh3_64_with_seed(&bytes[..CHECKSUM_OFFSET], place.seed());
    let is_sound =
        read_u64(bytes, CHECKSUM_OFFSET) == checksum && read_u64(bytes, 8) == place.sequence;
    is_sound.then(|| RecordHeader {
        kind,
        version: read_u64(bytes, 16),
        previous: read_u64(bytes, 24),
        checkpoint: read_u64(bytes, 32),
        payload_bytes: u32::from_le_bytes(bytes[40..44].try_into().expect("four bytes")) as usize,
    })
}

/// The payload of a whole record, if the record is sound.
pub(super) fn payload<'a>(
    place: Place,
    header: &RecordHeader,
    bytes: &'a [u8],
) -> Option<&'a [u8]> {
    let checked = bytes.len() - 8;
    let is_sound = read_u64(bytes, checked) == xxh3_64_with_seed(&bytes[..checked], place.seed());
    is_sound.then(|| &bytes[HEADER_BYTES..HEADER_BYTES + header.payload_bytes])
}

/// What stands in the first eight bytes where a record of `kind` may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing was written here, or it did not reach the disk.
    Blank,
    /// A record of the kind begins here.
    Record,
    /// Neither: no crash leaves this.
    Foreign,
}

pub(super) fn start(kind: Kind, bytes: &[u8]) -> Start {
    if bytes[..8] == kind.start() {
        Start::Record
    } else if bytes[..8] == [FILL; 8] {
        Start::Blank
    } else {
        Start::Foreign
    }
}
