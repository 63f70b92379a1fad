//! The write-ahead log: one record for each group, one flush for each record.
//!
//! Guarantees: when [`Log::append`] returns, the group survives `kill -9` and power loss. A group
//! that was being appended at a crash is found whole or not at all. Damage to an acknowledged
//! group is reported with its place (see [`recovery`] for how it is told from a torn tail).
//!
//! A segment is filled with 0xFF before use: appends then overwrite blocks that the file system
//! has already placed, which halves the price of a flush, and a sector that never reached the
//! disk is recognised.
//!
//! While a checkpoint is written, the groups since the one before are in two segments: the older is full, and
//! the younger follows it.
//!
//! Leaves out: when to checkpoint, which segment counts first, and when one is removed. The store decides.

mod layout;
mod record;
mod recovery;
mod recovery_error;
mod segment;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use self::record::{Place, RecordHeader};
use self::segment::SegmentHeader;
use crate::disk::{Disk, DiskFile};

pub(crate) use self::recovery::Replay;
pub(crate) use self::recovery_error::RecoveryError;
pub(crate) use self::segment::{check_is_unused, list_segments, segment_name};

/// The segment that groups are appended to.
#[derive(Debug)]
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    store_id: u64,
    segment: OpenSegment,
    /// Version of the last group appended, in this segment or before it.
    version: u64,
    /// Version of the last durable checkpoint. Written into every record: a checkpoint found
    /// older than that at the next open has been lost.
    checkpoint: u64,
}

#[derive(Debug)]
struct OpenSegment {
    file: Arc<dyn DiskFile>,
    sequence: u64,
    size_bytes: u64,
    /// Where the next group goes. The seal of the group before it ends here.
    end: u64,
}

impl Log {
    /// Opens segment `sequence`, and those in use behind it, and hands each group after `checkpoint` to
    /// `replay`, oldest first.
    ///
    /// A torn tail is blanked, and what was found is flushed, so that it cannot vanish later.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        store_id: u64,
        sequence: u64,
        checkpoint: u64,
        replay: &mut Replay<'_>,
    ) -> Result<Self, RecoveryError> {
        let mut sequence = sequence;
        let found = loop {
            let next = recovery::follower(&*disk, store_id, sequence)?;
            let found = recovery::recover(&*disk, store_id, sequence, checkpoint, next, replay)?;
            if next.is_none() {
                break found;
            }
            sequence += 1;
        };
        let log = Self {
            disk,
            store_id,
            segment: OpenSegment {
                file: found.file,
                sequence,
                size_bytes: found.size_bytes,
                end: found.end,
            },
            version: found.version,
            checkpoint,
        };
        log.segment.file.sync_data()?;
        log.write_seal()?;
        Ok(log)
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.segment.sequence
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.disk.path(&segment_name(self.segment.sequence))
    }

    /// Says whether a group of that many payload bytes fits into the segment.
    pub(crate) fn has_room(&self, payload_bytes: usize) -> bool {
        let needed = record::record_bytes(payload_bytes) + record::SEAL_BYTES;
        self.segment.size_bytes - self.segment.end >= needed
    }

    /// Appends the group `version` and flushes it.
    ///
    /// The caller has checked that it fits and that `version` is greater than the last. After an
    /// error the log must not be used again.
    pub(crate) fn append(&mut self, version: u64, payload: &[u8]) -> io::Result<()> {
        let header = RecordHeader::group(version, self.version, self.checkpoint, payload.len());
        let record = record::encode(self.place(self.segment.end), &header, payload);
        self.segment.file.write_at(self.segment.end, &record)?;
        self.segment.file.sync_data()?;
        self.segment.end += record.len() as u64 + record::SEAL_BYTES;
        self.version = version;
        self.write_seal()
    }

    /// Makes the next segment, of at least `size_bytes` and with room for a group of `payload_bytes`, and leaves
    /// it for [`switch`](Log::switch).
    pub(crate) fn prepare_next(
        &self,
        size_bytes: u64,
        payload_bytes: usize,
    ) -> io::Result<NextSegment> {
        let needed = segment::first_group_offset()
            + record::record_bytes(payload_bytes)
            + record::SEAL_BYTES;
        let size_bytes = size_bytes.max(needed);
        prepare(&*self.disk, self.segment.sequence + 1, size_bytes)
    }

    /// Goes on in `next`. The older segment stays until a durable checkpoint names this one.
    pub(crate) fn switch(&mut self, next: NextSegment) -> io::Result<()> {
        self.segment = next.begin(self.store_id, self.version)?;
        self.write_seal()
    }

    /// Whether so much of the segment is used that the next one should be made.
    pub(crate) fn is_half_full(&self) -> bool {
        self.segment.end >= self.segment.size_bytes / 2
    }

    /// Version of the last durable checkpoint.
    pub(crate) fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Notes that a checkpoint of `version` is durable.
    pub(crate) fn set_checkpoint(&mut self, version: u64) {
        self.checkpoint = version;
    }

    /// Seals the log durably, at a clean close.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.write_seal()?;
        self.segment.file.sync_data()
    }

    /// Writes, without a flush, that the last group was acknowledged. It needs no flush of its
    /// own: the next group's takes it along, and until then it serves after `kill -9`.
    fn write_seal(&self) -> io::Result<()> {
        let offset = self.segment.end - record::SEAL_BYTES;
        let header = RecordHeader::seal(self.version, self.checkpoint);
        let seal = record::encode(self.place(offset), &header, &[]);
        self.segment.file.write_at(offset, &seal)
    }

    fn place(&self, offset: u64) -> Place {
        Place {
            store_id: self.store_id,
            sequence: self.segment.sequence,
            offset,
        }
    }
}

/// A segment that is filled, durably, and not yet in use.
#[derive(Debug)]
pub(crate) struct NextSegment {
    file: Arc<dyn DiskFile>,
    sequence: u64,
    size_bytes: u64,
}

impl NextSegment {
    /// Says whether a group of that many payload bytes fits into it.
    pub(crate) fn has_room(&self, payload_bytes: usize) -> bool {
        let needed = segment::first_group_offset()
            + record::record_bytes(payload_bytes)
            + record::SEAL_BYTES;
        self.size_bytes >= needed
    }

    /// Says, durably, that it follows `version`.
    fn begin(self, store_id: u64, version: u64) -> io::Result<OpenSegment> {
        let header = SegmentHeader {
            store_id,
            sequence: self.sequence,
            size_bytes: self.size_bytes,
            version,
        };
        segment::begin(&*self.file, &header)?;
        Ok(OpenSegment {
            file: self.file,
            sequence: self.sequence,
            size_bytes: self.size_bytes,
            end: segment::first_group_offset(),
        })
    }
}

/// Makes the first segment of a store. The file and its name are durable when this returns.
pub(crate) fn create_first(
    disk: &dyn Disk,
    store_id: u64,
    size_bytes: u64,
    sequence: u64,
) -> io::Result<()> {
    prepare(disk, sequence, size_bytes)?
        .begin(store_id, 0)
        .map(drop)
}

/// Makes segment `sequence`, of at least `size_bytes`.
pub(crate) fn prepare(disk: &dyn Disk, sequence: u64, size_bytes: u64) -> io::Result<NextSegment> {
    let size_bytes = segment::round_size(size_bytes);
    match segment::prepare(disk, sequence, size_bytes) {
        Ok(file) => Ok(NextSegment {
            file,
            sequence,
            size_bytes,
        }),
        Err(error) => {
            // Best effort, to give the space back: the next open removes it otherwise.
            let _ = disk.remove(&segment_name(sequence));
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
