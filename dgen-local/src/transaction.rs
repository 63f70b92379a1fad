//! A transaction of the embedded store.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Error, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{self, BackendTransaction, ConflictKind, Isolation},
};
use tokio::sync::oneshot;

use crate::{
    arena::Arena,
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
    /// Gone once it is committed or cancelled.
    work: Mutex<Option<Work>>,
}

#[derive(Default)]
struct Work {
    copies: Arena,
    reads: Vec<Span>,
    conflicts: Vec<Span>,
    mutations: Vec<Mutation>,
    /// Sets of keys by versionstamp, which come behind all others.
    stamped_keys: Vec<Mutation>,
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
            work: Mutex::new(Some(Work::default())),
        }
    }

    /// A call that comes while another commits finds the work gone: nothing is written into the
    /// void.
    fn with_work<T>(&self, change: impl FnOnce(&mut Work) -> Result<T, Error>) -> Result<T, Error> {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.as_mut().ok_or(Error::UsedAfterCommit).and_then(change)
    }

    fn take_work(&self) -> Option<Work> {
        self.work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The state that this transaction reads.
    fn state(&self) -> Result<Arc<Published>, Error> {
        self.shared.current.read(&self.slot, self.shared.env.now())
    }

    fn try_get(&self, key: &[u8], isolation: Isolation) -> Result<Option<Bytes>, Error> {
        let state = self.state()?;
        self.with_work(|work| {
            let written = work.writes.get(key);
            if let Some(Written::Value(value)) = written {
                return Ok(value);
            }
            let value = page::value(key, written, state.snapshot.get(key)?)?;
            if isolation == Isolation::Serializable {
                let key = work.copies.copy(key);
                work.reads.push(Span::Key(key));
            }
            Ok(value)
        })
    }

    fn try_get_range(&self, read: &RangeRead, isolation: Isolation) -> Result<RangePage, Error> {
        let state = self.state()?;
        self.with_work(|work| {
            let covered = page::read(&state.snapshot, &work.writes, read)?;
            if isolation == Isolation::Serializable {
                work.add_read(&covered.begin, &covered.end);
            }
            Ok(covered.page)
        })
    }

    fn try_commit(&self) -> Result<Read<()>, Error> {
        let mut work = self.take_work().ok_or(Error::UsedAfterCommit)?;
        work.mutations.append(&mut work.stamped_keys);
        let Shared {
            current, watches, ..
        } = &*self.shared;
        let read_at = self.slot.read_at();
        self.slot.release();
        if work.mutations.is_empty() && work.conflicts.is_empty() {
            // What was read is consistent as it was read, and nothing depends on it.
            current.newest()?;
            commit::arm(current, watches, work.watches);
            return Ok(Read::ready(Ok(())));
        }
        let request = Request {
            read_at: read_at?,
            reads: work.reads,
            mutations: work.mutations,
            conflicts: work.conflicts,
            watches: work.watches,
            size_bytes: work.size_bytes,
        };
        Ok(self.shared.commit(request, work.versionstamps))
    }
}

impl Work {
    /// Counts a range as read. What this transaction has written itself does not count.
    fn add_read(&mut self, begin: &[u8], end: &[u8]) {
        if self.writes.is_empty() {
            let (begin, end) = (self.copies.copy(begin), self.copies.copy(end));
            self.reads.push(Span::Range(begin, end));
        } else {
            self.reads.extend(self.writes.read_spans(begin, end));
        }
    }

    /// The same of one key.
    fn add_read_of_key(&mut self, key: &[u8]) {
        if !self.writes.tells(key) {
            let key = self.copies.copy(key);
            self.reads.push(Span::Key(key));
        }
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
        self.with_work(|work| {
            let mutation = note(mutation, work, &self.slot)?;
            work.size_bytes += mutation.size_bytes();
            match mutation {
                Mutation::SetStampedKey(..) => work.stamped_keys.push(mutation),
                _ => work.mutations.push(mutation),
            }
            Ok(())
        })
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        if kind == ConflictKind::Read {
            // A conflict is counted from the read version, so there must be one.
            self.state()?;
        }
        self.with_work(|work| {
            match kind {
                ConflictKind::Read => work.add_read(&range.begin, &range.end),
                ConflictKind::Write => work.conflicts.push(Span::from(range)),
            }
            Ok(())
        })
    }

    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.state()?;
        self.with_work(|work| {
            work.add_read_of_key(key);
            Ok(())
        })
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        let seen = match self.try_get(key, Isolation::Serializable) {
            Ok(value) => Some(value),
            Err(Error::Unreadable { .. }) => None,
            Err(error) => return Err(error),
        };
        let (pending, mut waiter) = self
            .shared
            .watches
            .make(Bytes::copy_from_slice(key), seen)?;
        self.with_work(|work| {
            work.watches.push(pending);
            Ok(())
        })?;
        let shared = Arc::clone(&self.shared);
        // No `async` block, which would keep the waiter twice.
        Ok(Watch::new(poll_fn(move |cx| {
            let fired = waiter.poll_fired(cx);
            // It never will: its transaction was not committed, or the store was closed.
            fired.map_err(|_| shared.current.newest().err().unwrap_or(Error::NotCommitted))
        })))
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        let (send, receive) = oneshot::channel();
        let asked = self.with_work(|work| {
            work.versionstamps.push(send);
            Ok(())
        });
        match asked {
            Ok(()) => Read::pending(async move { receive.await.map_err(|_| Error::NotCommitted) }),
            Err(error) => Read::ready(Err(error)),
        }
    }

    fn commit(&self) -> Read<()> {
        self.try_commit()
            .unwrap_or_else(|error| Read::ready(Err(error)))
    }

    fn cancel(&self) {
        drop(self.take_work());
        self.slot.release();
    }
}

/// Adds a write to those that the transaction's own reads see, and returns it to be kept.
fn note(mutation: backend::Mutation<'_>, work: &mut Work, slot: &Slot) -> Result<Mutation, Error> {
    let Work { copies, writes, .. } = work;
    Ok(match mutation {
        backend::Mutation::Set(key, value) => {
            let (key, value) = (copies.copy(key), copies.copy(value));
            writes.set(key.clone(), value.clone());
            Mutation::Set(key, value)
        }
        backend::Mutation::Clear(key) => {
            let key = copies.copy(key);
            writes.clear(key.clone());
            Mutation::Clear(key)
        }
        backend::Mutation::ClearRange(range) => {
            let (begin, end) = (copies.copy(&range.begin), copies.copy(&range.end));
            writes.clear_range(begin.clone(), end.clone());
            Mutation::ClearRange(begin, end)
        }
        backend::Mutation::Add(key, delta) => {
            let key = copies.copy(key);
            writes.add(key.clone(), delta);
            Mutation::Add(key, delta)
        }
        backend::Mutation::SetVersionstampedKey(template, value) => {
            let read_version = slot.read_at()?.map(|(_, version)| version);
            let (begin, end) = stamp::landing(template, read_version, copies);
            writes.set_stamped_key(begin, end);
            Mutation::SetStampedKey(copies.copy(template), copies.copy(value))
        }
        backend::Mutation::SetVersionstampedValue(key, template) => {
            let key = copies.copy(key);
            writes.set_stamped_value(key.clone());
            Mutation::SetStampedValue(key, copies.copy(template))
        }
    })
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
