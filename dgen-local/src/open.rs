//! Opening a store.

use std::{path::Path, sync::Arc};

use dgen_backend::{Database, Error, env::Env};

use crate::{
    OpenError, StoreError,
    backend::LocalBackend,
    disk::Disk,
    store::{RedbStore, StoreOptions},
};

/// Opens the store in the directory `path`, which is made if it does not exist, with the default
/// [`Options`].
///
/// Blocks while it reads the disk, longer after a crash: it replays at most two segments of its log.
/// One OS process at a time; not on a network file system, whose locks and flushes can't be
/// trusted. Dropping the last handle closes the store.
///
/// # Errors
/// [`OpenError`] says what to do.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("data");
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let db = dgen_local::open(&path)?;
/// db.transact(|tx| async move { tx.set(b"name", b"dgen") }).await?;
/// drop(db);
///
/// let db = dgen_local::open(&path)?;
/// let name = db.transact(|tx| async move { tx.get(b"name").await }).await?;
/// assert_eq!(name.as_deref(), Some(&b"dgen"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(path: impl AsRef<Path>) -> Result<Database, OpenError> {
    Options::default().open(path)
}

/// A store in memory: the semantics of one on disk, and nothing is kept.
///
/// # Errors
/// [`OpenError::Io`], if it can't be made.
pub fn in_memory() -> Result<Database, OpenError> {
    Options::default().in_memory()
}

/// Of a store that is told nothing else. What bounds it is memory alone.
const WATCHES_MAX: usize = 1_000_000;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    env: Env,
    cache_size_bytes: usize,
    segment_size_bytes: u64,
    watches_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        let store = StoreOptions::new(0);
        Self {
            env: Env::system(),
            cache_size_bytes: store.cache_size_bytes,
            segment_size_bytes: store.segment_size_bytes,
            watches_max: WATCHES_MAX,
        }
    }
}

impl Options {
    /// Clock, randomness, sleep and spawn of the store and of all that runs on it. Default: the
    /// system's.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Memory for pages of the tree. Default: 64 MiB.
    #[must_use]
    pub fn cache_size_bytes(mut self, bytes: usize) -> Self {
        self.cache_size_bytes = bytes;
        self
    }

    /// The size of a log segment, after which what is new goes into the tree. Twice that is replayed at most after a
    /// crash. A new store takes once that of the disk, and one at work up to three times, for its log. What is new is
    /// in memory, up to twice that, and as much again while it goes into the tree. Default: 16 MiB.
    #[must_use]
    pub fn segment_size_bytes(mut self, bytes: u64) -> Self {
        self.segment_size_bytes = bytes;
        self
    }

    /// How many watches may wait at once; who gets none polls. Each takes some 200 bytes, and an idle
    /// server has one. Default: 1,000,000, the most that a FoundationDB client can be told to allow.
    #[must_use]
    pub fn watches_max(mut self, watches: usize) -> Self {
        self.watches_max = watches;
        self
    }

    /// As [`open`], with these options.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Database, OpenError> {
        self.open_wrapped(path, |disk| disk)
    }

    /// As [`open`](Self::open), on what `wrap` makes of the directory, once it is locked: for tests
    /// that crash a program on a disk of their own.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_wrapped(
        &self,
        path: impl AsRef<Path>,
        wrap: impl FnOnce(Arc<dyn Disk>) -> Arc<dyn Disk>,
    ) -> Result<Database, OpenError> {
        let path = path.as_ref();
        let store = RedbStore::open(path, &self.store_options(), wrap)?;
        Ok(Database::new(LocalBackend::with_thread(
            store,
            self.env.clone(),
            self.watches_max,
            path,
        )?))
    }

    /// Opens the store on `disk`, with no lock: for tests that crash the disk and benchmarks that
    /// count its flushes or slow them down.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_on(&self, disk: Arc<dyn Disk>) -> Result<Database, OpenError> {
        let path = disk.path("");
        let store = RedbStore::open_on(disk, &self.store_options())?;
        Ok(Database::new(LocalBackend::with_thread(
            store,
            self.env.clone(),
            self.watches_max,
            &path,
        )?))
    }

    /// As [`in_memory`], with these options.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn in_memory(&self) -> Result<Database, OpenError> {
        let path = Path::new("memory");
        Ok(Database::new(LocalBackend::inline(
            RedbStore::in_memory(),
            self.env.clone(),
            self.watches_max,
            path,
        )?))
    }

    fn store_options(&self) -> StoreOptions {
        StoreOptions {
            new_store_id: u64::from_le_bytes(self.env.random()),
            cache_size_bytes: self.cache_size_bytes,
            segment_size_bytes: self.segment_size_bytes,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { path, offset, what } => Self::Damaged {
                place: format!("{} at byte {offset}", path.display()),
                what,
            },
            StoreError::NoSpace { path } => Self::NoSpace {
                path: path.display().to_string(),
            },
            StoreError::Closed { reason } => Self::Closed {
                reason: reason.into(),
                cause: None,
            },
            io @ StoreError::Io { .. } => Self::Storage {
                source: Arc::new(io),
            },
        }
    }
}
