//! A [`Disk`] whose flushes take longer, to see how a program behaves on a slower device.
//!
//! Each `sync_data` and `sync_dir` waits a fixed time after the real one. Reads and writes are
//! untouched.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::{Disk, DiskFile};

type Wait = Arc<dyn Fn(Duration) + Send + Sync>;

/// Another disk, with a fixed time added to every flush.
#[derive(Clone)]
pub struct SlowDisk {
    inner: Arc<dyn Disk>,
    flush: Duration,
    wait: Wait,
}

impl SlowDisk {
    /// Adds `flush` to every flush of `inner`, by blocking the calling thread.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, flush: Duration) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the point of this disk is to take real time; tests inject their own wait"
        )]
        Self::with_wait(inner, flush, std::thread::sleep)
    }

    /// Adds a call of `wait(flush)` to every flush of `inner`.
    #[must_use]
    pub fn with_wait(
        inner: Arc<dyn Disk>,
        flush: Duration,
        wait: impl Fn(Duration) + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            flush,
            wait: Arc::new(wait),
        }
    }
}

impl fmt::Debug for SlowDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlowDisk")
            .field("inner", &self.inner)
            .field("flush", &self.flush)
            .finish_non_exhaustive()
    }
}

impl Disk for SlowDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(SlowFile {
            inner: self.inner.open(name, create)?,
            disk: self.clone(),
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
        self.inner.sync_dir()?;
        (self.wait)(self.flush);
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.path(name)
    }
}

#[derive(Debug)]
struct SlowFile {
    inner: Arc<dyn DiskFile>,
    disk: SlowDisk,
}

impl DiskFile for SlowFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()?;
        (self.disk.wait)(self.disk.flush);
        Ok(())
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
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::disk::MemoryDisk;

    /// SPEC L3: the benchmark's slower device slows flushes and nothing else.
    #[test]
    fn waits_once_for_each_flush() {
        let waited_ms = Arc::new(AtomicU64::new(0));
        let total_ms = waited_ms.clone();
        let disk = SlowDisk::with_wait(
            Arc::new(MemoryDisk::new()),
            Duration::from_millis(5),
            move |time| {
                total_ms.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
            },
        );
        let file = disk.open("a", true).unwrap();
        file.write_at(0, b"x").unwrap();
        file.read_at(0, &mut [0]).unwrap();
        assert_eq!(waited_ms.load(Ordering::Relaxed), 0);
        file.sync_data().unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(waited_ms.load(Ordering::Relaxed), 10);
    }
}
