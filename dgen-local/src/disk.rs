//! The seam below the store: a directory of files that can be read, written, synced and renamed.
//!
//! Guarantees nothing by itself. It exists so that the same store runs on a real directory
//! ([`DirectoryDisk`]), on one that loses power ([`MemoryDisk`]), on one with slow flushes
//! ([`SlowDisk`]) and on one that is counted ([`CountingDisk`]).
//!
//! Leaves out: locking (see the `LOCK` file), buffering, and checksums; the files above do those.

mod counting;
mod directory;
mod memory;
mod slow;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub use counting::{CountingDisk, DiskCounts};
pub use directory::DirectoryDisk;
pub use memory::MemoryDisk;
pub use slow::SlowDisk;

/// The unit that a disk writes as a whole or not at all, in bytes.
///
/// Recovery reads a half-written record as a mixture of old and new sectors. A device that tears
/// inside 512 bytes is reported as damaged rather than recovered.
pub const SECTOR_BYTES: usize = 512;

/// A flat directory of named files.
///
/// Names are plain file names without separators.
pub trait Disk: Send + Sync + Debug {
    /// Opens the file `name`, creating it empty when `create` is set and it is not there.
    ///
    /// # Errors
    ///
    /// `NotFound` if the file is absent and `create` is not set; otherwise what the system says.
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>>;

    /// Says whether a file of that name exists.
    ///
    /// # Errors
    ///
    /// What the system says when it cannot tell.
    fn exists(&self, name: &str) -> io::Result<bool>;

    /// Names of all files, in no particular order.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes the file. The removal survives power loss only after [`sync_dir`](Disk::sync_dir).
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such file; otherwise what the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames `from` to `to` atomically, replacing `to`. Survives power loss only after
    /// [`sync_dir`](Disk::sync_dir). A file that is open stays open.
    ///
    /// # Errors
    ///
    /// `NotFound` if `from` is absent; otherwise what the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes creations, removals and renames durable.
    ///
    /// # Errors
    ///
    /// What the system says. After an error nothing is known about the pending changes.
    fn sync_dir(&self) -> io::Result<()>;

    /// The path of `name`, for messages only.
    fn path(&self, name: &str) -> PathBuf;
}

/// One open file, with positioned reads and writes.
///
/// Methods take `&self`: callers order their own overlapping accesses.
pub trait DiskFile: Send + Sync + Debug {
    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before the buffer is full.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`, growing the file if needed.
    ///
    /// Not durable until [`sync_data`](DiskFile::sync_data) returns: after power loss each sector
    /// may be old or new.
    ///
    /// # Errors
    ///
    /// `StorageFull` when the disk is full. A part may have been written.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes everything written so far durable, the length included.
    ///
    /// # Errors
    ///
    /// What the system says. After an error the unsynced writes may be lost, and a second call
    /// that succeeds proves nothing: never retry.
    fn sync_data(&self) -> io::Result<()>;

    /// The length in bytes.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is zero.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or extends it with zeros that take no space until written.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn set_len(&self, len: u64) -> io::Result<()>;
}

/// Says whether an error means that there is no room left: the disk, the quota or the size limit.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
