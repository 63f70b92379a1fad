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

/// What the system's cache takes of a write at once.
const PAGE_BYTES: usize = 4096;

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

    /// A program was killed that kept a journal; the cache is as the journal says. If the program
    /// `is_inside` of its last operation, a write, that came to the cache up to the end of some page.
    pub(crate) fn follow(
        &mut self,
        journal: &Path,
        is_inside: bool,
        random: &mut Random,
    ) -> io::Result<()> {
        journal::replay(journal, &self.disk, |offset, len| {
            // Or it was just about to return.
            if !is_inside || random.chance(0.6) {
                return len;
            }
            let first = PAGE_BYTES - offset as usize % PAGE_BYTES;
            let pages = len.saturating_sub(first).div_ceil(PAGE_BYTES);
            match random.below(pages + 1) {
                0 => 0,
                page => len.min(first + (page - 1) * PAGE_BYTES),
            }
        })?;
        self.write(&self.directory)
    }

    /// Whether a log segment is being replaced by the next. One that is only made ahead has no header.
    pub(crate) fn is_switching(&self) -> bool {
        let names = self.disk.list().unwrap_or_default();
        let is_begun = |name: &&String| {
            let bytes = self.disk.bytes(name).unwrap_or_default();
            name.starts_with("log-") && bytes.starts_with(b"dgenLOG")
        };
        names.iter().filter(is_begun).count() > 1
    }

    /// Whether a store is being made.
    pub(crate) fn is_making(&self) -> bool {
        self.disk.bytes("data").is_none()
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
        self.write(&self.directory)
    }

    /// Power is lost; of what was not flushed, some is there, some is not, some in part.
    pub(crate) fn tear(&mut self, random: &mut Random) -> io::Result<()> {
        self.disk = self.disk.crash_image(|| random.next_u64());
        self.write(&self.directory)
    }

    /// Makes `directory` hold what the disk does.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        if !directory.exists() {
            // Killed before there was anything.
            return Ok(());
        }
        for name in names(directory)? {
            fs::remove_file(directory.join(name))?;
        }
        for name in self.disk.list()? {
            let bytes = self.disk.bytes(&name).unwrap_or_default();
            fs::write(directory.join(name), bytes)?;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dgen_local::disk::DirectoryDisk;

    use super::*;
    use crate::{
        journal::Journal,
        journaled_disk::{JournaledDisk, Stop},
    };

    /// SPEC L2: what was written and not flushed outlives a program, and not the machine.
    #[test]
    fn a_loss_of_power_takes_what_was_not_flushed() {
        let folder = tempfile::tempdir().unwrap();
        let (store, journal) = (folder.path().join("store"), folder.path().join("journal"));
        let directory = DirectoryDisk::create(&store).unwrap();
        let mut random = Random::new(0);
        let disk = JournaledDisk::new(
            Arc::new(directory),
            Journal::open(&journal).unwrap(),
            Stop::default(),
            None,
            random.split(),
        );
        let flushed = disk.open("flushed", true).unwrap();
        flushed.write_at(0, b"old").unwrap();
        flushed.sync_data().unwrap();
        disk.sync_dir().unwrap();
        flushed.write_at(0, b"new").unwrap();
        disk.open("new", true).unwrap();

        let read = |name: &str| fs::read(store.join(name)).ok();
        let mut machine = Machine::new(&store);
        machine.follow(&journal, false, &mut random).unwrap();
        assert_eq!(read("flushed").as_deref(), Some(&b"new"[..]));
        assert_eq!(read("new").as_deref(), Some(&b""[..]));
        machine.forget().unwrap();
        assert_eq!(read("flushed").as_deref(), Some(&b"old"[..]));
        assert_eq!(read("new"), None);

        // As a program leaves it that keeps no journal.
        fs::write(store.join("other"), b"x").unwrap();
        machine.read().unwrap();
        machine.forget().unwrap();
        assert_eq!(read("other").as_deref(), Some(&b"x"[..]));
    }
}
