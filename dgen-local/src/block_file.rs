//! redb's storage on a [`DiskFile`], with checksums of our own on every block.
//!
//! Guarantees: a block that redb reads back is the block it wrote, or the read is an error with a
//! [`Damage`] inside; a header write that power loss tore is as if it had not happened.
//!
//! redb rewrites its header (block 0) in place and nothing else: every other page is written to
//! space that the durable state does not use. So block 0 has two physical copies (see
//! [`slot`]), while any other block has one, and a torn one is only ever unreachable. redb also
//! never reads a page it did not write first, so a block that was never written reads as damage
//! instead of as zeros: that is how zeroed bytes are found.
//!
//! Leaves out: blocks that the device acknowledged and never wrote (they read as their older
//! contents), and encryption.

mod layout;
mod slot;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use self::layout::{BLOCK_BYTES, FileHeader, STRIDE_BYTES};
use self::slot::{Slot, newest_slot};
use crate::disk::DiskFile;
use crate::store::damage::Damage;

pub(crate) use self::layout::HeaderError;

/// A handle on the file; clones share it. One goes into redb, one stays with the store, which
/// asks it for the place of a damage and stops it when the store is poisoned.
#[derive(Clone)]
pub(crate) struct BlockFile {
    inner: Arc<Inner>,
}

struct Inner {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    store_id: u64,
    header: Mutex<Header>,
    is_stopped: AtomicBool,
    first_failure: Mutex<Option<Failure>>,
}

/// Block 0 and the length, which become durable together.
struct Header {
    /// What the next write of a slot contains, and what reads of block 0 return.
    slot: Slot,
    /// Which copy is known to be durable; the other may be overwritten.
    durable_copy: usize,
    is_dirty: bool,
}

/// The first error that redb was given, kept because redb reports later ones without a cause.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    Damage(Damage),
    Io(Arc<io::Error>),
}

impl BlockFile {
    /// Makes an empty file: redb sees length zero and initialises it.
    pub(crate) fn create(
        file: Arc<dyn DiskFile>,
        path: PathBuf,
        store_id: u64,
    ) -> io::Result<Self> {
        file.set_len(0)?;
        file.write_at(0, &FileHeader { store_id }.encode())?;
        file.set_len(layout::physical_len(0))?;
        let slot = Slot::empty();
        for copy in 0..2 {
            file.write_at(layout::slot_offset(copy), &slot.encode(store_id))?;
        }
        file.sync_data()?;
        Ok(Self::with_header(file, path, store_id, slot))
    }

    /// Opens a file that was completed before.
    pub(crate) fn open(file: Arc<dyn DiskFile>, path: PathBuf) -> Result<Self, HeaderError> {
        let physical_len = file.len()?;
        let FileHeader { store_id } = layout::read_header(&*file, &path, physical_len)?;
        let (slot, copy) = newest_slot(&*file, &path, store_id)?;
        if slot.logical_len == 0 {
            let offset = layout::slot_offset(copy);
            return Err(Damage::new(path, offset, "the header describes an empty file").into());
        }
        let expected = layout::physical_len(slot.logical_len);
        if physical_len < expected {
            let what = format!("the file ends here, and should have {expected} bytes");
            return Err(Damage::new(path, physical_len, what).into());
        }
        // After a kill the chosen copy may exist in the page cache only. It has to be durable
        // before the other copy is overwritten.
        file.sync_data()?;
        file.write_at(layout::slot_offset(1 - copy), &slot.encode(store_id))?;
        let block_file = Self::with_header(file, path, store_id, slot);
        block_file.header().durable_copy = copy;
        Ok(block_file)
    }

    pub(crate) fn store_id(&self) -> u64 {
        self.inner.store_id
    }

    /// Makes every later call of redb fail, so that dropping redb writes nothing.
    pub(crate) fn stop(&self) {
        self.inner.is_stopped.store(true, Ordering::Release);
    }

    /// The first error that redb was given, if there was one.
    pub(crate) fn first_failure(&self) -> Option<Failure> {
        self.inner
            .first_failure
            .lock()
            .expect("no code panics holding this lock")
            .clone()
    }

    fn with_header(file: Arc<dyn DiskFile>, path: PathBuf, store_id: u64, slot: Slot) -> Self {
        Self {
            inner: Arc::new(Inner {
                file,
                path,
                store_id,
                header: Mutex::new(Header {
                    slot,
                    durable_copy: 0,
                    is_dirty: false,
                }),
                is_stopped: AtomicBool::new(false),
                first_failure: Mutex::new(None),
            }),
        }
    }

    fn header(&self) -> MutexGuard<'_, Header> {
        self.inner
            .header
            .lock()
            .expect("no code panics holding this lock")
    }

    /// Runs one call of redb: refuses it when stopped, and remembers the first error.
    fn guarded<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.inner.is_stopped.load(Ordering::Acquire) {
            return Err(io::Error::other("the store is closed"));
        }
        call().map_err(|error| self.remember(error))
    }

    fn remember(&self, error: io::Error) -> io::Error {
        let mut first = self
            .inner
            .first_failure
            .lock()
            .expect("no code panics holding this lock");
        let damage = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Damage>());
        if let Some(damage) = damage {
            first.get_or_insert(Failure::Damage(damage.clone()));
            return error;
        }
        let shared = Arc::new(error);
        first.get_or_insert(Failure::Io(shared.clone()));
        io::Error::new(shared.kind(), shared)
    }

    /// Reads whole blocks, `first` and those after it, none of them block 0.
    fn read_blocks(&self, first: u64, out: &mut [u8]) -> io::Result<()> {
        let count = out.len() / BLOCK_BYTES;
        let mut stored = vec![0; count * STRIDE_BYTES];
        let offset = layout::block_offset(first);
        self.inner
            .file
            .read_at(offset, &mut stored)
            .map_err(|error| self.ended_early(error, offset))?;
        for (index, (stored, out)) in stored
            .chunks_exact(STRIDE_BYTES)
            .zip(out.chunks_exact_mut(BLOCK_BYTES))
            .enumerate()
        {
            let block = first + index as u64;
            let (bytes, checksum) = stored.split_at(BLOCK_BYTES);
            if layout::block_checksum(self.inner.store_id, block, bytes) != checksum {
                let what = if stored.iter().all(|byte| *byte == 0) {
                    format!("block {block} is all zeros")
                } else {
                    format!("block {block} does not match its checksum")
                };
                let offset = layout::block_offset(block);
                return Err(Damage::new(&self.inner.path, offset, what).into());
            }
            out.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn write_blocks(&self, first: u64, data: &[u8]) -> io::Result<()> {
        let mut stored = Vec::with_capacity(data.len() / BLOCK_BYTES * STRIDE_BYTES);
        for (index, bytes) in data.chunks_exact(BLOCK_BYTES).enumerate() {
            let block = first + index as u64;
            stored.extend_from_slice(bytes);
            stored.extend_from_slice(&layout::block_checksum(self.inner.store_id, block, bytes));
        }
        self.inner
            .file
            .write_at(layout::block_offset(first), &stored)
    }

    fn ended_early(&self, error: io::Error, offset: u64) -> io::Error {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Damage::new(&self.inner.path, offset, "the file ends before this block").into();
        }
        error
    }

    /// Puts the slot into the copy that is not known to be durable.
    fn write_slot(&self, header: &mut Header) -> io::Result<()> {
        let next = header.slot.sequence.checked_add(1).ok_or_else(|| {
            let what = "the header was written more often than can be counted";
            Damage::new(&self.inner.path, layout::slot_offset(0), what)
        })?;
        header.slot.sequence = next;
        let copy = 1 - header.durable_copy;
        header.is_dirty = true;
        self.inner.file.write_at(
            layout::slot_offset(copy),
            &header.slot.encode(self.inner.store_id),
        )
    }

    fn sync(&self, header: &mut Header) -> io::Result<()> {
        self.inner.file.sync_data()?;
        if header.is_dirty {
            header.durable_copy = 1 - header.durable_copy;
            header.is_dirty = false;
            // The older copy is of no more use: redb may overwrite pages that only it reaches.
            // With the newest in both places, damage to one of them costs nothing.
            self.inner.file.write_at(
                layout::slot_offset(1 - header.durable_copy),
                &header.slot.encode(self.inner.store_id),
            )?;
        }
        Ok(())
    }

    fn change_len(&self, len: u64) -> io::Result<()> {
        let mut header = self.header();
        let file = &self.inner.file;
        if len > header.slot.logical_len {
            // Longer first, then the header that says so: a header found after a crash never
            // promises more than there is.
            file.set_len(layout::physical_len(len))?;
            file.sync_data()?;
            header.slot.logical_len = len;
            self.write_slot(&mut header)
        } else if len < header.slot.logical_len {
            header.slot.logical_len = len;
            self.write_slot(&mut header)?;
            self.sync(&mut header)?;
            file.set_len(layout::physical_len(len))
        } else {
            Ok(())
        }
    }

    fn check_range(&self, offset: u64, len: usize) -> io::Result<()> {
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| end > self.header().slot.logical_len) {
            let what = format!("a reference to {len} bytes at {offset} points past the end");
            let position = layout::physical_len(offset);
            return Err(Damage::new(&self.inner.path, position, what).into());
        }
        Ok(())
    }
}

impl fmt::Debug for BlockFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockFile")
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

impl redb::StorageBackend for BlockFile {
    fn len(&self) -> io::Result<u64> {
        self.guarded(|| Ok(self.header().slot.logical_len))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.guarded(|| {
            self.check_range(offset, out.len())?;
            for piece in pieces(offset, out.len()) {
                let out = &mut out[piece.start..piece.end];
                if piece.block == 0 {
                    let inside = piece.inside..piece.inside + out.len();
                    out.copy_from_slice(&self.header().slot.block[inside]);
                } else if out.len().is_multiple_of(BLOCK_BYTES) {
                    self.read_blocks(piece.block, out)?;
                } else {
                    let mut block = vec![0; BLOCK_BYTES];
                    self.read_blocks(piece.block, &mut block)?;
                    out.copy_from_slice(&block[piece.inside..piece.inside + out.len()]);
                }
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.guarded(|| self.change_len(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.guarded(|| self.sync(&mut self.header()))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.guarded(|| {
            self.check_range(offset, data.len())?;
            for piece in pieces(offset, data.len()) {
                let data = &data[piece.start..piece.end];
                if piece.block == 0 {
                    let mut header = self.header();
                    let inside = piece.inside..piece.inside + data.len();
                    header.slot.block[inside].copy_from_slice(data);
                    self.write_slot(&mut header)?;
                } else if data.len().is_multiple_of(BLOCK_BYTES) {
                    self.write_blocks(piece.block, data)?;
                } else {
                    let mut block = vec![0; BLOCK_BYTES];
                    self.read_blocks(piece.block, &mut block)?;
                    block[piece.inside..piece.inside + data.len()].copy_from_slice(data);
                    self.write_blocks(piece.block, &block)?;
                }
            }
            Ok(())
        })
    }
}

/// A part of a request: inside block 0, inside another block, or a run of whole blocks.
struct Piece {
    block: u64,
    /// Offset inside `block`; zero for a run.
    inside: usize,
    /// The part of the request's buffer.
    start: usize,
    end: usize,
}

fn pieces(offset: u64, len: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < len {
        let position = offset + start as u64;
        let block = position / BLOCK_BYTES as u64;
        let inside = (position % BLOCK_BYTES as u64) as usize;
        let whole = (len - start) / BLOCK_BYTES * BLOCK_BYTES;
        let end = if block != 0 && inside == 0 && whole > 0 {
            start + whole
        } else {
            len.min(start + BLOCK_BYTES - inside)
        };
        pieces.push(Piece {
            block,
            inside,
            start,
            end,
        });
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests;
