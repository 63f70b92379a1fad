//! A file that is appended to and flushed, and nothing around it.

use std::sync::Arc;

use dgen_local::disk::{Disk, DiskFile};

use crate::Outcome;

/// The file is written in rounds, over space that the file system has placed: a file that grows
/// takes longer to flush, and no log need do it.
const FILE_SIZE_BYTES: u64 = 16 << 20;

/// The file.
pub(crate) struct Appended {
    file: Arc<dyn DiskFile>,
    end: u64,
}

impl Appended {
    pub(crate) fn create(disk: &dyn Disk) -> Outcome<Self> {
        let file = disk.open("floor", true)?;
        file.write_at(0, &vec![0xff; FILE_SIZE_BYTES as usize])?;
        file.sync_data()?;
        Ok(Self { file, end: 0 })
    }

    /// Appends `bytes` and flushes them.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Outcome {
        if self.end + bytes.len() as u64 > FILE_SIZE_BYTES {
            self.end = 0;
        }
        self.file.write_at(self.end, bytes)?;
        self.file.sync_data()?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}
