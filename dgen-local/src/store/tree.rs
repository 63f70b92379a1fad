//! redb as an ordered map of bytes with a version, whose errors and panics are ours.
//!
//! Guarantees: a group is applied as a whole; a checkpoint is durable and can be opened without a
//! walk over the file; nothing that the file may contain makes a call panic.
//!
//! Each checkpoint is a two-phase commit with quick repair. A one-phase commit may trust a header
//! whose pages never reached the disk, and finding that out takes a walk over the whole file.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redb::{Durability, ReadableDatabase, TableDefinition};

use super::group::Write;
use super::poison::Poison;
use super::store_error::StoreError;
use super::{BaseSnapshot, RangeRequest, RangeRows};
use crate::block_file::{BlockFile, Failure};

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
type RowsSnapshot = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

const DATA: Rows = TableDefinition::new("data");
const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
const VERSION: &str = "version";
const LOG_SEQUENCE: &str = "log_sequence";

/// The tree. Calls other than [`snapshot`](Tree::snapshot) come one at a time.
pub(super) struct Tree {
    database: RwLock<Option<Quiet<redb::Database>>>,
    shield: Shield,
    /// Version of the last commit. Locked for writing over a commit, so that a snapshot and its
    /// version belong together.
    version: RwLock<u64>,
}

/// What the last checkpoint says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) version: u64,
    pub(super) log_sequence: u64,
}

impl Tree {
    /// A tree that is not kept.
    pub(super) fn in_memory(
        cache_size_bytes: usize,
        poison: Arc<Poison>,
    ) -> Result<Self, StoreError> {
        let shield = Shield {
            blocks: None,
            path: PathBuf::from("memory"),
            poison,
        };
        let backend = redb::backends::InMemoryBackend::new();
        let tree = Self::with_backend(backend, cache_size_bytes, shield)?;
        tree.commit_checkpoint(1)?;
        Ok(tree)
    }

    /// Opens the tree in `blocks`, or makes an empty one if `blocks` is empty.
    pub(super) fn open(
        blocks: BlockFile,
        path: PathBuf,
        cache_size_bytes: usize,
        poison: Arc<Poison>,
    ) -> Result<Self, StoreError> {
        let shield = Shield {
            blocks: Some(blocks.clone()),
            path,
            poison,
        };
        Self::with_backend(blocks, cache_size_bytes, shield)
    }

    fn with_backend(
        backend: impl redb::StorageBackend,
        cache_size_bytes: usize,
        shield: Shield,
    ) -> Result<Self, StoreError> {
        let database = shield.call(|| {
            let mut builder = redb::Builder::new();
            builder.set_cache_size(cache_size_bytes);
            Ok(Quiet::new(builder.create_with_backend(backend)?))
        })?;
        Ok(Self {
            database: RwLock::new(Some(database)),
            shield,
            version: RwLock::new(0),
        })
    }

    /// Reads what the durable tree says about itself, and goes on from there.
    pub(super) fn read_checkpoint(&self) -> Result<Checkpoint, StoreError> {
        let found = self.with(|database| {
            let meta = database.begin_read()?.open_table(META)?;
            let read = |name| Ok::<_, redb::Error>(meta.get(name)?.map(|guard| guard.value()));
            Ok((read(VERSION)?, read(LOG_SEQUENCE)?))
        })?;
        let (Some(version), Some(log_sequence)) = found else {
            return Err(self.shield.damaged("the checkpoint names no version"));
        };
        *self.version.write().unwrap_or_else(PoisonError::into_inner) = version;
        Ok(Checkpoint {
            version,
            log_sequence,
        })
    }

    /// Applies the writes and makes them visible, as `version`. Not durable.
    pub(super) fn apply<'a>(
        &self,
        version: u64,
        writes: impl IntoIterator<Item = &'a Write>,
    ) -> Result<(), StoreError> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::None)?;
            {
                let mut data = transaction.open_table(DATA)?;
                for write in writes {
                    apply_write(&mut data, write)?;
                }
                transaction.open_table(META)?.insert(VERSION, version)?;
            }
            let mut published = self.version.write().unwrap_or_else(PoisonError::into_inner);
            transaction.commit()?;
            *published = version;
            Ok(())
        })
    }

    /// Makes the present state durable, followed by log segment `log_sequence`.
    pub(super) fn commit_checkpoint(&self, log_sequence: u64) -> Result<(), StoreError> {
        let version = self.version();
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.set_quick_repair(true);
            transaction.open_table(DATA)?;
            {
                let mut meta = transaction.open_table(META)?;
                meta.insert(VERSION, version)?;
                meta.insert(LOG_SEQUENCE, log_sequence)?;
            }
            transaction.commit()?;
            Ok(())
        })
    }

    pub(super) fn version(&self) -> u64 {
        *self.version.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn snapshot(&self) -> Result<TreeSnapshot, StoreError> {
        let version = self.version.read().unwrap_or_else(PoisonError::into_inner);
        let rows = self.with(|database| Ok(database.begin_read()?.open_table(DATA)?))?;
        Ok(TreeSnapshot {
            rows: Quiet::new(rows),
            version: *version,
            shield: self.shield.clone(),
        })
    }

    /// Lets redb close its file: it gives back space at the end. A failure changes nothing that
    /// the checkpoint before it made durable.
    pub(super) fn close(&self) {
        let mut database = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        drop(database.take());
    }

    fn with<T>(
        &self,
        call: impl FnOnce(&redb::Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        self.shield.call(|| match &*database {
            Some(database) => call(database.get()),
            None => Err(redb::Error::DatabaseClosed),
        })
    }
}

fn apply_write(
    data: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    write: &Write,
) -> Result<(), redb::Error> {
    match write {
        Write::Set { key, value } => {
            data.insert(&key[..], &value[..])?;
        }
        Write::Clear { key } => {
            data.remove(&key[..])?;
        }
        Write::ClearRange { begin, end } if begin < end => {
            data.retain_in::<&[u8], _>(&begin[..]..&end[..], |_, _| false)?;
        }
        Write::ClearRange { .. } => {}
    }
    Ok(())
}

/// The tree at one version.
pub(crate) struct TreeSnapshot {
    rows: Quiet<RowsSnapshot>,
    version: u64,
    shield: Shield,
}

impl BaseSnapshot for TreeSnapshot {
    fn version(&self) -> u64 {
        self.version
    }

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.shield.read(|| {
            let found = self.rows.get().get(key)?;
            Ok(found.map(|guard| Bytes::copy_from_slice(guard.value())))
        })
    }

    fn range(&self, request: &RangeRequest<'_>) -> Result<RangeRows, StoreError> {
        if request.begin >= request.end {
            return Ok(RangeRows::default());
        }
        self.shield.read(|| {
            let rows = self.rows.get().range::<&[u8]>(request.begin..request.end)?;
            if request.is_reverse {
                take_rows(rows.rev(), request)
            } else {
                take_rows(rows, request)
            }
        })
    }
}

type Row<'a> = (
    redb::AccessGuard<'a, &'static [u8]>,
    redb::AccessGuard<'a, &'static [u8]>,
);

fn take_rows<'a>(
    rows: impl Iterator<Item = Result<Row<'a>, redb::StorageError>>,
    request: &RangeRequest<'_>,
) -> Result<RangeRows, redb::Error> {
    let mut taken = RangeRows::default();
    let mut bytes = 0;
    for row in rows {
        let (key, value) = row?;
        if taken.rows.len() >= request.limit_rows
            || (bytes >= request.limit_bytes && !taken.rows.is_empty())
        {
            taken.has_more = true;
            break;
        }
        bytes += key.value().len() + value.value().len();
        taken.rows.push((
            Bytes::copy_from_slice(key.value()),
            Bytes::copy_from_slice(value.value()),
        ));
    }
    Ok(taken)
}

/// Stands between redb and the rest: sorts its errors, and turns a panic into damage.
#[derive(Clone)]
struct Shield {
    blocks: Option<BlockFile>,
    path: PathBuf,
    poison: Arc<Poison>,
}

impl Shield {
    /// Like [`call`](Shield::call), for reads: refuses a closed store, and an error closes it.
    fn read<T>(&self, call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.poison.check()?;
        self.poison.latch(self.call(call))
    }

    fn call<T>(&self, call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StoreError> {
        // Sound despite the assertion: after a panic the store is closed, and redb's own state is
        // only dropped, quietly.
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(result) => result.map_err(|error| self.sort(error)),
            Err(panic) => {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("no message");
                let what = format!("the tree contradicts itself ({text})");
                Err(self.first_failure().unwrap_or_else(|| self.damaged(&what)))
            }
        }
    }

    fn sort(&self, error: redb::Error) -> StoreError {
        if let Some(failure) = self.first_failure() {
            return failure;
        }
        match error {
            redb::Error::Io(error) => StoreError::from_io(&self.path, error),
            redb::Error::DatabaseClosed => StoreError::Closed {
                reason: "it was closed".to_owned(),
            },
            redb::Error::ValueTooLarge(_) => {
                let error = io::Error::new(io::ErrorKind::InvalidInput, error.to_string());
                StoreError::from_io(&self.path, error)
            }
            error => self.damaged(&error.to_string()),
        }
    }

    /// What the file said first. redb's own error may be a consequence that names no place.
    fn first_failure(&self) -> Option<StoreError> {
        Some(match self.blocks.as_ref()?.first_failure()? {
            Failure::Damage(damage) => damage.into(),
            Failure::Io(error) => {
                let error = io::Error::new(error.kind(), error);
                StoreError::from_io(&self.path, error)
            }
        })
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged {
            path: self.path.clone(),
            offset: 0,
            what: what.to_owned(),
        }
    }
}

/// A part of redb that must not panic when it is dropped, which redb does after a panic that
/// left one of its locks poisoned.
struct Quiet<T>(Option<T>);

impl<T> Quiet<T> {
    fn new(value: T) -> Self {
        Self(Some(value))
    }

    fn get(&self) -> &T {
        self.0.as_ref().expect("taken only by drop")
    }
}

impl<T> Drop for Quiet<T> {
    fn drop(&mut self) {
        let value = self.0.take();
        // A panic here says nothing new: the one before it closed the store.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
    }
}
