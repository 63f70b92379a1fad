//! One file of the log: its name, its header, and how it is made.
//!
//! ```text
//! 0     magic "dgenLOG\0"
//! 8     format version (4 bytes), zeros (4 bytes)
//! 16    store id
//! 24    sequence of the segment, from 1
//! 32    size of the file in bytes
//! 40    version of the last group before this segment, or 0
//! 48    zeros
//! 4088  checksum of bytes 0..4088
//! 4096  seal, then groups each followed by a seal, then 0xFF to the end
//! ```
//!
//! Integers are little endian. A header that is sound means that the rest was filled and flushed.

use std::io;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::layout::{FILL, read_u64};
use super::record::SEAL_BYTES;
use super::recovery_error::RecoveryError;
use crate::disk::{Disk, DiskFile};
use crate::store::damage::Damage;

pub(super) const HEADER_BYTES: usize = 4096;
/// How much is read or written at a time when a whole segment is walked, in bytes.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

const MAGIC: [u8; 8] = *b"dgenLOG\0";
const FORMAT_VERSION: u32 = 1;
const NAME_PREFIX: &str = "log-";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) store_id: u64,
    pub(super) sequence: u64,
    pub(super) size_bytes: u64,
    /// Version of the last group before this segment.
    pub(super) version: u64,
}

impl SegmentHeader {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.store_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.size_bytes.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.version.to_le_bytes());
        let checksum = xxh3_64_with_seed(&bytes[..HEADER_BYTES - 8], 0);
        bytes[HEADER_BYTES - 8..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }
}

/// The name of segment `sequence`.
pub(crate) fn segment_name(sequence: u64) -> String {
    format!("{NAME_PREFIX}{sequence:020}")
}

/// The sequences of all segments in the directory, in order.
pub(crate) fn list_segments(disk: &dyn Disk) -> io::Result<Vec<u64>> {
    let mut sequences: Vec<u64> = disk
        .list()?
        .iter()
        .filter_map(|name| name.strip_prefix(NAME_PREFIX)?.parse().ok())
        .collect();
    sequences.sort_unstable();
    Ok(sequences)
}

pub(super) fn first_group_offset() -> u64 {
    HEADER_BYTES as u64 + SEAL_BYTES
}

pub(super) fn round_size(size_bytes: u64) -> u64 {
    let least = first_group_offset() + SEAL_BYTES;
    let size_bytes = size_bytes.max(least);
    size_bytes
        .checked_next_multiple_of(HEADER_BYTES as u64)
        .unwrap_or(u64::MAX)
}

/// Makes the file, fills it, and makes both durable. Without a header it is not used yet.
pub(super) fn prepare(
    disk: &dyn Disk,
    sequence: u64,
    size_bytes: u64,
) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(&segment_name(sequence), true)?;
    file.set_len(0)?;
    let chunk = vec![FILL; CHUNK_BYTES.min(size_bytes as usize)];
    let mut offset = 0;
    while offset < size_bytes {
        let count = chunk.len().min((size_bytes - offset) as usize);
        file.write_at(offset, &chunk[..count])?;
        offset += count as u64;
    }
    file.sync_data()?;
    disk.sync_dir()?;
    Ok(file)
}

/// Writes the header, durably. A crash before that leaves no sound one.
pub(super) fn begin(file: &dyn DiskFile, header: &SegmentHeader) -> io::Result<()> {
    file.write_at(0, &header.encode())?;
    file.sync_data()
}

/// Reads and checks the header of segment `sequence` of the store.
pub(super) fn read_header(
    disk: &dyn Disk,
    file: &dyn DiskFile,
    store_id: u64,
    sequence: u64,
) -> Result<SegmentHeader, RecoveryError> {
    let path = disk.path(&segment_name(sequence));
    let damage = |offset, what: String| RecoveryError::from(Damage::new(&path, offset, what));
    let len = file.len()?;
    if len < HEADER_BYTES as u64 {
        return Err(damage(len, "the file ends inside its header".to_owned()));
    }
    let mut bytes = vec![0; HEADER_BYTES];
    file.read_at(0, &mut bytes)?;
    if xxh3_64_with_seed(&bytes[..HEADER_BYTES - 8], 0) != read_u64(&bytes, HEADER_BYTES - 8) {
        return Err(damage(
            0,
            "the header does not match its checksum".to_owned(),
        ));
    }
    let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
    if bytes[..8] != MAGIC || version != FORMAT_VERSION {
        return Err(RecoveryError::Unknown {
            path,
            found: format!("log format version {version}"),
        });
    }
    let header = SegmentHeader {
        store_id: read_u64(&bytes, 16),
        sequence: read_u64(&bytes, 24),
        size_bytes: read_u64(&bytes, 32),
        version: read_u64(&bytes, 40),
    };
    if header.store_id != store_id || header.sequence != sequence {
        let what = format!(
            "segment {} of store {:016x} is here, in place of segment {sequence} of store {store_id:016x}",
            header.sequence, header.store_id
        );
        return Err(damage(16, what));
    }
    if header.size_bytes != round_size(header.size_bytes) {
        let what = format!("no log segment has {} bytes", header.size_bytes);
        return Err(damage(32, what));
    }
    if len < header.size_bytes {
        let what = format!(
            "the file ends here, and should have {} bytes",
            header.size_bytes
        );
        return Err(damage(len, what));
    }
    Ok(header)
}

/// Checks that nothing was ever appended to segment `sequence`.
///
/// A segment that no checkpoint names, and that does not follow one that is named, is a leftover only if this
/// holds. Otherwise the checkpoint that names it has been lost.
pub(crate) fn check_is_unused(disk: &dyn Disk, sequence: u64) -> Result<(), RecoveryError> {
    match first_used(disk, sequence)? {
        None => Ok(()),
        Some(offset) => {
            let what = "this log segment holds records, but no checkpoint names it";
            Err(Damage::new(disk.path(&segment_name(sequence)), offset, what).into())
        }
    }
}

/// The offset of the first byte behind the header that [`prepare`] can't have left, whole or interrupted.
pub(super) fn first_used(disk: &dyn Disk, sequence: u64) -> Result<Option<u64>, RecoveryError> {
    let file = disk.open(&segment_name(sequence), false)?;
    let len = file.len()?;
    let mut offset = HEADER_BYTES as u64;
    let mut chunk = vec![0; CHUNK_BYTES];
    while offset < len {
        let count = chunk.len().min((len - offset) as usize);
        file.read_at(offset, &mut chunk[..count])?;
        let used = chunk[..count]
            .iter()
            .position(|byte| *byte != FILL && *byte != 0);
        if let Some(position) = used {
            return Ok(Some(offset + position as u64));
        }
        offset += count as u64;
    }
    Ok(None)
}
