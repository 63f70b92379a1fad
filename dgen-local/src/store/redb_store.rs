//! [`Base`] as a log and an overlay in front of a tree.
//!
//! The files of a store:
//!
//! ```text
//! LOCK        held while it is open
//! data        the tree, as of the last checkpoint
//! log-<n>     the groups since then; the checkpoint says from which n on
//! data.new    a store that is being made
//! ```
//!
//! Guarantees: a group is durable when `append` returns; after a crash at any point the store
//! opens with every group that was acknowledged and, perhaps, the one that was not, whole.
//!
//! A group goes to the log, with a flush, and then to the overlay, which is read above the tree. When the
//! overlay is large or the log segment is full, the overlay is frozen; it is written into the tree by one
//! durable commit, the checkpoint, while groups go on into the log and into a new overlay. Only one is
//! frozen at a time: whoever appends faster than that waits, so memory is bounded.
//!
//! A segment is replaced in this order, each step durable before the next: make the next one, append to it
//! while the checkpoint with its number is written, remove the older. The number in the checkpoint says which
//! segment must be there; an older one is removed, and so is a later one that does not follow it, if it was
//! never used.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::below::Below;
use super::checkpoints::{Checkpoint, Checkpoints, Task};
use super::group::{Group, Write, decode_writes, encode_writes};
use super::layers::Layers;
use super::options::StoreOptions;
use super::overlay::Overlay;
use super::poison::Poison;
use super::store_error::StoreError;
use super::tree::Tree;
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

/// An overlay is frozen when it takes so many times the size of a log segment. It holds each key once, but
/// takes more for it.
const OVERLAY_SEGMENTS: u64 = 2;

pub(crate) struct RedbStore {
    /// The newest state.
    layers: Mutex<Layers>,
    /// `None` for a store in memory.
    durable: Option<Durable>,
    poison: Arc<Poison>,
    /// Released last.
    lock_file: Mutex<Option<LockFile>>,
}

struct Durable {
    disk: Arc<dyn Disk>,
    tree: Tree,
    log: Mutex<Log>,
    segment_size_bytes: u64,
    checkpoints: Checkpoints,
    /// Version of the last durable checkpoint.
    checkpoint: AtomicU64,
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
    pub(crate) fn in_memory() -> Self {
        let poison = Arc::new(Poison::default());
        Self {
            layers: Mutex::new(Layers {
                version: 0,
                active: Overlay::default(),
                below: None,
                poison: poison.clone(),
            }),
            durable: None,
            poison,
            lock_file: Mutex::new(None),
        }
    }

    /// Says that a thread calls [`work_beside`](Self::work_beside) until it returns `None`. Without it, whoever
    /// appends writes checkpoints.
    pub(crate) fn use_thread_beside(&self) {
        if let Some(durable) = &self.durable {
            durable.checkpoints.use_thread();
        }
    }

    /// Waits until there is something to do beside commits, such as a checkpoint, does it, and returns the
    /// newest state, which needs less memory then. `None` once the store is closed.
    ///
    /// # Errors
    ///
    /// Why the store closes.
    pub(crate) fn work_beside(&self) -> Option<Result<Layers, StoreError>> {
        let durable = self.durable.as_ref()?;
        let task = durable.checkpoints.next()?;
        // Whoever waits for it finds the store closed if it failed: latched first, then told.
        let done = match task {
            Task::Checkpoint(checkpoint) => {
                let written = self.caught(|| self.write_checkpoint(durable, checkpoint));
                durable.checkpoints.done();
                written
            }
            Task::Segment(sequence) => {
                let made = self.caught(|| {
                    let path = durable.disk.path(&log::segment_name(sequence));
                    log::prepare(&*durable.disk, sequence, durable.segment_size_bytes)
                        .map_err(|error| StoreError::from_io(&path, error))
                });
                let (made, done) = match made {
                    Ok(made) => (Some(made), Ok(())),
                    Err(error) => (None, Err(error)),
                };
                durable.checkpoints.segment_is_made(made);
                done
            }
        };
        Some(done.and_then(|()| self.snapshot()))
    }

    /// What `work` returns; an error or a panic closes the store.
    fn caught<T>(&self, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            let reason = "what is done beside commits panicked".to_owned();
            Err(StoreError::Closed { reason })
        });
        self.poison.latch(result)
    }

    /// Makes the tree durable as of the last group applied, as a full segment does by itself.
    #[cfg(test)]
    pub(crate) fn checkpoint(&self) -> Result<(), StoreError> {
        self.poison.check()?;
        match &self.durable {
            Some(durable) => {
                durable.checkpoints.until_idle();
                self.poison
                    .latch(self.checkpoint_log(durable, &mut durable.log()))
            }
            None => Ok(()),
        }
    }

    /// Freezes the overlay, as when it is full: for tests that write the checkpoint themselves.
    #[cfg(test)]
    pub(super) fn begin_checkpoint(&self) {
        let durable = self.durable.as_ref().expect("a store on disk");
        let checkpoint = self.freeze(&durable.log(), None);
        let back = durable.checkpoints.submit(checkpoint);
        assert!(back.is_none(), "no thread is said to write checkpoints");
    }

    #[cfg(test)]
    pub(super) fn hidden_ranges(&self) -> usize {
        self.layers().active.hidden().count()
    }

    #[cfg(test)]
    pub(super) fn is_on_disk(&self) -> bool {
        self.durable.is_some()
    }

    /// Who waits for whom: for tests.
    #[cfg(test)]
    pub(super) fn checkpoints(&self) -> &Checkpoints {
        &self.durable.as_ref().expect("a store on disk").checkpoints
    }

    fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers
            .lock()
            .expect("no code panics holding this lock")
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
        let (version, applied) = (group.version, self.version());
        if version <= log.version() || applied != log.version() {
            return refuse(format!(
                "version {version} after {} was appended and {applied} applied",
                log.version()
            ));
        }
        let Some(payload) = encode_writes(&group.writes) else {
            return refuse("a group of 4 GiB or more".to_owned());
        };
        let has_room = log.has_room(payload.len());
        if !has_room || self.is_overlay_full(durable) {
            // At most one is frozen: here the log is faster than the tree, and waits for it.
            durable.checkpoints.until_idle();
            self.poison.check()?;
            let obsolete = match has_room {
                true => None,
                false => Some(self.switch_segment(durable, &mut log, payload.len())?),
            };
            let checkpoint = self.freeze(&log, obsolete);
            if let Some(checkpoint) = durable.checkpoints.submit(checkpoint) {
                self.write_checkpoint(durable, checkpoint)?;
            }
        }
        log.set_checkpoint(durable.checkpoint.load(Ordering::Acquire));
        log.append(version, &payload)
            .map_err(|error| StoreError::from_io(&log.path(), error))?;
        if log.is_half_full() {
            durable.checkpoints.want_segment(log.sequence() + 1);
        }
        Ok(())
    }

    fn is_overlay_full(&self, durable: &Durable) -> bool {
        let limit = durable.segment_size_bytes.saturating_mul(OVERLAY_SEGMENTS);
        self.layers().active.size_bytes() as u64 >= limit
    }

    /// Goes on in a new segment; returns the old one.
    fn switch_segment(
        &self,
        durable: &Durable,
        log: &mut Log,
        payload_bytes: usize,
    ) -> Result<u64, StoreError> {
        let old = log.sequence();
        let next_path = durable.disk.path(&log::segment_name(old + 1));
        let ahead = durable.checkpoints.take_segment();
        self.poison.check()?;
        let next = match ahead.filter(|ahead| ahead.has_room(payload_bytes)) {
            Some(ahead) => Ok(ahead),
            None => log.prepare_next(durable.segment_size_bytes, payload_bytes),
        };
        next.and_then(|next| log.switch(next))
            .map_err(|error| StoreError::from_io(&next_path, error))?;
        Ok(old)
    }

    /// Puts a new overlay over the present one, which changes no more.
    fn freeze(&self, log: &Log, obsolete: Option<u64>) -> Checkpoint {
        let mut layers = self.layers();
        let overlay = std::mem::take(&mut layers.active);
        if let Some(below) = &mut layers.below {
            below.frozen = Some(overlay.clone());
        }
        Checkpoint {
            overlay,
            version: layers.version,
            log_sequence: log.sequence(),
            obsolete,
        }
    }

    /// Writes what was frozen into the tree, which then takes its place.
    fn write_checkpoint(
        &self,
        durable: &Durable,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        let Checkpoint {
            overlay,
            version,
            log_sequence,
            obsolete,
        } = checkpoint;
        durable.tree.checkpoint(version, log_sequence, &overlay)?;
        let below = Below {
            tree: Arc::new(durable.tree.snapshot()?),
            frozen: None,
        };
        let before = self.layers().below.replace(below);
        durable.checkpoint.store(version, Ordering::Release);
        // Not under the lock: the last copy of an overlay takes a while to drop.
        drop((overlay, before));
        let Some(obsolete) = obsolete else {
            return Ok(());
        };
        let name = log::segment_name(obsolete);
        durable
            .disk
            .remove(&name)
            .map_err(|error| StoreError::from_io(&durable.disk.path(&name), error))
    }

    fn checkpoint_log(&self, durable: &Durable, log: &mut Log) -> Result<(), StoreError> {
        if durable.checkpoint.load(Ordering::Acquire) != self.version() {
            let checkpoint = self.freeze(log, None);
            self.write_checkpoint(durable, checkpoint)?;
        }
        log.set_checkpoint(durable.checkpoint.load(Ordering::Acquire));
        Ok(())
    }

    fn close_durable(
        &self,
        durable: &Durable,
        waiting: Option<Checkpoint>,
    ) -> Result<(), StoreError> {
        if let Some(waiting) = waiting {
            self.write_checkpoint(durable, waiting)?;
        }
        let mut log = durable.log();
        self.checkpoint_log(durable, &mut log)?;
        log.close()
            .map_err(|error| StoreError::from_io(&log.path(), error))?;
        if durable.checkpoints.take_segment().is_some() {
            // Best effort, to give the space back: the next open removes it otherwise.
            let _ = durable.disk.remove(&log::segment_name(log.sequence() + 1));
        }
        let below = self.layers().below.take();
        drop(below);
        // It gives back space, so before everything is stopped.
        durable.tree.close();
        Ok(())
    }
}

impl Durable {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no code panics holding this lock")
    }
}

impl Base for RedbStore {
    type Snapshot = Layers;

    fn snapshot(&self) -> Result<Layers, StoreError> {
        self.poison.check()?;
        Ok(self.layers().clone())
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
        let (mut active, below) = {
            let layers = self.layers();
            (layers.active.clone(), layers.below.clone())
        };
        self.poison
            .latch(active.apply(&group.writes, below.as_ref()))?;
        let mut layers = self.layers();
        layers.active = active;
        layers.version = group.version;
        Ok(())
    }

    fn version(&self) -> u64 {
        self.layers().version
    }

    fn close(&self) -> Result<(), StoreError> {
        // First, and whatever happened before: a thread waits there.
        let waiting = self
            .durable
            .as_ref()
            .and_then(|durable| durable.checkpoints.close());
        let result = self.poison.check().and_then(|()| match &self.durable {
            Some(durable) => self.poison.latch(self.close_durable(durable, waiting)),
            None => Ok(()),
        });
        self.poison.close("it was closed");
        if let Some(durable) = &self.durable {
            durable.tree.close();
        }
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
    .and_then(|tree| {
        tree.checkpoint(0, FIRST_SEGMENT, &Overlay::default())
            .map(|()| tree)
    })
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
    let mut log = Log::open(
        disk.clone(),
        store_id,
        checkpoint.log_sequence,
        checkpoint.version,
        &mut |version, payload| replay.push(version, payload),
    )
    .map_err(|error| OpenError::from_recovery(&log_path, error))?;
    replay.flush().map_err(store_error)?;
    if log.sequence() != checkpoint.log_sequence {
        // The last checkpoint was cut short. Now it is due, before the log grows by a third segment.
        tree.checkpoint(tree.version(), log.sequence(), &Overlay::default())
            .map_err(store_error)?;
        log.set_checkpoint(tree.version());
    }
    remove_leftovers(&*disk, log.sequence())?;
    let below = Below {
        tree: Arc::new(tree.snapshot().map_err(store_error)?),
        frozen: None,
    };
    stop_on_error.done();
    Ok(RedbStore {
        layers: Mutex::new(Layers {
            version: tree.version(),
            active: Overlay::default(),
            below: Some(below),
            poison: poison.clone(),
        }),
        durable: Some(Durable {
            disk,
            tree,
            checkpoint: AtomicU64::new(log.checkpoint()),
            log: Mutex::new(log),
            segment_size_bytes: options.segment_size_bytes,
            checkpoints: Checkpoints::default(),
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
