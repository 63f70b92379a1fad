//! Group commit: the transactions that wait at the same time are checked, made durable by one
//! flush, and published together.
//!
//! No timer: a group is whatever arrived while the last one was flushed. A store in memory has
//! nothing to flush, so there the caller commits its own group of one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    time::Instant,
};

use bytes::Bytes;
use dgen_backend::{CommitVersionstamp, Error, env::Env, limits::TRANSACTION_AGE_MAX};
use tokio::sync::oneshot;

use crate::{
    conflicts::{Conflicts, GroupWrites, Verdict},
    page,
    published::{Current, Published, Snapshot, closed_by_owner},
    span::Span,
    stamp,
    store::{Base as _, BaseSnapshot as _, Group, RedbStore, StoreError, Write},
    watches::{PendingWatch, Watches},
    write_set::{Settled, WriteSet, Written},
};

/// At most so many transactions share a flush.
const GROUP_TRANSACTIONS_MAX: usize = 512;

/// A group that holds so many bytes takes no more transactions.
const GROUP_SIZE_MAX_BYTES: usize = 4_000_000;

/// A write as its transaction made it, in the transaction's order.
#[derive(Debug, Clone)]
pub(crate) enum Mutation {
    Set(Bytes, Bytes),
    Clear(Bytes),
    ClearRange(Bytes, Bytes),
    Add(Bytes, i64),
    SetStampedKey(Bytes, Bytes),
    SetStampedValue(Bytes, Bytes),
}

/// A transaction that wants to commit.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// When it first read and what version it read; `None` if it read nothing.
    pub(crate) read_at: Option<(Instant, u64)>,
    pub(crate) reads: Vec<Span>,
    pub(crate) mutations: Vec<Mutation>,
    /// Write conflicts that were added by hand.
    pub(crate) conflicts: Vec<Span>,
    pub(crate) watches: Vec<PendingWatch>,
    pub(crate) size_bytes: usize,
}

/// What became of a request.
pub(crate) type Outcome = Result<CommitVersionstamp, Error>;

/// A request and where its outcome goes.
pub(crate) struct Waiting {
    pub(crate) request: Request,
    pub(crate) done: oneshot::Sender<Outcome>,
}

/// Commits groups, one at a time.
pub(crate) struct Committer {
    store: Arc<RedbStore>,
    conflicts: Conflicts,
    current: Arc<Current>,
    watches: Arc<Watches>,
    env: Env,
}

impl Committer {
    pub(crate) fn new(
        store: Arc<RedbStore>,
        current: Arc<Current>,
        watches: Arc<Watches>,
        env: Env,
    ) -> Self {
        let conflicts = Conflicts::new(TRANSACTION_AGE_MAX, store.version());
        Self {
            store,
            conflicts,
            current,
            watches,
            env,
        }
    }

    /// Commits what `requests` brings until nobody can send any more, then closes the store.
    pub(crate) fn run(mut self, requests: &mpsc::Receiver<Waiting>) {
        while let Ok(first) = requests.recv() {
            let mut size_bytes = first.request.size_bytes;
            let mut group = vec![first];
            while group.len() < GROUP_TRANSACTIONS_MAX && size_bytes < GROUP_SIZE_MAX_BYTES {
                let Ok(next) = requests.try_recv() else {
                    break;
                };
                size_bytes += next.request.size_bytes;
                group.push(next);
            }
            self.commit(group);
        }
        self.close(&closed_by_owner());
    }

    /// Commits one transaction and returns its outcome.
    pub(crate) fn commit_one(&mut self, request: Request) -> Outcome {
        let (done, mut outcome) = oneshot::channel();
        self.commit(vec![Waiting { request, done }]);
        outcome
            .try_recv()
            .unwrap_or_else(|_| Err(unknown("the commit panicked")))
    }

    pub(crate) fn close(&mut self, closed: &Error) {
        self.current.close(closed);
        self.watches.close();
        if let Err(error) = self.store.close() {
            tracing::error!(%error, "the store could not be closed cleanly; it recovers when it is opened");
        }
    }

    /// Commits a group. A panic in it is a broken invariant of ours: the store closes, so that nothing
    /// goes on from a state that nobody knows.
    fn commit(&mut self, group: Vec<Waiting>) {
        if catch_unwind(AssertUnwindSafe(|| self.try_commit(group))).is_err() {
            self.fail(&unknown("a commit panicked"));
        }
    }

    fn try_commit(&mut self, group: Vec<Waiting>) {
        let base = match self.current.newest() {
            Ok(base) => base,
            Err(closed) => return answer_all(group, &closed),
        };
        let version = base.version() + 1;
        let now = self.env.now();
        let mut writes = WriteSet::default();
        let mut written = GroupWrites::default();
        let mut spans = Vec::new();
        let mut accepted: Vec<Waiting> = Vec::with_capacity(group.len());
        let mut group = group.into_iter();
        while let Some(waiting) = group.next() {
            if let Err(error) = self.check(&waiting.request, &written, now) {
                waiting.answer(Err(error));
                continue;
            }
            let stamp = stamp::stamp(version, index(accepted.len()));
            let applied = apply(&waiting.request, &stamp, &mut writes, &base.snapshot);
            accepted.push(waiting);
            match applied {
                Ok(touched) => {
                    for span in touched {
                        written.add(span.clone());
                        spans.push(span);
                    }
                }
                // The base can't be read. Nothing of the group was written.
                Err(error) => {
                    self.fail(&error);
                    accepted.extend(group);
                    return answer_all(accepted, &error);
                }
            }
        }
        if accepted.is_empty() {
            return;
        }
        let group = Group {
            version,
            writes: settle(writes),
        };
        match self.make_durable(&group) {
            Ok(snapshot) => {
                self.conflicts.add(written, version, now);
                self.current.publish(Published { snapshot }, now);
                self.watches.fire(spans.iter());
                for (position, mut waiting) in accepted.into_iter().enumerate() {
                    let watches = std::mem::take(&mut waiting.request.watches);
                    arm(&self.current, &self.watches, watches);
                    waiting.answer(Ok(stamp::stamp(version, index(position))));
                }
            }
            // It was closed before: nothing was written.
            Err(StoreError::Closed { reason }) => {
                let closed = Error::from(StoreError::Closed { reason });
                self.fail(&closed);
                answer_all(accepted, &closed);
            }
            Err(error) => {
                let error = Error::from(error);
                self.fail(&error);
                answer_all(
                    accepted,
                    &unknown(&format!("it could not be made durable: {error}")),
                );
            }
        }
    }

    /// One flush, then the new state.
    fn make_durable(&mut self, group: &Group) -> Result<Snapshot, StoreError> {
        self.store.append(group)?;
        self.store.apply(group)?;
        self.store.snapshot()
    }

    /// A flush that failed may or may not have reached the disk, and must not be tried again: the
    /// store closes, and says so to everybody.
    fn fail(&mut self, cause: &Error) {
        fail(
            &self.current,
            &self.watches,
            "a commit could not be made durable",
            cause,
        );
    }

    fn check(&self, request: &Request, group: &GroupWrites, now: Instant) -> Result<(), Error> {
        let Some((since, version)) = request.read_at else {
            return Ok(());
        };
        if now.saturating_duration_since(since) > TRANSACTION_AGE_MAX {
            return Err(Error::TransactionTooOld);
        }
        match self.conflicts.check(version, &request.reads) {
            Verdict::TooOld => Err(Error::TransactionTooOld),
            Verdict::Conflict => Err(Error::Conflict),
            Verdict::Clean if request.reads.iter().any(|span| group.touches(span)) => {
                Err(Error::Conflict)
            }
            Verdict::Clean => Ok(()),
        }
    }
}

impl Waiting {
    fn answer(self, outcome: Outcome) {
        // Whoever asked may be gone; the commit stands.
        let _ = self.done.send(outcome);
    }
}

/// Tells everybody that the store closes, because of `what`.
pub(crate) fn fail(current: &Current, watches: &Watches, what: &str, cause: &Error) {
    tracing::error!(error = %cause, what, "the store closes");
    current.close(&Error::Closed {
        reason: format!("{what}: {cause}").into(),
        cause: Some(Arc::new(cause.clone())),
    });
    watches.close();
}

/// Arms watches, comparing with the newest state.
pub(crate) fn arm(current: &Current, watches: &Watches, pending: Vec<PendingWatch>) {
    watches.arm(pending, |key| {
        let newest = current.newest().ok()?;
        newest.snapshot.get(key).ok()
    });
}

fn answer_all(group: Vec<Waiting>, error: &Error) {
    for waiting in group {
        waiting.answer(Err(error.clone()));
    }
}

fn unknown(reason: &str) -> Error {
    Error::CommitUnknown {
        reason: reason.to_owned(),
    }
}

/// The place of a transaction in its group.
fn index(position: usize) -> u16 {
    u16::try_from(position).expect("a group is far below 65536")
}

/// Applies the writes of `request` to those of its group; returns what it wrote.
fn apply(
    request: &Request,
    stamp: &CommitVersionstamp,
    writes: &mut WriteSet,
    base: &Snapshot,
) -> Result<Vec<Span>, Error> {
    let mut spans = request.conflicts.clone();
    spans.reserve(request.mutations.len());
    for mutation in &request.mutations {
        spans.push(match mutation.clone() {
            Mutation::Set(key, value) => {
                writes.set(key.clone(), value);
                Span::Key(key)
            }
            Mutation::Clear(key) => {
                writes.clear(key.clone());
                Span::Key(key)
            }
            Mutation::ClearRange(begin, end) => {
                writes.clear_range(begin.clone(), end.clone());
                Span::Range(begin, end)
            }
            Mutation::Add(key, delta) => {
                add(writes, &key, delta, base)?;
                Span::Key(key)
            }
            Mutation::SetStampedKey(template, value) => {
                let key = stamp::fill(&template, stamp);
                writes.set(key.clone(), value);
                Span::Key(key)
            }
            Mutation::SetStampedValue(key, template) => {
                writes.set(key.clone(), stamp::fill(&template, stamp));
                Span::Key(key)
            }
        });
    }
    Ok(spans)
}

/// Adds to the newest value there is: the group's, else the base's.
fn add(writes: &mut WriteSet, key: &Bytes, delta: i64, base: &Snapshot) -> Result<(), Error> {
    writes.add(key.clone(), delta);
    if let Some(Written::Added(_)) = writes.get(key) {
        let sum = page::value(key, Some(Written::Added(delta)), base.get(key)?)?;
        writes.set(key.clone(), sum.expect("a sum is a value"));
    }
    Ok(())
}

fn settle(writes: WriteSet) -> Vec<Write> {
    let Settled { cleared, values } = writes.into_settled();
    let cleared = cleared
        .into_iter()
        .map(|(begin, end)| Write::ClearRange { begin, end });
    let values = values.into_iter().map(|(key, value)| match value {
        Some(value) => Write::Set { key, value },
        None => Write::Clear { key },
    });
    cleared.chain(values).collect()
}
