//! A transaction of the embedded store.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Error, KeyPreview, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{self, BackendTransaction, ConflictKind, Isolation},
};
use tokio::sync::oneshot;

use crate::{
    commit::{self, Mutation, Request},
    page,
    published::{Published, Slot},
    shared::Shared,
    span::Span,
    stamp,
    store::BaseSnapshot as _,
    watches::PendingWatch,
    write_set::{WriteSet, Written},
};

/// One attempt, with all that it has read and written so far.
pub(crate) struct LocalTransaction {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    reads: Vec<Span>,
    conflicts: Vec<Span>,
    mutations: Vec<Mutation>,
    writes: WriteSet,
    watches: Vec<PendingWatch>,
    versionstamps: Vec<oneshot::Sender<CommitVersionstamp>>,
    size_bytes: usize,
}

impl LocalTransaction {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            slot: Arc::default(),
            work: Mutex::default(),
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state that this transaction reads.
    fn state(&self) -> Result<Arc<Published>, Error> {
        self.shared.current.read(&self.slot, self.shared.env.now())
    }

    fn try_get(&self, key: &[u8], isolation: Isolation) -> Result<Option<Bytes>, Error> {
        let state = self.state()?;
        let mut work = self.work();
        let written = if work.writes.is_empty() {
            None
        } else {
            work.writes.get(key)
        };
        if let Some(Written::Value(value)) = written {
            return Ok(value);
        }
        let value = page::value(key, written, state.snapshot.get(key)?)?;
        if isolation == Isolation::Serializable {
            work.reads.push(Span::Key(Bytes::copy_from_slice(key)));
        }
        Ok(value)
    }

    fn try_get_range(&self, read: &RangeRead, isolation: Isolation) -> Result<RangePage, Error> {
        let state = self.state()?;
        let mut work = self.work();
        let covered = page::read(&state.snapshot, &work.writes, read)?;
        if isolation == Isolation::Serializable {
            if work.writes.is_empty() {
                work.reads.push(Span::Range(covered.begin, covered.end));
            } else {
                let spans = work.writes.read_spans(&covered.begin, &covered.end);
                work.reads.extend(spans);
            }
        }
        Ok(covered.page)
    }

    /// Everything the commit needs, taken out of the transaction.
    fn take_work(&self) -> Work {
        std::mem::take(&mut *self.work())
    }
}

impl BackendTransaction for LocalTransaction {
    fn read_version(&self) -> Read<u64> {
        Read::ready(self.state().map(|state| state.version()))
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        Read::ready(self.try_get(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        Read::ready(self.try_get_range(read, isolation))
    }

    fn mutate(&self, mutation: backend::Mutation<'_>) -> Result<(), Error> {
        let copy = Bytes::copy_from_slice;
        let mut work = self.work();
        let owned = match mutation {
            backend::Mutation::Set(key, value) => {
                let (key, value) = (copy(key), copy(value));
                work.writes.set(key.clone(), value.clone());
                Mutation::Set(key, value)
            }
            backend::Mutation::Clear(key) => {
                let key = copy(key);
                work.writes.clear(key.clone());
                Mutation::Clear(key)
            }
            backend::Mutation::ClearRange(range) => {
                let (begin, end) = (copy(&range.begin), copy(&range.end));
                work.writes.clear_range(begin.clone(), end.clone());
                Mutation::ClearRange(begin, end)
            }
            backend::Mutation::Add(key, delta) => {
                let key = copy(key);
                work.writes.add(key.clone(), delta);
                Mutation::Add(key, delta)
            }
            backend::Mutation::SetVersionstampedKey(template, value) => {
                let read_version = self.slot.read_at().map(|(_, version)| version);
                let (begin, end) = stamp::landing(template, read_version);
                work.writes.set_stamped_key(begin, end);
                Mutation::SetStampedKey(copy(template), copy(value))
            }
            backend::Mutation::SetVersionstampedValue(key, template) => {
                let key = copy(key);
                work.writes.set_stamped_value(key.clone());
                Mutation::SetStampedValue(key, copy(template))
            }
        };
        work.size_bytes += owned.size_bytes();
        work.mutations.push(owned);
        Ok(())
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        let span = Span::from(range);
        match kind {
            ConflictKind::Read => {
                // A conflict is counted from the read version, so there must be one.
                self.state()?;
                let mut work = self.work();
                if work.writes.is_empty() {
                    work.reads.push(span);
                } else {
                    // As for a read: what this transaction has written itself does not count.
                    let spans = work.writes.read_spans(&range.begin, &range.end);
                    work.reads.extend(spans);
                }
            }
            ConflictKind::Write => self.work().conflicts.push(span),
        }
        Ok(())
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        let seen = match self.try_get(key, Isolation::Serializable) {
            Ok(value) => Some(value),
            Err(Error::Unreadable { .. }) => None,
            Err(error) => return Err(error),
        };
        let (pending, waiter) = self
            .shared
            .watches
            .make(Bytes::copy_from_slice(key), seen)?;
        self.work().watches.push(pending);
        let shared = Arc::clone(&self.shared);
        let key = KeyPreview::new(key);
        Ok(Watch::new(async move {
            match waiter.wait().await {
                Ok(()) => Ok(()),
                // Its transaction failed, or the store was closed.
                Err(_) => Err(shared.current.newest().err().unwrap_or(Error::Closed {
                    reason: format!("the transaction of the watch on {key} was not committed")
                        .into(),
                })),
            }
        }))
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        let (send, receive) = oneshot::channel();
        self.work().versionstamps.push(send);
        Read::pending(async move {
            receive.await.map_err(|_| Error::Closed {
                reason: "the transaction committed nothing, so it has no versionstamp".into(),
            })
        })
    }

    fn commit(&self) -> Read<()> {
        let work = self.take_work();
        if work.mutations.is_empty() && work.conflicts.is_empty() {
            // What was read is consistent as it was read, and nothing depends on it.
            let result = self.shared.current.newest().map(drop);
            if result.is_ok() && !work.watches.is_empty() {
                commit::arm(&self.shared.current, &self.shared.watches, work.watches);
            }
            self.slot.release();
            return Read::ready(result);
        }
        let read_at = self.slot.read_at();
        if read_at.is_none() && !work.reads.is_empty() {
            // Its state was taken away: it is too old, or the store is closed.
            let gone = self.state().err().unwrap_or(Error::TransactionTooOld);
            return Read::ready(Err(gone));
        }
        let request = Request {
            read_at,
            reads: work.reads,
            mutations: work.mutations,
            conflicts: work.conflicts,
            watches: work.watches,
            size_bytes: work.size_bytes,
        };
        self.slot.release();
        let versionstamps = work.versionstamps;
        self.shared.commit(request).map(move |stamp| {
            for waiting in versionstamps {
                // Whoever asked may be gone.
                let _ = waiting.send(stamp);
            }
            Ok(())
        })
    }

    fn cancel(&self) {
        drop(self.take_work());
        self.slot.release();
    }
}

impl Mutation {
    fn size_bytes(&self) -> usize {
        match self {
            Self::Set(a, b)
            | Self::ClearRange(a, b)
            | Self::SetStampedKey(a, b)
            | Self::SetStampedValue(a, b) => a.len() + b.len(),
            Self::Clear(key) => key.len(),
            Self::Add(key, _) => key.len() + size_of::<i64>(),
        }
    }
}
