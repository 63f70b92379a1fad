//! Reading a segment back, and telling damage from a torn tail.
//!
//! Only one group is ever in flight, and the space it goes to was filled with 0xFF and flushed.
//! So a crash leaves, after the last acknowledged group, whole sectors of one unacknowledged
//! record and whole sectors of 0xFF, and nothing behind it. A segment is used once every group before it is
//! durable, and so is its header. From that follows:
//!
//! - A bad record with a sound record behind it was acknowledged: damage.
//! - A record begins with eight bytes that share a sector. If they are neither 0xFF nor a
//!   beginning, they were changed later: damage.
//! - A bad record none of whose sectors is blank was written as a whole, and changed later: damage.
//! - A sound header with something other than 0xFF behind the record it announces: damage.
//! - A chain of versions that skips one, or that ends before the checkpoint, or before the version that the
//!   next segment says it follows: damage.
//! - Anything else that is bad is the torn tail of an unacknowledged group: blanked and forgotten.
//!
//! Not found: damage that turns the last, unsealed record after power loss into exactly what a
//! tear leaves, that is whole sectors of 0xFF.
//!
//! Memory is bounded by the largest record.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::layout::FILL;
use super::record::{self, Kind, Place, RecordHeader, SEAL_BYTES, Start};
use super::recovery_error::RecoveryError;
use super::segment::{self, CHUNK_BYTES, segment_name};
use crate::disk::{Disk, DiskFile, SECTOR_BYTES};
use crate::store::damage::Damage;

/// Takes the version and the payload of one group.
pub(crate) type Replay<'a> = dyn FnMut(u64, &[u8]) -> Result<(), RecoveryError> + 'a;

pub(super) struct Recovered {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) size_bytes: u64,
    /// Where the next group goes.
    pub(super) end: u64,
    /// Version of the last sound group.
    pub(super) version: u64,
}

/// The version that the segment behind `sequence` says it follows; `None` if there is none in use.
pub(super) fn follower(
    disk: &dyn Disk,
    store_id: u64,
    sequence: u64,
) -> Result<Option<u64>, RecoveryError> {
    let next = sequence + 1;
    let name = segment_name(next);
    if !disk.exists(&name)? || segment::first_used(disk, next)?.is_none() {
        return Ok(None);
    }
    let file = disk.open(&name, false)?;
    let header = segment::read_header(disk, &*file, store_id, next)?;
    Ok(Some(header.version))
}

/// Reads segment `sequence`. It ends with version `last` if that is known, because another follows it.
pub(super) fn recover(
    disk: &dyn Disk,
    store_id: u64,
    sequence: u64,
    checkpoint: u64,
    last: Option<u64>,
    replay: &mut Replay<'_>,
) -> Result<Recovered, RecoveryError> {
    let name = segment_name(sequence);
    let path = disk.path(&name);
    let file = match disk.open(&name, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = "the log segment that the last checkpoint names is missing";
            return Err(Damage::new(path, 0, what).into());
        }
        Err(error) => return Err(error.into()),
    };
    let header = segment::read_header(disk, &*file, store_id, sequence)?;
    let mut walk = Walk {
        file: &*file,
        path,
        place: Place {
            store_id,
            sequence,
            offset: 0,
        },
        size_bytes: header.size_bytes,
        checkpoint,
        last,
        end: segment::first_group_offset(),
        version: header.version,
    };
    walk.read_seal()?;
    while walk.read_group(replay)? {
        walk.read_seal()?;
    }
    if walk.version < checkpoint {
        let what = format!(
            "the log ends at version {}, before the checkpoint {checkpoint}",
            walk.version
        );
        return Err(walk.damage(walk.end, what));
    }
    let (end, version) = (walk.end, walk.version);
    Ok(Recovered {
        size_bytes: header.size_bytes,
        file,
        end,
        version,
    })
}

struct Walk<'a> {
    file: &'a dyn DiskFile,
    path: PathBuf,
    place: Place,
    size_bytes: u64,
    checkpoint: u64,
    /// Version of the last group, if it is known.
    last: Option<u64>,
    /// Where the next group begins.
    end: u64,
    version: u64,
}

impl Walk<'_> {
    /// Looks at the seal before `end`. It may be missing, since it is not flushed on its own, and
    /// it may be torn; it then says nothing.
    fn read_seal(&self) -> Result<(), RecoveryError> {
        let offset = self.end - SEAL_BYTES;
        let mut bytes = [0; SEAL_BYTES as usize];
        self.file.read_at(offset, &mut bytes)?;
        match record::start(Kind::Seal, &bytes) {
            Start::Blank => return Ok(()),
            Start::Foreign => return Err(self.damage(offset, "no seal and no blank space here")),
            Start::Record => {}
        }
        let Some(header) = record::decode_header(self.place.at(offset), &bytes) else {
            return Ok(());
        };
        self.check_checkpoint(&header, offset)?;
        if header.version != self.version {
            let what = format!(
                "a seal of version {} follows version {}",
                header.version, self.version
            );
            return Err(self.damage(offset, what));
        }
        Ok(())
    }

    /// Reads the group at `end` and hands it on. Returns false at the end of the log.
    fn read_group(&mut self, replay: &mut Replay<'_>) -> Result<bool, RecoveryError> {
        let offset = self.end;
        let mut bytes = [0; record::HEADER_BYTES];
        if self.size_bytes - offset < bytes.len() as u64 {
            return self.finish(offset);
        }
        self.file.read_at(offset, &mut bytes)?;
        match record::start(Kind::Group, &bytes) {
            Start::Blank => return self.finish(offset),
            Start::Foreign => return Err(self.damage(offset, "no record and no blank space here")),
            Start::Record => {}
        }
        let Some(header) = record::decode_header(self.place.at(offset), &bytes) else {
            if !has_blank_sector(offset, &bytes) {
                return Err(self.damage(offset, "a record's header does not match its checksum"));
            }
            return self.finish(offset);
        };
        self.check_checkpoint(&header, offset)?;
        self.check_chain(&header, offset)?;
        let len = header.record_bytes();
        if self.size_bytes - offset < len + SEAL_BYTES {
            return Err(self.damage(offset, "a record reaches past the end of the segment"));
        }
        let mut bytes = vec![0; len as usize];
        self.file.read_at(offset, &mut bytes)?;
        let Some(payload) = record::payload(self.place.at(offset), &header, &bytes) else {
            return self.finish_torn(offset, &bytes);
        };
        if header.version > self.checkpoint {
            replay(header.version, payload)?;
        }
        self.version = header.version;
        self.end = offset + len + SEAL_BYTES;
        Ok(true)
    }

    /// The record at `offset` has a sound header and a bad body.
    fn finish_torn(&self, offset: u64, record: &[u8]) -> Result<bool, RecoveryError> {
        let behind = offset + record.len() as u64;
        if self.first_written(behind)?.is_some() {
            // Its seal, or a later record, or something that no crash leaves.
            return Err(self.damage(offset, "an acknowledged record does not match its checksum"));
        }
        if !has_blank_sector(offset, record) {
            return Err(self.damage(offset, "a record does not match its checksum"));
        }
        self.finish(offset)
    }

    /// Makes sure that no sound record follows `offset`, and blanks what does.
    fn finish(&self, offset: u64) -> Result<bool, RecoveryError> {
        if let Some(last) = self.last.filter(|last| *last != self.version) {
            let what = format!(
                "this log segment ends at version {}, and the next one follows version {last}",
                self.version
            );
            return Err(self.damage(offset, what));
        }
        let Some(first) = self.first_written(offset)? else {
            return Ok(false);
        };
        if let Some(later) = self.find_record(first)? {
            let what = format!("an acknowledged record was here: another follows at {later}");
            return Err(self.damage(offset, what));
        }
        self.blank(first)?;
        Ok(false)
    }

    /// The offset of the first byte from `offset` on that is not blank.
    fn first_written(&self, offset: u64) -> io::Result<Option<u64>> {
        let mut found = None;
        self.chunks(offset, 0, &mut |start, bytes| {
            let position = bytes.iter().position(|byte| *byte != FILL);
            found = position.map(|position| start + position as u64);
            found.is_some()
        })?;
        Ok(found)
    }

    /// The offset of the first sound record header behind the record boundary at `self.end`.
    fn find_record(&self, from: u64) -> io::Result<Option<u64>> {
        let align = record::ALIGN_BYTES as u64;
        let from = (from / align * align).max(self.end + align);
        let mut found = None;
        self.chunks(from, record::HEADER_BYTES, &mut |start, bytes| {
            let last = bytes.len().saturating_sub(record::HEADER_BYTES);
            found = (0..=last)
                .step_by(record::ALIGN_BYTES)
                .filter(|position| bytes.len() - position >= record::HEADER_BYTES)
                .find(|position| {
                    let place = self.place.at(start + *position as u64);
                    record::decode_header(place, &bytes[*position..]).is_some()
                })
                .map(|position| start + position as u64);
            found.is_some()
        })?;
        Ok(found)
    }

    /// Fills everything from `offset` on that is not blank, and flushes.
    fn blank(&self, offset: u64) -> io::Result<()> {
        let mut written = Vec::new();
        self.chunks(offset, 0, &mut |start, bytes| {
            if bytes.iter().any(|byte| *byte != FILL) {
                written.push((start, bytes.len()));
            }
            false
        })?;
        for (start, len) in written {
            self.file.write_at(start, &vec![FILL; len])?;
        }
        self.file.sync_data()
    }

    /// Calls `visit` with consecutive parts of the segment from `offset` on, each repeating
    /// `overlap` bytes of the one before, until it returns true.
    fn chunks(
        &self,
        offset: u64,
        overlap: usize,
        visit: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut start = offset;
        while start < self.size_bytes {
            let count = buffer.len().min((self.size_bytes - start) as usize);
            self.file.read_at(start, &mut buffer[..count])?;
            if visit(start, &buffer[..count]) || start + count as u64 >= self.size_bytes {
                break;
            }
            start += (count - overlap) as u64;
        }
        Ok(())
    }

    fn check_chain(&self, header: &RecordHeader, offset: u64) -> Result<(), RecoveryError> {
        if header.previous != self.version || header.version <= header.previous {
            let what = format!(
                "version {} says it follows {}, but stands after {}",
                header.version, header.previous, self.version
            );
            return Err(self.damage(offset, what));
        }
        Ok(())
    }

    fn check_checkpoint(&self, header: &RecordHeader, offset: u64) -> Result<(), RecoveryError> {
        if header.checkpoint > self.checkpoint {
            let what = format!(
                "the data file is at checkpoint {}, but this was written after checkpoint {}",
                self.checkpoint, header.checkpoint
            );
            return Err(self.damage(offset, what));
        }
        Ok(())
    }

    fn damage(&self, offset: u64, what: impl Into<String>) -> RecoveryError {
        Damage::new(&self.path, offset, what).into()
    }
}

/// Says whether one of the sectors that `bytes`, found at `offset`, lie in is blank there: only
/// then may they have been torn by a crash.
fn has_blank_sector(offset: u64, bytes: &[u8]) -> bool {
    let sector = SECTOR_BYTES as u64;
    let mut start = 0;
    while start < bytes.len() {
        let room = sector - (offset + start as u64) % sector;
        let end = bytes.len().min(start + room as usize);
        if bytes[start..end].iter().all(|byte| *byte == FILL) {
            return true;
        }
        start = end;
    }
    false
}
