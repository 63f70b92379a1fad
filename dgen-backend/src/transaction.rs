//! One attempt at a transaction, as callers see it: limits, sizes and use after commit are checked
//! here, once for every backend.

use std::{
    any::Any,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    Error, KeyPreview, KeyRange, KeyValue, RangePage, RangeRead, Read, Watch,
    backend::{BackendTransaction, ConflictKind, Isolation, Mutation},
    limits::{
        KEY_SIZE_MAX_BYTES, TRANSACTION_SIZE_MAX_BYTES, VALUE_SIZE_MAX_BYTES,
        VERSIONSTAMP_SIZE_BYTES,
    },
};

/// The ten bytes that a commit fills in: strictly increasing over all commits of a store, restarts
/// included.
pub type CommitVersionstamp = [u8; VERSIONSTAMP_SIZE_BYTES];

/// The bytes behind a versionstamped key or value that say where the stamp goes.
const OFFSET_SIZE_BYTES: usize = 4;

/// Which run of a retried transaction this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// Whether an earlier attempt may have been committed, its answer lost.
    pub maybe_executed: bool,
    /// Whether the attempt before this one took longer than a transaction may: with less to do, this
    /// one may not.
    pub is_too_old: bool,
}

impl Attempt {
    pub(crate) const FIRST: Self = Self {
        number: 1,
        maybe_executed: false,
        is_too_old: false,
    };
}

/// A transaction: reads see one snapshot of the store and this transaction's own writes; writes
/// happen together at the commit, or not at all.
///
/// A clone is the same transaction. Reads return at once and bring their answer later, so several
/// can share a round trip:
///
/// ```
/// # use dgen_backend::{Error, Transaction};
/// # async fn f(tx: Transaction) -> Result<(), Error> {
/// let (name, age) = (tx.get(b"name"), tx.get(b"age"));
/// let (name, age) = (name.await?, age.await?);
/// # Ok(()) }
/// ```
///
/// Every method fails with [`Error::UsedAfterCommit`] once the transaction was committed or
/// cancelled. A write that failed fails the commit too, with the same error, so that a forgotten
/// `?` loses nothing silently; so does a read of a key that the transaction writes by versionstamp.
#[derive(Clone)]
pub struct Transaction {
    inner: Arc<Inner>,
}

struct Inner {
    raw: Box<dyn BackendTransaction>,
    attempt: Attempt,
    is_finished: AtomicBool,
    write_count: AtomicUsize,
    size_bytes: AtomicUsize,
    versionstamps_used: AtomicU32,
    /// Whether some keys have no value before the commit.
    has_stamps: AtomicBool,
    first_error: FirstError,
}

/// What the commit fails with.
#[derive(Debug, Clone, Default)]
struct FirstError(Arc<Mutex<Option<Error>>>);

impl FirstError {
    fn lock(&self) -> MutexGuard<'_, Option<Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, error: &Error) {
        self.lock().get_or_insert_with(|| error.clone());
    }
}

impl Transaction {
    pub(crate) fn new(raw: Box<dyn BackendTransaction>, attempt: Attempt) -> Self {
        Self {
            inner: Arc::new(Inner {
                raw,
                attempt,
                is_finished: AtomicBool::new(false),
                write_count: AtomicUsize::new(0),
                size_bytes: AtomicUsize::new(0),
                versionstamps_used: AtomicU32::new(0),
                has_stamps: AtomicBool::new(false),
                first_error: FirstError::default(),
            }),
        }
    }

    /// Which run of a retried transaction this is.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.inner.attempt
    }

    /// The value of `key`. If another transaction writes the key before this one commits, this one
    /// fails with [`Error::Conflict`].
    pub fn get(&self, key: &[u8]) -> Read<Option<Bytes>> {
        self.inner.get(key, Isolation::Serializable)
    }

    /// One page of a range; [`RangePage::has_more`] says whether to ask for the
    /// [rest](RangePage::rest). Only what was returned counts for conflicts.
    pub fn get_range(&self, read: impl Into<RangeRead>) -> Read<RangePage> {
        self.inner.get_range(&read.into(), Isolation::Serializable)
    }

    /// Every row of a range, all pages of it. The caller's memory holds them all.
    ///
    /// # Errors
    /// Those of [`get_range`](Self::get_range).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn collect_range(&self, read: impl Into<RangeRead>) -> Result<Vec<KeyValue>, Error> {
        self.inner
            .collect_range(read.into(), Isolation::Serializable)
            .await
    }

    /// Reads that count for no conflict.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { inner: &self.inner }
    }

    /// The version that the reads of this transaction see.
    pub fn read_version(&self) -> Read<u64> {
        match self.inner.check_open() {
            Ok(()) => self.inner.raw.read_version(),
            Err(error) => Read::ready(Err(error)),
        }
    }

    /// Sets `key` to `value`.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`], [`Error::ValueTooLarge`], [`Error::TransactionTooLarge`],
    /// [`Error::KeyOutsideLegalRange`].
    pub fn set(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.inner.mutate(Mutation::Set(key, value))
    }

    /// Removes `key`.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn clear(&self, key: &[u8]) -> Result<(), Error> {
        self.inner.mutate(Mutation::Clear(key))
    }

    /// Removes every key in `range`.
    ///
    /// # Errors
    /// [`Error::InvertedRange`]; else as [`set`](Self::set).
    pub fn clear_range(&self, range: &KeyRange) -> Result<(), Error> {
        self.inner.mutate(Mutation::ClearRange(range))
    }

    /// Adds `delta` to the little-endian 64-bit integer at `key`, 0 if there is none, without
    /// reading it: two additions never conflict. Wraps around.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub fn add(&self, key: &[u8], delta: i64) -> Result<(), Error> {
        self.inner.mutate(Mutation::Add(key, delta))
    }

    /// Sets a key that holds the commit's versionstamp. It is written behind everything else of this
    /// transaction: no clear of the same transaction removes it.
    ///
    /// `key` is a template as [`tuple::pack_with_versionstamp`](crate::tuple::pack_with_versionstamp)
    /// makes it: its last four bytes, little-endian, are the offset of the ten bytes that the commit
    /// fills in, and are not part of the key.
    ///
    /// # Errors
    /// [`Error::VersionstampOutOfBounds`] if the template is too short for its stamp; else as
    /// [`set`](Self::set).
    pub fn set_versionstamped_key(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.inner
            .mutate(Mutation::SetVersionstampedKey(key, value))
    }

    /// Sets `key` to a value that holds the commit's versionstamp; `value` is a template as in
    /// [`set_versionstamped_key`](Self::set_versionstamped_key).
    ///
    /// # Errors
    /// As [`set_versionstamped_key`](Self::set_versionstamped_key).
    pub fn set_versionstamped_value(&self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        self.inner
            .mutate(Mutation::SetVersionstampedValue(key, value))
    }

    /// A number that no other call on this transaction returned, for the last two bytes of a
    /// versionstamp: so what one transaction pushes keeps its order.
    ///
    /// # Errors
    /// [`Error::TooManyVersionstamps`] after 65,536 of them.
    pub fn next_user_version(&self) -> Result<u16, Error> {
        let next = self
            .inner
            .versionstamps_used
            .fetch_add(1, Ordering::Relaxed);
        u16::try_from(next).map_err(|_| Error::TooManyVersionstamps)
    }

    /// Makes this transaction fail if another writes in `range` before it commits, as if it had
    /// read it.
    ///
    /// # Errors
    /// [`Error::InvertedRange`].
    pub fn add_read_conflict(&self, range: &KeyRange) -> Result<(), Error> {
        self.inner.add_conflict(range, ConflictKind::Read)
    }

    /// [`add_read_conflict`](Self::add_read_conflict) of just `key`.
    ///
    /// # Errors
    /// [`Error::KeyTooLarge`], [`Error::KeyOutsideLegalRange`].
    pub fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.inner.add_read_conflict_key(key)
    }

    /// Makes others that read in `range` fail if they commit after this one, as if it had written
    /// there.
    ///
    /// # Errors
    /// [`Error::InvertedRange`].
    pub fn add_write_conflict(&self, range: &KeyRange) -> Result<(), Error> {
        self.inner.add_conflict(range, ConflictKind::Write)
    }

    /// A watch on `key`, armed by the commit of this transaction. Counts as a read of the key, so
    /// set it in a transaction that writes nothing hot.
    ///
    /// # Errors
    /// [`Error::TooManyWatches`].
    pub fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        self.inner.check_open()?;
        check_key(key)?;
        self.inner.raw.watch(key)
    }

    /// The versionstamp of the commit: ask for it before the commit, await it after. Fails for a
    /// transaction that wrote nothing.
    pub fn versionstamp(&self) -> Read<CommitVersionstamp> {
        match self.inner.check_open() {
            Ok(()) => self.inner.raw.versionstamp(),
            Err(error) => Read::ready(Err(error)),
        }
    }

    /// Whether anything was written.
    #[must_use]
    pub fn has_writes(&self) -> bool {
        self.inner.write_count.load(Ordering::Relaxed) > 0
    }

    /// Commits. Resolves when the writes are durable, flushed to disk or replicated.
    ///
    /// [`transact`](crate::Tenant::transact) does it for you; inside of it, don't.
    ///
    /// # Errors
    /// [`Error::Conflict`]; [`Error::CommitUnknown`] when the answer was lost; the first error of a
    /// write that was ignored.
    pub fn commit(&self) -> Read<()> {
        match self.inner.finish() {
            Ok(()) => self.inner.raw.commit(),
            Err(error) => Read::ready(Err(error)),
        }
    }

    /// Gives the transaction up. Nothing of it happens.
    pub fn cancel(&self) {
        if !self.inner.is_finished.swap(true, Ordering::AcqRel) {
            self.inner.raw.cancel();
        }
    }

    /// For a backend's own [`Directories`](crate::directory::Directories): the backend's transaction.
    /// What is done with it is not seen here, so it counts as a write.
    #[must_use]
    pub fn native(&self) -> Option<&(dyn Any + Send + Sync)> {
        let native = self.inner.raw.native()?;
        self.inner.write_count.fetch_add(1, Ordering::Relaxed);
        Some(native)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.inner.is_finished.load(Ordering::Acquire)
    }
}

/// Reads of a [`Transaction`] that count for no conflict: what they saw may change before the
/// commit.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    inner: &'a Inner,
}

impl Snapshot<'_> {
    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Read<Option<Bytes>> {
        self.inner.get(key, Isolation::Snapshot)
    }

    /// One page of a range.
    pub fn get_range(&self, read: impl Into<RangeRead>) -> Read<RangePage> {
        self.inner.get_range(&read.into(), Isolation::Snapshot)
    }

    /// Every row of a range, all pages of it.
    ///
    /// # Errors
    /// Those of [`get_range`](Self::get_range).
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn collect_range(&self, read: impl Into<RangeRead>) -> Result<Vec<KeyValue>, Error> {
        self.inner
            .collect_range(read.into(), Isolation::Snapshot)
            .await
    }
}

impl Inner {
    fn check_open(&self) -> Result<(), Error> {
        if self.is_finished.load(Ordering::Acquire) {
            return Err(Error::UsedAfterCommit);
        }
        Ok(())
    }

    /// Ends the transaction's use, once; the error is why it can't be committed.
    fn finish(&self) -> Result<(), Error> {
        if self.is_finished.swap(true, Ordering::AcqRel) {
            return Err(Error::UsedAfterCommit);
        }
        let first_error = self.first_error.lock().take();
        let size_bytes = self.size_bytes.load(Ordering::Relaxed);
        let is_too_large =
            size_bytes > TRANSACTION_SIZE_MAX_BYTES && self.write_count.load(Ordering::Relaxed) > 0;
        let error = first_error
            .or_else(|| is_too_large.then_some(Error::TransactionTooLarge { size_bytes }));
        match error {
            Some(error) => {
                self.raw.cancel();
                Err(error)
            }
            None => Ok(()),
        }
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        if let Err(error) = self.check_open().and_then(|()| check_key(key)) {
            return Read::ready(Err(error));
        }
        if isolation == Isolation::Serializable {
            self.count(2 * key.len() + 1);
        }
        self.keep_unreadable(self.raw.get(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        if let Err(error) = self.check_open().and_then(|()| check_range(&read.range)) {
            return Read::ready(Err(error));
        }
        if read.limit == Some(0) || read.range.is_empty() {
            return Read::ready(Ok(RangePage::default()));
        }
        if isolation == Isolation::Serializable {
            self.count(read.range.begin.len() + read.range.end.len());
        }
        self.keep_unreadable(self.raw.get_range(read, isolation))
    }

    /// A read of what has no value yet fails the commit too, as in FoundationDB.
    fn keep_unreadable<T: Send + 'static>(&self, read: Read<T>) -> Read<T> {
        if !self.has_stamps.load(Ordering::Relaxed) {
            return read;
        }
        let first_error = self.first_error.clone();
        read.inspect_err(move |error| {
            if let Error::Unreadable { .. } = error {
                first_error.keep(error);
            }
        })
    }

    async fn collect_range(
        &self,
        read: RangeRead,
        isolation: Isolation,
    ) -> Result<Vec<KeyValue>, Error> {
        let mut rows = Vec::new();
        let mut next = Some(read);
        while let Some(read) = next {
            let page = self.get_range(&read, isolation).await?;
            next = page.rest(&read);
            rows.extend(page.rows);
        }
        Ok(rows)
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        self.check_open()?;
        self.try_mutate(mutation)
            .inspect_err(|error| self.first_error.keep(error))
    }

    fn try_mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        let size_bytes = check_mutation(&mutation)?;
        if let Mutation::ClearRange(range) = mutation
            && range.is_empty()
        {
            return Ok(());
        }
        let size_bytes = self.count(size_bytes);
        if size_bytes > TRANSACTION_SIZE_MAX_BYTES {
            return Err(Error::TransactionTooLarge { size_bytes });
        }
        let is_stamp = matches!(
            mutation,
            Mutation::SetVersionstampedKey(..) | Mutation::SetVersionstampedValue(..)
        );
        if is_stamp {
            self.has_stamps.store(true, Ordering::Relaxed);
        }
        self.raw.mutate(mutation)?;
        self.write_count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        self.check_open()?;
        check_range(range)?;
        if range.is_empty() {
            return Ok(());
        }
        self.count(range.begin.len() + range.end.len());
        if kind == ConflictKind::Write {
            self.write_count.fetch_add(1, Ordering::Relaxed);
        }
        self.raw.add_conflict(range, kind)
    }

    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.check_open()?;
        check_key(key)?;
        self.count(2 * key.len() + 1);
        self.raw.add_read_conflict_key(key)
    }

    /// Adds to the transaction's size and returns it.
    fn count(&self, bytes: usize) -> usize {
        self.size_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

/// The bytes a mutation adds to the transaction: key and value, and the key or range once more as
/// a conflict range.
fn check_mutation(mutation: &Mutation<'_>) -> Result<usize, Error> {
    let (key, value) = match mutation {
        Mutation::Set(key, value) | Mutation::SetVersionstampedValue(key, value) => (*key, *value),
        Mutation::SetVersionstampedKey(key, value) => (check_template(key)?, *value),
        Mutation::Clear(key) => (*key, &[][..]),
        Mutation::Add(key, _) => (*key, &[0; 8][..]),
        Mutation::ClearRange(range) => {
            check_range(range)?;
            return Ok(2 * (range.begin.len() + range.end.len()));
        }
    };
    check_key(key)?;
    let stored_value = match mutation {
        Mutation::SetVersionstampedValue(_, value) => check_template(value)?,
        _ => value,
    };
    if stored_value.len() > VALUE_SIZE_MAX_BYTES {
        return Err(Error::ValueTooLarge {
            key: KeyPreview::new(key),
            size_bytes: stored_value.len(),
        });
    }
    Ok(3 * key.len() + 1 + value.len())
}

/// The template without its offset, if the ten bytes at that offset are in it.
fn check_template(template: &[u8]) -> Result<&[u8], Error> {
    let out_of_bounds = Error::VersionstampOutOfBounds {
        size_bytes: template.len(),
    };
    let Some((stamped, offset)) = template.split_last_chunk::<OFFSET_SIZE_BYTES>() else {
        return Err(out_of_bounds);
    };
    let end = u32::from_le_bytes(*offset) as usize + VERSIONSTAMP_SIZE_BYTES;
    if end > stamped.len() {
        return Err(out_of_bounds);
    }
    Ok(stamped)
}

fn check_key(key: &[u8]) -> Result<(), Error> {
    if key.first() == Some(&0xff) {
        return Err(Error::KeyOutsideLegalRange {
            key: KeyPreview::new(key),
        });
    }
    check_size(key, KEY_SIZE_MAX_BYTES)
}

/// A bound may be one byte longer than a key (the end of the range of one key), and the end of all
/// keys, 0xFF, is one too.
fn check_range(range: &KeyRange) -> Result<(), Error> {
    range.check()?;
    for bound in [&range.begin, &range.end] {
        if bound.as_slice() > &[0xff][..] {
            return Err(Error::KeyOutsideLegalRange {
                key: KeyPreview::new(bound),
            });
        }
        check_size(bound, KEY_SIZE_MAX_BYTES + 1)?;
    }
    Ok(())
}

fn check_size(key: &[u8], max_bytes: usize) -> Result<(), Error> {
    if key.len() > max_bytes {
        return Err(Error::KeyTooLarge {
            key: KeyPreview::new(key),
            size_bytes: key.len(),
        });
    }
    Ok(())
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !*self.is_finished.get_mut() {
            self.raw.cancel();
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("attempt", &self.inner.attempt)
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
