//! Where a run puts its files: a temporary folder, one disk in it for each case.

use std::{fmt, fs, path::PathBuf, sync::Arc, time::Duration};

use dgen_backend::Database;
use dgen_local::disk::{CountingDisk, DirectoryDisk, Disk, SlowDisk};
use tempfile::TempDir;

use crate::{Outcome, options::Options, unflushed::UnflushedDisk};

/// The temporary folder, removed at the end, and how long a flush in it takes.
pub(crate) struct Scratch {
    folder: TempDir,
    simulated_flush: Option<Duration>,
}

impl Scratch {
    pub(crate) fn new(options: &Options) -> Outcome<Self> {
        let parent = options.dir.clone().unwrap_or_else(std::env::temp_dir);
        Ok(Self {
            folder: tempfile::Builder::new()
                .prefix("dgen-bench")
                .tempdir_in(parent)?,
            simulated_flush: options.flush_ms.map(Duration::from_millis),
        })
    }

    /// A new folder, on the real disk.
    pub(crate) fn folder(&self, case: &str) -> Outcome<PathBuf> {
        let folder = self.folder.path().join(case.replace('/', "-"));
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// A disk in a new folder, which counts. The floor and the store write through the same seam.
    pub(crate) fn disk(&self, case: &str) -> Outcome<CountingDisk> {
        let directory: Arc<dyn Disk> = Arc::new(DirectoryDisk::create(self.folder(case)?)?);
        let disk: Arc<dyn Disk> = match self.simulated_flush {
            Some(flush) => Arc::new(SlowDisk::new(Arc::new(UnflushedDisk(directory)), flush)),
            None => directory,
        };
        Ok(CountingDisk::new(disk))
    }

    /// A new store, and its disk.
    pub(crate) fn store(&self, case: &str) -> Outcome<(Database, CountingDisk)> {
        let disk = self.disk(case)?;
        let db = dgen_local::Options::default().open_on(Arc::new(disk.clone()))?;
        Ok((db, disk))
    }
}

impl fmt::Display for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.simulated_flush {
            Some(flush) => write!(f, "each flush takes a simulated {flush:?}")?,
            None => write!(f, "each flush is the disk's own")?,
        }
        write!(f, "; in {}", self.folder.path().display())
    }
}
