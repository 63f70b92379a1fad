//! [`Base`] as a log in front of a tree.
//!
//! The files of a store:
//!
//! ```text
//! LOCK        held while it is open
//! data        the tree, as of the last checkpoint
//! log-<n>     the groups since then; the checkpoint says which n
//! data.new    a store that is being made
//! ```
//!
//! Guarantees: a group is durable when `append` returns; after a crash at any point the store
//! opens with every group that was acknowledged and, perhaps, the one that was not, whole.
//!
//! A segment is replaced in this order, each step durable before the next: make the next one,
//! checkpoint the tree with its number, append to it, remove the older. The number in the
//! checkpoint says which segment must be there; another one is a leftover, and is removed if it
//! was never used.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::group::{Group, Write, decode_writes, encode_writes};
use super::options::StoreOptions;
use super::poison::Poison;
use super::store_error::StoreError;
use super::tree::{Tree, TreeSnapshot};
use super::{Base, damage::Damage};
use crate::block_file::BlockFile;
use crate::disk::{DirectoryDisk, Disk};
use crate::lock_file::LockFile;
use crate::log::{self, Log, RecoveryError};
use crate::open_error::OpenError;

const DATA_NAME: &str = "data";
const NEW_DATA_NAME: &str = "data.new";
const FIRST_SEGMENT: u64 = 1;
/// Replay commits to the tree each time it has read this much, in bytes.
const REPLAY_BATCH_BYTES: usize = 1024 * 1024;

pub(crate) struct RedbStore {
    tree: Tree,
    /// `None` for a store in memory.
    durable: Option<Durable>,
    poison: Arc<Poison>,
    /// Released last.
    lock_file: Mutex<Option<LockFile>>,
}

struct Durable {
    disk: Arc<dyn Disk>,
    log: Mutex<Log>,
    segment_size_bytes: u64,
}

impl RedbStore {
    /// Opens the store in the directory `path`, or makes one there, on what `wrap` makes of the
    /// directory: itself, a disk that counts, one that is slower.
    ///
    /// # Errors
    ///
    /// See [`OpenError`]. Nothing acknowledged is lost by a failed open.
    pub(crate) fn open(
        path: &Path,
        options: &StoreOptions,
        wrap: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>,
    ) -> Result<Self, OpenError> {
        let existing = path.ancestors().find(|ancestor| ancestor.exists());
        if existing.is_some_and(|existing| !existing.is_dir()) {
            return Err(OpenError::NotADirectory {
                path: path.to_owned(),
            });
        }
        let disk = DirectoryDisk::create(path).map_err(|error| OpenError::from_io(path, error))?;
        let lock_file = LockFile::acquire(path)?;
        let store = Self::open_on(wrap(Arc::new(disk)), options)?;
        *store.lock_file() = Some(lock_file);
        Ok(store)
    }

    /// Opens the store on `disk`, or makes one there. Takes no lock.
    pub(crate) fn open_on(disk: Arc<dyn Disk>, options: &StoreOptions) -> Result<Self, OpenError> {
        let path = disk.path(DATA_NAME);
        let exists = disk
            .exists(DATA_NAME)
            .map_err(|error| OpenError::from_io(&path, error))?;
        if !exists {
            create(&*disk, options)?;
        }
        open_existing(disk, options)
    }

    /// A store that is gone when it is dropped. `append` costs nothing.
    pub(crate) fn in_memory(options: &StoreOptions) -> Result<Self, StoreError> {
        let poison = Arc::new(Poison::default());
        Ok(Self {
            tree: Tree::in_memory(options.cache_size_bytes, poison.clone())?,
            durable: None,
            poison,
            lock_file: Mutex::new(None),
        })
    }

    /// Makes the tree durable as of the last group applied, as a full segment does by itself.
    #[cfg(test)]
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        self.poison.check()?;
        match &self.durable {
            Some(durable) => self.poison.latch(self.checkpoint_log(&mut durable.log())),
            None => Ok(()),
        }
    }

    fn lock_file(&self) -> MutexGuard<'_, Option<LockFile>> {
        self.lock_file
            .lock()
            .expect("no code panics holding this lock")
    }

    fn append_to(&self, durable: &Durable, group: &Group) -> Result<(), StoreError> {
        let mut log = durable.log();
        let path = log.path();
        let refuse = |text: String| {
            let error = io::Error::new(io::ErrorKind::InvalidInput, text);
            Err(StoreError::from_io(&path, error))
        };
        let (version, applied) = (group.version, self.tree.version());
        if version <= log.version() || applied != log.version() {
            return refuse(format!(
                "version {version} after {} was appended and {applied} applied",
                log.version()
            ));
        }
        let Some(payload) = encode_writes(&group.writes) else {
            return refuse("a group of 4 GiB or more".to_owned());
        };
        if !log.has_room(payload.len()) {
            self.switch_segment(durable, &mut log, payload.len())?;
        }
        log.append(version, &payload)
            .map_err(|error| StoreError::from_io(&log.path(), error))
    }

    fn switch_segment(
        &self,
        durable: &Durable,
        log: &mut Log,
        payload_bytes: usize,
    ) -> Result<(), StoreError> {
        let next_path = durable.disk.path(&log::segment_name(log.sequence() + 1));
        let next = log
            .prepare_next(durable.segment_size_bytes, payload_bytes)
            .map_err(|error| StoreError::from_io(&next_path, error))?;
        self.tree.commit_checkpoint(next.sequence())?;
        log.switch(next)
            .map_err(|error| StoreError::from_io(&next_path, error))
    }

    fn checkpoint_log(&self, log: &mut Log) -> Result<(), StoreError> {
        let version = self.tree.version();
        if log.checkpoint() != version {
            self.tree.commit_checkpoint(log.sequence())?;
            log.set_checkpoint(version);
        }
        Ok(())
    }

    fn close_durable(&self, durable: &Durable) -> Result<(), StoreError> {
        let mut log = durable.log();
        self.checkpoint_log(&mut log)?;
        log.close()
            .map_err(|error| StoreError::from_io(&log.path(), error))?;
        self.tree.close();
        Ok(())
    }
}

impl Durable {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no code panics holding this lock")
    }
}

impl Base for RedbStore {
    type Snapshot = TreeSnapshot;

    fn snapshot(&self) -> Result<TreeSnapshot, StoreError> {
        self.poison.check()?;
        self.poison.latch(self.tree.snapshot())
    }

    fn append(&self, group: &Group) -> Result<(), StoreError> {
        self.poison.check()?;
        match &self.durable {
            Some(durable) => self.poison.latch(self.append_to(durable, group)),
            None => Ok(()),
        }
    }

    fn apply(&self, group: &Group) -> Result<(), StoreError> {
        self.poison.check()?;
        self.poison
            .latch(self.tree.apply(group.version, &group.writes))
    }

    fn version(&self) -> u64 {
        self.tree.version()
    }

    fn close(&self) -> Result<(), StoreError> {
        self.poison.check()?;
        let result = match &self.durable {
            Some(durable) => self.poison.latch(self.close_durable(durable)),
            None => Ok(()),
        };
        self.poison.close("it was closed");
        self.lock_file().take();
        result
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // Without a close this is like a crash: the log has everything, and redb must not commit.
        self.poison.close("it was dropped");
    }
}

/// Makes a store. The rename is the last step: before it, there is no store.
fn create(disk: &dyn Disk, options: &StoreOptions) -> Result<(), OpenError> {
    remove_unfinished(disk)?;
    let path = disk.path(NEW_DATA_NAME);
    let io_error = |error| OpenError::from_io(&path, error);
    let file = disk.open(NEW_DATA_NAME, true).map_err(io_error)?;
    let store_id = options.new_store_id;
    let blocks = BlockFile::create(file, path.clone(), store_id).map_err(io_error)?;
    let poison = Arc::new(Poison::new(Some(blocks.clone())));
    Tree::open(
        blocks,
        path.clone(),
        options.cache_size_bytes,
        poison.clone(),
    )
    .and_then(|tree| tree.commit_checkpoint(FIRST_SEGMENT).map(|()| tree))
    .map(|_tree| poison.close("it is made"))
    .map_err(|error| OpenError::from_store(&path, error))?;
    log::create_first(disk, store_id, options.segment_size_bytes, FIRST_SEGMENT).map_err(
        |error| OpenError::from_io(&disk.path(&log::segment_name(FIRST_SEGMENT)), error),
    )?;
    disk.rename(NEW_DATA_NAME, DATA_NAME).map_err(io_error)?;
    disk.sync_dir().map_err(io_error)
}

/// Removes what an interrupted [`create`] left. Anything more means that `data` was lost.
fn remove_unfinished(disk: &dyn Disk) -> Result<(), OpenError> {
    let path = disk.path(DATA_NAME);
    let io_error = |error| OpenError::from_io(&path, error);
    for sequence in log::list_segments(disk).map_err(io_error)? {
        let is_unused = sequence == FIRST_SEGMENT
            && match log::check_is_unused(disk, sequence) {
                Ok(()) => true,
                Err(RecoveryError::Damage(_)) => false,
                Err(error) => return Err(OpenError::from_recovery(&path, error)),
            };
        if !is_unused {
            let what = "the file is missing, but a log of the store is here";
            return Err(Damage::new(path, 0, what).into());
        }
        disk.remove(&log::segment_name(sequence))
            .map_err(io_error)?;
    }
    if disk.exists(NEW_DATA_NAME).map_err(io_error)? {
        disk.remove(NEW_DATA_NAME).map_err(io_error)?;
    }
    Ok(())
}

fn open_existing(disk: Arc<dyn Disk>, options: &StoreOptions) -> Result<RedbStore, OpenError> {
    let path = disk.path(DATA_NAME);
    let file = disk
        .open(DATA_NAME, false)
        .map_err(|error| OpenError::from_io(&path, error))?;
    let blocks = BlockFile::open(file, path.clone())
        .map_err(|error| OpenError::from_header(&path, error))?;
    let store_id = blocks.store_id();
    let poison = Arc::new(Poison::new(Some(blocks.clone())));
    let store_error = |error| OpenError::from_store(&path, error);
    let tree = Tree::open(
        blocks,
        path.clone(),
        options.cache_size_bytes,
        poison.clone(),
    )
    .map_err(store_error)?;
    // Whatever fails below drops the tree, after this: it must not commit then.
    let stop_on_error = StopUnlessDone(Some(poison.clone()));
    let checkpoint = tree.read_checkpoint().map_err(store_error)?;
    let log_path = disk.path(&log::segment_name(checkpoint.log_sequence));
    let mut replay = Replay::new(&tree, &log_path);
    let log = Log::open(
        disk.clone(),
        store_id,
        checkpoint.log_sequence,
        checkpoint.version,
        &mut |version, payload| replay.push(version, payload),
    )
    .map_err(|error| OpenError::from_recovery(&log_path, error))?;
    replay.flush().map_err(store_error)?;
    remove_leftovers(&*disk, checkpoint.log_sequence)?;
    stop_on_error.done();
    Ok(RedbStore {
        tree,
        durable: Some(Durable {
            disk,
            log: Mutex::new(log),
            segment_size_bytes: options.segment_size_bytes,
        }),
        poison,
        lock_file: Mutex::new(None),
    })
}

/// Removes segments other than `current`: older ones are covered by the checkpoint, newer ones
/// must be unused.
fn remove_leftovers(disk: &dyn Disk, current: u64) -> Result<(), OpenError> {
    let path = disk.path(DATA_NAME);
    let io_error = |error| OpenError::from_io(&path, error);
    for sequence in log::list_segments(disk).map_err(io_error)? {
        if sequence == current {
            continue;
        }
        if sequence > current {
            log::check_is_unused(disk, sequence)
                .map_err(|error| OpenError::from_recovery(&path, error))?;
        }
        disk.remove(&log::segment_name(sequence))
            .map_err(io_error)?;
    }
    if disk.exists(NEW_DATA_NAME).map_err(io_error)? {
        disk.remove(NEW_DATA_NAME).map_err(io_error)?;
    }
    Ok(())
}

/// Groups read back from the log, applied to the tree a batch at a time.
struct Replay<'a> {
    tree: &'a Tree,
    log_path: &'a Path,
    version: u64,
    writes: Vec<Write>,
    batch_bytes: usize,
}

impl<'a> Replay<'a> {
    fn new(tree: &'a Tree, log_path: &'a Path) -> Self {
        Self {
            tree,
            log_path,
            version: tree.version(),
            writes: Vec::new(),
            batch_bytes: 0,
        }
    }

    fn push(&mut self, version: u64, payload: &[u8]) -> Result<(), RecoveryError> {
        let Some(writes) = decode_writes(payload) else {
            let what = format!("the writes of version {version} cannot be read");
            return Err(Damage::new(self.log_path, 0, what).into());
        };
        self.version = version;
        self.writes.extend(writes);
        self.batch_bytes += payload.len();
        if self.batch_bytes >= REPLAY_BATCH_BYTES {
            self.flush().map_err(RecoveryError::Replay)?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.version != self.tree.version() {
            self.tree.apply(self.version, &self.writes)?;
        }
        self.writes.clear();
        self.batch_bytes = 0;
        Ok(())
    }
}

/// Closes the store when an open is given up.
struct StopUnlessDone(Option<Arc<Poison>>);

impl StopUnlessDone {
    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for StopUnlessDone {
    fn drop(&mut self) {
        if let Some(poison) = &self.0 {
            poison.close("it could not be opened");
        }
    }
}
