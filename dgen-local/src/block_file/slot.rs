//! The two copies of block 0, of which the newest sound one counts.
//!
//! A new version goes to the copy that is not known to be durable, so a write that power loss
//! tears leaves the other as it was. Once it is durable, the older copy is brought up to date.
//!
//! ```text
//! 0   magic "dgenSLOT"
//! 8   sequence, one more at each write
//! 16  logical length of the file in bytes
//! 24  zeros
//! 56  checksum of bytes 0..56 and 64..4160
//! 64  block 0
//! ```

use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::layout::{BLOCK_BYTES, HeaderError, place_seed, read_u64, slot_offset};
use crate::disk::DiskFile;
use crate::store::damage::Damage;

const MAGIC: [u8; 8] = *b"dgenSLOT";
const CHECKSUM_OFFSET: usize = 56;
const BLOCK_OFFSET: usize = 64;
pub(super) const SLOT_BYTES: usize = BLOCK_OFFSET + BLOCK_BYTES;

pub(super) struct Slot {
    pub(super) sequence: u64,
    pub(super) logical_len: u64,
    /// Always [`BLOCK_BYTES`] long.
    pub(super) block: Vec<u8>,
}

impl Slot {
    pub(super) fn empty() -> Self {
        Self {
            sequence: 0,
            logical_len: 0,
            block: vec![0; BLOCK_BYTES],
        }
    }

    pub(super) fn encode(&self, store_id: u64) -> Vec<u8> {
        let mut bytes = vec![0; BLOCK_OFFSET];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.logical_len.to_le_bytes());
        bytes.extend_from_slice(&self.block);
        let checksum = checksum(store_id, &bytes);
        bytes[CHECKSUM_OFFSET..BLOCK_OFFSET].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8], store_id: u64) -> Option<Self> {
        let is_sound =
            bytes[..8] == MAGIC && read_u64(bytes, CHECKSUM_OFFSET) == checksum(store_id, bytes);
        is_sound.then(|| Self {
            sequence: read_u64(bytes, 8),
            logical_len: read_u64(bytes, 16),
            block: bytes[BLOCK_OFFSET..].to_vec(),
        })
    }
}

/// The newest sound copy and which one it is.
pub(super) fn newest_slot(
    file: &dyn DiskFile,
    path: &Path,
    store_id: u64,
) -> Result<(Slot, usize), HeaderError> {
    let mut newest: Option<(Slot, usize)> = None;
    for copy in 0..2 {
        let mut bytes = vec![0; SLOT_BYTES];
        match file.read_at(slot_offset(copy), &mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => continue,
            Err(error) => return Err(error.into()),
        }
        let Some(slot) = Slot::decode(&bytes, store_id) else {
            continue;
        };
        if newest
            .as_ref()
            .is_none_or(|(newest, _)| slot.sequence > newest.sequence)
        {
            newest = Some((slot, copy));
        }
    }
    newest.ok_or_else(|| {
        let what = "neither copy of the header block matches its checksum";
        Damage::new(path, slot_offset(0), what).into()
    })
}

fn checksum(store_id: u64, bytes: &[u8]) -> u64 {
    let mut hash = Xxh3::with_seed(place_seed(store_id, 0));
    hash.update(&bytes[..CHECKSUM_OFFSET]);
    hash.update(&bytes[BLOCK_OFFSET..]);
    hash.digest()
}
