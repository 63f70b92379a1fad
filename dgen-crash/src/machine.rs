//! The machine that a store's disk is in: it outlives the programs that are killed on it, until it
//! loses power itself.
//!
//! It follows the journal of each program, so it knows which bytes are only in the cache. What a power
//! loss leaves is decided here, from the seed, by [`MemoryDisk`]; then the directory is made to hold it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use dgen_local::disk::{Disk, MemoryDisk};
use dgen_testkit::Random;

use crate::journal;

/// Not the disk's: it is locked beside it.
const LOCK_NAME: &str = "LOCK";

#[derive(Debug)]
pub(crate) struct Machine {
    directory: PathBuf,
    disk: MemoryDisk,
}

impl Machine {
    /// A machine whose disk is the directory, which is empty.
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            disk: MemoryDisk::new(),
        }
    }

    /// A program was killed that kept a journal; the cache is as the journal says.
    pub(crate) fn follow(&mut self, journal: &Path) -> io::Result<()> {
        journal::replay(journal, &self.disk)?;
        self.write()
    }

    /// A program was killed that kept no journal: all that it wrote is taken for durable.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        self.disk = MemoryDisk::new();
        if !self.directory.exists() {
            return Ok(());
        }
        for name in names(&self.directory)? {
            let file = self.disk.open(&name, true)?;
            file.write_at(0, &fs::read(self.directory.join(&name))?)?;
            file.sync_data()?;
        }
        self.disk.sync_dir()
    }

    /// Power is lost, and everything that was not flushed.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.disk = self.disk.crash_image(|| 0);
        self.write()
    }

    /// Power is lost; of what was not flushed, some is there, some is not, some in part.
    pub(crate) fn tear(&mut self, random: &mut Random) -> io::Result<()> {
        self.disk = self.disk.crash_image(|| random.next_u64());
        self.write()
    }

    /// Makes the directory hold what the disk does.
    fn write(&self) -> io::Result<()> {
        if !self.directory.exists() {
            // Killed before there was anything.
            return Ok(());
        }
        for name in names(&self.directory)? {
            fs::remove_file(self.directory.join(name))?;
        }
        for name in self.disk.list()? {
            let bytes = self.disk.bytes(&name).unwrap_or_default();
            fs::write(self.directory.join(name), bytes)?;
        }
        Ok(())
    }
}

/// The files of a store.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name().into_string();
        let name = name.map_err(|name| io::Error::other(format!("a file named {name:?}")))?;
        if name != LOCK_NAME {
            names.push(name);
        }
    }
    Ok(names)
}
