//! redb as an ordered map of bytes with a version, whose errors and panics are ours.
//!
//! Guarantees: a checkpoint is whole, durable, and can be opened without a walk over the file; nothing
//! that the file may contain makes a call panic.
//!
//! Each checkpoint is a two-phase commit with quick repair. A one-phase commit may trust a header
//! whose pages never reached the disk, and finding that out takes a walk over the whole file.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use redb::{Durability, ReadableDatabase, TableDefinition};

use super::group::Write;
use super::overlay::Overlay;
use super::poison::Poison;
use super::row::{Row, Rows};
use super::store_error::StoreError;
use crate::block_file::{BlockFile, Failure};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;
type RowsSnapshot = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

const DATA: Table = TableDefinition::new("data");
const META: TableDefinition<'static, &'static str, u64> = TableDefinition::new("meta");
const VERSION: &str = "version";
const LOG_SEQUENCE: &str = "log_sequence";

/// The tree. Calls that write come one at a time.
pub(super) struct Tree {
    database: RwLock<Option<Quiet<redb::Database>>>,
    shield: Shield,
    /// Version of the last commit.
    version: AtomicU64,
}

/// What the last checkpoint says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) version: u64,
    pub(super) log_sequence: u64,
}

impl Tree {
    /// Opens the tree in `blocks`, or makes an empty one if `blocks` is empty.
    pub(super) fn open(
        blocks: BlockFile,
        path: PathBuf,
        cache_size_bytes: usize,
        poison: Arc<Poison>,
    ) -> Result<Self, StoreError> {
        let shield = Shield {
            blocks: blocks.clone(),
            path,
            poison,
        };
        let database = shield.call(|| {
            let mut builder = redb::Builder::new();
            builder.set_cache_size(cache_size_bytes);
            Ok(Quiet::new(builder.create_with_backend(blocks)?))
        })?;
        Ok(Self {
            database: RwLock::new(Some(database)),
            shield,
            version: AtomicU64::new(0),
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
        self.version.store(version, Ordering::Release);
        Ok(Checkpoint {
            version,
            log_sequence,
        })
    }

    /// Applies the writes of a replay, as `version`. Not durable.
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
                    match write {
                        Write::Set { key, value } => drop(data.insert(&key[..], &value[..])?),
                        Write::Clear { key } => drop(data.remove(&key[..])?),
                        Write::ClearRange { begin, end } => clear_range(&mut data, begin, end)?,
                    }
                }
                transaction.open_table(META)?.insert(VERSION, version)?;
            }
            transaction.commit()?;
            self.version.store(version, Ordering::Release);
            Ok(())
        })
    }

    /// Applies `overlay`, and makes the tree durable as of `version`, followed by log segment
    /// `log_sequence`.
    pub(super) fn checkpoint(
        &self,
        version: u64,
        log_sequence: u64,
        overlay: &Overlay,
    ) -> Result<(), StoreError> {
        self.with(|database| {
            let mut transaction = database.begin_write()?;
            transaction.set_durability(Durability::Immediate)?;
            transaction.set_quick_repair(true);
            {
                let mut data = transaction.open_table(DATA)?;
                for (begin, end) in overlay.hidden() {
                    clear_range(&mut data, begin, end)?;
                }
                for (key, value) in overlay.entries() {
                    data.insert(&key[..], &value[..])?;
                }
                let mut meta = transaction.open_table(META)?;
                meta.insert(VERSION, version)?;
                meta.insert(LOG_SEQUENCE, log_sequence)?;
            }
            transaction.commit()?;
            self.version.store(version, Ordering::Release);
            Ok(())
        })
    }

    /// Version of the last commit, durable or not.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn snapshot(&self) -> Result<TreeSnapshot, StoreError> {
        let rows = self.with(|database| Ok(database.begin_read()?.open_table(DATA)?))?;
        Ok(TreeSnapshot {
            rows: Quiet::new(rows),
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

fn clear_range(
    data: &mut redb::Table<'_, &'static [u8], &'static [u8]>,
    begin: &[u8],
    end: &[u8],
) -> Result<(), redb::Error> {
    if begin < end {
        data.retain_in::<&[u8], _>(begin..end, |_, _| false)?;
    }
    Ok(())
}

/// The tree as of one commit.
pub(super) struct TreeSnapshot {
    rows: Quiet<RowsSnapshot>,
    shield: Shield,
}

impl TreeSnapshot {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.read(|| {
            let found = self.rows.get().get(key)?;
            Ok(found.map(|guard| Bytes::copy_from_slice(guard.value())))
        })
    }

    /// The rows from `begin` to `end`, in order or in reverse. To be read inside of
    /// [`read`](Self::read).
    pub(super) fn rows<'a>(&self, begin: &[u8], end: &[u8], is_reverse: bool) -> Rows<'a> {
        match self.rows.get().range::<&[u8]>(begin..end) {
            Ok(rows) if is_reverse => Box::new(rows.rev().map(Row::stored)),
            Ok(rows) => Box::new(rows.map(Row::stored)),
            Err(error) => Box::new(std::iter::once(Err(error.into()))),
        }
    }

    /// Calls what reads rows. Refuses a closed store; an error closes it.
    pub(super) fn read<T>(
        &self,
        call: impl FnOnce() -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.shield.read(call)
    }
}

/// Stands between redb and the rest: sorts its errors, and turns a panic into damage.
#[derive(Clone)]
struct Shield {
    blocks: BlockFile,
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
        Some(match self.blocks.first_failure()? {
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
