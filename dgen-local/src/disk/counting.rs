//! A [`Disk`] that counts what passes through it: the proof that one commit costs one flush.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Disk, DiskFile};

/// Another disk, with counters.
#[derive(Debug, Clone)]
pub struct CountingDisk {
    inner: Arc<dyn Disk>,
    counters: Arc<Counters>,
}

/// What a [`CountingDisk`] has seen since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DiskCounts {
    /// Calls of `sync_data`, over all files.
    pub syncs: u64,
    /// Calls of `sync_dir`.
    pub dir_syncs: u64,
    /// Calls of `write_at`, over all files.
    pub writes: u64,
    /// Bytes passed to `write_at`.
    pub written_bytes: u64,
}

impl CountingDisk {
    /// Counts what happens to `inner` from now on.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self {
            inner,
            counters: Arc::default(),
        }
    }

    /// The counts so far. Clones of this disk share them.
    #[must_use]
    pub fn counts(&self) -> DiskCounts {
        DiskCounts {
            syncs: self.counters.syncs.load(Ordering::Relaxed),
            dir_syncs: self.counters.dir_syncs.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
            written_bytes: self.counters.written_bytes.load(Ordering::Relaxed),
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    syncs: AtomicU64,
    dir_syncs: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
}

impl Disk for CountingDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CountingFile {
            inner: self.inner.open(name, create)?,
            counters: self.counters.clone(),
        }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.inner.exists(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.counters.dir_syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_dir()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.path(name)
    }
}

#[derive(Debug)]
struct CountingFile {
    inner: Arc<dyn DiskFile>,
    counters: Arc<Counters>,
}

impl DiskFile for CountingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.counters.writes.fetch_add(1, Ordering::Relaxed);
        self.counters
            .written_bytes
            .fetch_add(data.len() as u64, Ordering::Relaxed);
        self.inner.write_at(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counters.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    /// SPEC L3: flushes are counted where they happen.
    #[test]
    fn counts_syncs_writes_and_bytes() {
        let disk = CountingDisk::new(Arc::new(MemoryDisk::new()));
        let file = disk.open("a", true).unwrap();
        file.write_at(0, b"abc").unwrap();
        file.write_at(3, b"de").unwrap();
        file.sync_data().unwrap();
        disk.sync_dir().unwrap();
        let counts = disk.counts();
        assert_eq!((counts.syncs, counts.dir_syncs), (1, 1));
        assert_eq!((counts.writes, counts.written_bytes), (2, 5));
    }
}
