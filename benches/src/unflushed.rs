//! A disk that never flushes: below the simulated flush, so that it takes the time it is said to
//! take and not the real disk's on top.

use std::{io, path::PathBuf, sync::Arc};

use dgen_local::disk::{Disk, DiskFile};

/// Another disk without its flushes. Reads and writes are real.
#[derive(Debug)]
pub(crate) struct UnflushedDisk(pub(crate) Arc<dyn Disk>);

#[derive(Debug)]
struct UnflushedFile(Arc<dyn DiskFile>);

impl Disk for UnflushedDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(UnflushedFile(self.0.open(name, create)?)))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.0.exists(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }
}

impl DiskFile for UnflushedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
