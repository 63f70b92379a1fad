//! A disk that keeps a [journal](crate::journal) of what is done to it.
//!
//! Its files are real, and are not flushed: a process that is killed loses nothing of what it
//! wrote, and whether the machine lost power is decided afterwards, from the journal. Reads go to the
//! files. It can stop at an operation, for a kill at this very place.

use std::{
    collections::BTreeSet,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use dgen_local::disk::{Disk, DiskFile};
use dgen_testkit::Random;
use serde_bytes::ByteBuf;

use crate::{
    journal::{Journal, Operation},
    lie::Lie,
};

/// So few writes are lost by [`Lie::DropsWrites`].
const DROPPED_SHARE: f64 = 0.02;

/// Where a disk stops.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stop {
    /// After so many operations.
    pub(crate) operation: Option<u64>,
    /// After so many that are none of the log's.
    pub(crate) data_operation: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct JournaledDisk {
    inner: Arc<dyn Disk>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    files: u64,
    /// Those that are the log's.
    log_files: BTreeSet<u64>,
    operations: u64,
    data_operations: u64,
    stop: Stop,
    lie: Option<Lie>,
    random: Random,
}

impl JournaledDisk {
    /// Keeps a journal of what is done to `inner`. Where it is to `stop` it says so on standard
    /// output, and does nothing more.
    pub(crate) fn new(
        inner: Arc<dyn Disk>,
        journal: Journal,
        stop: Stop,
        lie: Option<Lie>,
        random: Random,
    ) -> Self {
        let state = State {
            journal,
            files: 0,
            log_files: BTreeSet::new(),
            operations: 0,
            data_operations: 0,
            stop,
            lie,
            random,
        };
        Self {
            inner,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Does so after `operations` more.
    pub(crate) fn stop_after(&self, operations: u64) {
        let mut state = self.lock();
        state.stop = Stop {
            operation: Some(state.operations + operations),
            data_operation: None,
        };
    }

    /// Whether a store still uses it.
    pub(crate) fn is_used(&self) -> bool {
        Arc::strong_count(&self.state) > 1
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics holding this lock")
    }
}

impl State {
    /// Notes `operation`, which has been done.
    fn done(&mut self, operation: &Operation) -> io::Result<()> {
        if !self.is_denied(operation) {
            self.journal.push(operation)?;
        }
        self.operations += 1;
        self.data_operations += u64::from(!self.is_of_log(operation));
        let Stop {
            operation,
            data_operation,
        } = self.stop;
        if operation.is_some_and(|last| self.operations >= last)
            || data_operation.is_some_and(|last| self.data_operations >= last)
        {
            crate::child::say("stopped");
            // With the lock held: nobody writes any more. The parent kills.
            loop {
                std::thread::park();
            }
        }
        Ok(())
    }

    fn is_of_log(&mut self, operation: &Operation) -> bool {
        match operation {
            Operation::Open { file, name } if name.starts_with("log-") => {
                self.log_files.insert(*file);
                false
            }
            Operation::Write { file, .. } | Operation::Sync { file } => {
                self.log_files.contains(file)
            }
            _ => false,
        }
    }

    /// Whether the disk only says that it has done it.
    fn is_denied(&mut self, operation: &Operation) -> bool {
        match (self.lie, operation) {
            (Some(Lie::SyncDoesNothing), Operation::Sync { .. })
            | (Some(Lie::SyncDirDoesNothing), Operation::SyncDir) => true,
            (Some(Lie::DropsWrites), Operation::Write { .. }) => self.random.chance(DROPPED_SHARE),
            _ => false,
        }
    }
}

impl Disk for JournaledDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let inner = self.inner.open(name, create)?;
        state.files += 1;
        let file = state.files;
        let name = name.to_owned();
        state.done(&Operation::Open { file, name })?;
        Ok(Arc::new(JournaledFile {
            inner,
            file,
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
        let mut state = self.lock();
        self.inner.remove(name)?;
        let name = name.to_owned();
        state.done(&Operation::Remove { name })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        self.inner.rename(from, to)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        state.done(&Operation::Rename { from, to })
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.lock().done(&Operation::SyncDir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.path(name)
    }
}

#[derive(Debug)]
struct JournaledFile {
    inner: Arc<dyn DiskFile>,
    file: u64,
    disk: JournaledDisk,
}

impl DiskFile for JournaledFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        self.inner.write_at(offset, data)?;
        let data = ByteBuf::from(data);
        let file = self.file;
        state.done(&Operation::Write { file, offset, data })
    }

    fn sync_data(&self) -> io::Result<()> {
        let file = self.file;
        self.disk.lock().done(&Operation::Sync { file })
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        self.inner.set_len(len)?;
        let file = self.file;
        state.done(&Operation::SetLen { file, len })
    }
}
