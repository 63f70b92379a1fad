//! Where things are in a block file, and how a block is checked.
//!
//! ```text
//! 0      file header, 4096 bytes
//! 4096   slot copy 0 (see slot.rs), 4160 bytes used of 8192
//! 12288  slot copy 1
//! 20480  block 1: 4096 bytes of data, 8 bytes of checksum
//! 24584  block 2, and so on, each 4104 bytes
//! ```
//!
//! Integers are little endian.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::disk::DiskFile;
use crate::store::damage::Damage;

/// Logical block size in bytes: redb's page size.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Space that a block takes in the file: its bytes and its checksum.
pub(super) const STRIDE_BYTES: usize = BLOCK_BYTES + 8;

pub(super) const HEADER_BYTES: usize = 4096;
const SLOT_SPACE_BYTES: u64 = 8192;
const BLOCKS_OFFSET: u64 = HEADER_BYTES as u64 + 2 * SLOT_SPACE_BYTES;

const MAGIC: [u8; 8] = *b"dgenDATA";
const FORMAT_VERSION: u32 = 1;

/// Why a file cannot be used as a block file.
#[derive(Debug)]
pub(crate) enum HeaderError {
    Damage(Damage),
    /// Sound, but of another program or of another version; the text says what was found.
    Unknown(String),
    Io(io::Error),
}

impl From<Damage> for HeaderError {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<io::Error> for HeaderError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The first 4096 bytes: magic, format version, block size, store id, zeros, checksum of it all.
pub(super) struct FileHeader {
    pub(super) store_id: u64,
}

impl FileHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(BLOCK_BYTES as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.store_id.to_le_bytes());
        let checksum = xxh3_64_with_seed(&bytes[..HEADER_BYTES - 8], 0);
        bytes[HEADER_BYTES - 8..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

pub(super) fn read_header(
    file: &dyn DiskFile,
    path: &Path,
    physical_len: u64,
) -> Result<FileHeader, HeaderError> {
    let mut bytes = vec![0; HEADER_BYTES.min(physical_len as usize)];
    file.read_at(0, &mut bytes)?;
    if is_foreign(&bytes) {
        let found = String::from_utf8_lossy(&bytes[..8]);
        return Err(HeaderError::Unknown(format!(
            "a file that begins with {found:?}"
        )));
    }
    if bytes.len() < HEADER_BYTES {
        return Err(Damage::new(path, physical_len, "the file ends inside its header").into());
    }
    let checksum = xxh3_64_with_seed(&bytes[..HEADER_BYTES - 8], 0);
    if checksum != read_u64(&bytes, HEADER_BYTES - 8) {
        return Err(Damage::new(path, 0, "the file header does not match its checksum").into());
    }
    let version = read_u32(&bytes, 8);
    if bytes[..8] != MAGIC || version != FORMAT_VERSION {
        return Err(HeaderError::Unknown(format!(
            "data format version {version}"
        )));
    }
    Ok(FileHeader {
        store_id: read_u64(&bytes, 16),
    })
}

/// Says whether the bytes begin another program's file, rather than a damaged one of ours:
/// nothing of the magic is left, and it was not blanked.
fn is_foreign(bytes: &[u8]) -> bool {
    let Some(start) = bytes.get(..8) else {
        return false;
    };
    let is_blank = start.iter().all(|byte| *byte == start[0]);
    !is_blank && start.iter().zip(MAGIC).all(|(found, ours)| *found != ours)
}

pub(super) fn slot_offset(copy: usize) -> u64 {
    HEADER_BYTES as u64 + copy as u64 * SLOT_SPACE_BYTES
}

/// The offset of `block`, which is not block 0.
pub(super) fn block_offset(block: u64) -> u64 {
    BLOCKS_OFFSET + (block - 1) * STRIDE_BYTES as u64
}

/// The length of the file that holds `logical_len` bytes.
pub(super) fn physical_len(logical_len: u64) -> u64 {
    let blocks = logical_len.div_ceil(BLOCK_BYTES as u64);
    let blocks_size = blocks.saturating_sub(1).saturating_mul(STRIDE_BYTES as u64);
    blocks_size.saturating_add(BLOCKS_OFFSET)
}

/// The checksum stored after a block. Seeded with the store and the place, so that a block of
/// another store, or at another place, does not match.
pub(super) fn block_checksum(store_id: u64, block: u64, bytes: &[u8]) -> [u8; 8] {
    xxh3_64_with_seed(bytes, place_seed(store_id, block)).to_le_bytes()
}

pub(super) fn place_seed(store_id: u64, block: u64) -> u64 {
    store_id ^ (block + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

pub(super) fn read_u64(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

fn read_u32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().expect("four bytes"))
}
