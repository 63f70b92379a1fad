//! Group commit: the transactions that wait at the same time are checked, made durable by one
//! flush, and published together.
//!
//! No timer: a group is whatever arrived while the last one was flushed. It is collected meanwhile, by another thread
//! (see [`intake`](crate::intake)). A store in memory has nothing to flush, so there the caller commits its own
//! group of one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use dgen_backend::{CommitVersionstamp, Error, env::Env, limits::TRANSACTION_AGE_MAX};
use tokio::sync::oneshot;

use crate::{
    arena::Arena,
    conflicts::{Conflicts, GroupSpans, Verdict},
    intake::{Intake, Next},
    published::{Current, Published, Snapshot, closed_by_owner},
    span::Span,
    stamp,
    store::{Base as _, BaseSnapshot as _, Group, RedbStore, StoreError, Write},
    watches::{PendingWatch, Watches},
    write_set::{WriteSet, Written, sum},
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
    pub(crate) done: oneshot::Sender<Answered>,
}

/// An outcome, and what is left of the request: whoever has made it also lets go of it. Memory that one thread
/// allocates and another frees makes allocators wait for each other.
pub(crate) struct Answered {
    pub(crate) outcome: Outcome,
    _remains: Request,
}

/// Commits groups, in order.
pub(crate) struct Committer {
    store: Arc<RedbStore>,
    current: Arc<Current>,
    watches: Arc<Watches>,
    env: Env,
    /// Who waits; for the threads.
    pub(crate) intake: Intake,
    /// Locked by whoever collects a group.
    collected: Mutex<Collected>,
}

/// What has been collected so far, flushed or not.
struct Collected {
    version: u64,
    conflicts: Conflicts,
    /// What the last group wrote. It may not be published yet; those before it are.
    last: Arc<WriteSet>,
}

/// A group that is being collected.
struct Forming {
    version: u64,
    /// The state below it, and what the group between the two wrote.
    base: Arc<Published>,
    last: Arc<WriteSet>,
    writes: WriteSet,
    copies: Arena,
    by_hand: GroupSpans,
    accepted: Vec<Waiting>,
    size_bytes: usize,
}

/// A group that is to be flushed.
struct Sealed {
    group: Group,
    now: Instant,
    accepted: Vec<Waiting>,
}

impl Committer {
    pub(crate) fn new(
        store: Arc<RedbStore>,
        current: Arc<Current>,
        watches: Arc<Watches>,
        env: Env,
    ) -> Self {
        let version = store.version();
        Self {
            store,
            current,
            watches,
            env,
            intake: Intake::default(),
            collected: Mutex::new(Collected {
                version,
                conflicts: Conflicts::new(TRANSACTION_AGE_MAX, version),
                last: Arc::default(),
            }),
        }
    }

    /// Commits what the intake takes until it is closed. The last thread to end closes the store.
    pub(crate) fn run(&self) {
        while self.intake.begin() {
            let collected = self.guarded(|| self.collect());
            let Some(collected) = collected else {
                self.intake.give_up_collecting();
                continue;
            };
            let Some(mut sealed) = collected else {
                continue;
            };
            let panicked = || unknown("a commit panicked");
            let flushed = self.guarded(|| self.make_durable(&sealed.group));
            self.intake.end_flush();
            let flushed = flushed.unwrap_or_else(|| Err(panicked()));
            let outcome = self.guarded(|| self.publish(&mut sealed, flushed));
            let outcome = outcome.unwrap_or_else(|| Err(panicked()));
            self.guarded(|| sealed.answer(outcome));
            self.intake.end_work();
        }
        if self.intake.leave() {
            self.close(&closed_by_owner());
        }
    }

    /// Commits one transaction and returns its outcome.
    pub(crate) fn commit_one(&self, request: Request) -> Outcome {
        let (done, mut outcome) = oneshot::channel();
        self.guarded(|| {
            let mut collected = self
                .collected
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let Some(forming) = self.form(&collected, vec![Waiting { request, done }]) else {
                return;
            };
            if forming.accepted.is_empty() {
                return;
            }
            let mut sealed = collected.seal(forming, self.env.now());
            drop(collected);
            let flushed = self.make_durable(&sealed.group);
            let outcome = self.publish(&mut sealed, flushed);
            sealed.answer(outcome);
        });
        outcome.try_recv().map_or_else(
            |_| Err(unknown("the commit panicked")),
            |answered| answered.outcome,
        )
    }

    pub(crate) fn close(&self, closed: &Error) {
        self.current.close(closed);
        self.watches.close();
        if let Err(error) = self.store.close() {
            tracing::error!(%error, "the store could not be closed cleanly; it recovers when it is opened");
        }
    }

    /// Calls `work`. A panic in it is a broken invariant of ours: the store closes, so that nothing
    /// goes on from a state that nobody knows.
    fn guarded<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(work));
        if result.is_err() {
            self.fail(&unknown("a commit panicked"));
        }
        result.ok()
    }

    /// Collects a group, until it has the disk and nobody waits. `None` if nothing was accepted.
    fn collect(&self) -> Option<Sealed> {
        let mut collected = self
            .collected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut forming: Option<Forming> = None;
        loop {
            let (count, size_bytes) = forming.as_ref().map_or((0, 0), |forming| {
                (forming.accepted.len(), forming.size_bytes)
            });
            let room = match size_bytes < GROUP_SIZE_MAX_BYTES {
                true => GROUP_TRANSACTIONS_MAX - count,
                false => 0,
            };
            match self.intake.next(count > 0, room) {
                Next::Requests(requests) => match &mut forming {
                    None => forming = self.form(&collected, requests),
                    Some(_) => self.admit(&collected, &mut forming, requests),
                },
                Next::Flush => {
                    let forming = forming.expect("the disk is for a group with something in it");
                    let sealed = self.guarded(|| collected.seal(forming, self.env.now()));
                    if sealed.is_none() {
                        self.intake.end_flush();
                        self.intake.end_work();
                    }
                    return sealed;
                }
                Next::Nothing => return None,
            }
        }
    }

    /// Begins a group with `requests`; `None` if none is accepted because the store is closed.
    fn form(&self, collected: &Collected, requests: Vec<Waiting>) -> Option<Forming> {
        let base = match self.current.newest() {
            Ok(base) => base,
            Err(closed) => {
                answer_all(requests, &closed);
                return None;
            }
        };
        let mut forming = Some(Forming {
            version: collected.version + 1,
            base,
            last: Arc::clone(&collected.last),
            writes: WriteSet::default(),
            copies: Arena::default(),
            by_hand: GroupSpans::default(),
            accepted: Vec::with_capacity(requests.len()),
            size_bytes: 0,
        });
        self.admit(collected, &mut forming, requests);
        forming
    }

    /// Checks `requests` and adds them to the group. There is none any more if the state below can't be read.
    fn admit(&self, collected: &Collected, forming: &mut Option<Forming>, requests: Vec<Waiting>) {
        let now = self.env.now();
        let mut requests = requests.into_iter();
        while let (Some(group), Some(waiting)) = (forming.as_mut(), requests.next()) {
            if let Err(error) = group.check(&waiting.request, &collected.conflicts, now) {
                waiting.answer(Err(error));
                continue;
            }
            if let Err(error) = group.add(waiting) {
                // Nothing of the group was written.
                self.fail(&error);
                let mut refused = forming.take().map_or_else(Vec::new, |group| group.accepted);
                refused.extend(requests);
                return answer_all(refused, &error);
            }
        }
    }

    /// One flush, then the new state; or what to answer. Closes the store if there is no new state.
    fn make_durable(&self, group: &Group) -> Result<Snapshot, Error> {
        let refused = match self.store.append(group) {
            Ok(()) => {
                let shown = self.store.apply(group).and_then(|()| self.store.snapshot());
                // It is durable, whatever it is that keeps it from being shown: it may be that something else closed
                // the store meanwhile (`a_store_that_closes_in_a_flush_says_unknown`).
                return shown.map_err(|error| self.fail_unknown(&error.into()));
            }
            Err(error) => error,
        };
        Err(match refused {
            // It was closed before: nothing was written.
            StoreError::Closed { .. } => {
                let closed = refused.into();
                self.fail(&closed);
                closed
            }
            refused => self.fail_unknown(&refused.into()),
        })
    }

    /// Closes the store; returns what to answer whoever may be committed or not.
    fn fail_unknown(&self, cause: &Error) -> Error {
        self.fail(cause);
        unknown(&format!("it could not be made durable: {cause}"))
    }

    /// Shows a group that was flushed to everybody; returns what to answer.
    fn publish(&self, sealed: &mut Sealed, flushed: Result<Snapshot, Error>) -> Result<(), Error> {
        let snapshot = flushed?;
        self.current.publish(Published { snapshot }, sealed.now);
        self.watches.fire(&sealed.group.writes);
        for waiting in &mut sealed.accepted {
            let watches = std::mem::take(&mut waiting.request.watches);
            arm(&self.current, &self.watches, watches);
        }
        Ok(())
    }

    /// A flush that failed may or may not have reached the disk, and must not be tried again: the
    /// store closes, and says so to everybody.
    fn fail(&self, cause: &Error) {
        fail(
            &self.current,
            &self.watches,
            "a commit could not be made durable",
            cause,
        );
    }
}

impl Collected {
    /// Ends the collecting of a group: what comes later conflicts with it and sees its writes.
    fn seal(&mut self, forming: Forming, now: Instant) -> Sealed {
        let Forming {
            version,
            writes,
            by_hand,
            accepted,
            ..
        } = forming;
        self.version = version;
        self.conflicts.add(&writes, by_hand, version, now);
        self.last = Arc::new(writes);
        let writes = settle(&self.last);
        Sealed {
            group: Group { version, writes },
            now,
            accepted,
        }
    }
}

impl Forming {
    fn check(&self, request: &Request, conflicts: &Conflicts, now: Instant) -> Result<(), Error> {
        let Some((since, version)) = request.read_at else {
            return Ok(());
        };
        if now.saturating_duration_since(since) > TRANSACTION_AGE_MAX {
            return Err(Error::TransactionTooOld);
        }
        match conflicts.check(version, &request.reads) {
            Verdict::TooOld => Err(Error::TransactionTooOld),
            Verdict::Conflict => Err(Error::Conflict),
            Verdict::Clean if request.reads.iter().any(|span| self.touches(span)) => {
                Err(Error::Conflict)
            }
            Verdict::Clean => Ok(()),
        }
    }

    /// Adds the writes of `waiting` to those of the group.
    fn add(&mut self, mut waiting: Waiting) -> Result<(), Error> {
        let stamp = stamp::stamp(self.version, index(self.accepted.len()));
        self.size_bytes += waiting.request.size_bytes;
        let Request {
            mutations,
            conflicts,
            ..
        } = &mut waiting.request;
        for span in conflicts.drain(..) {
            self.by_hand.add(span);
        }
        let mut mutations = mutations.drain(..);
        let applied = mutations.try_for_each(|mutation| self.apply(mutation, &stamp));
        drop(mutations);
        self.accepted.push(waiting);
        applied
    }

    /// Whether an earlier transaction of the group wrote something in `span`.
    fn touches(&self, span: &Span) -> bool {
        self.writes.touches(span) || self.by_hand.touches(span)
    }

    /// Applies one write.
    fn apply(&mut self, mutation: Mutation, stamp: &CommitVersionstamp) -> Result<(), Error> {
        let (key, value) = match mutation {
            Mutation::Set(key, value) => (key, value),
            Mutation::Clear(key) => {
                self.writes.clear(key);
                return Ok(());
            }
            Mutation::ClearRange(begin, end) => {
                self.writes.clear_range(begin, end);
                return Ok(());
            }
            Mutation::Add(key, delta) => {
                let sum = sum(self.newest(&key)?.as_deref(), delta);
                (key, self.copies.copy(&sum))
            }
            Mutation::SetStampedKey(template, value) => {
                (stamp::fill(&template, stamp, &mut self.copies), value)
            }
            Mutation::SetStampedValue(key, template) => {
                (key, stamp::fill(&template, stamp, &mut self.copies))
            }
        };
        self.writes.set(key, value);
        Ok(())
    }

    /// The newest value of `key`: the group's, that of the group before, or the base's.
    fn newest(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let written = self.writes.get(key).or_else(|| self.last.get(key));
        match written {
            Some(Written::Value(value)) => Ok(value),
            // No group leaves anything to be added or stamped.
            Some(Written::Added(_) | Written::Stamped) | None => Ok(self.base.snapshot.get(key)?),
        }
    }
}

impl Waiting {
    fn answer(self, outcome: Outcome) {
        // Whoever asked may be gone; the commit stands.
        let _ = self.done.send(Answered {
            outcome,
            _remains: self.request,
        });
    }
}

impl Sealed {
    /// Answers its transactions.
    fn answer(self, outcome: Result<(), Error>) {
        for (position, waiting) in self.accepted.into_iter().enumerate() {
            let stamp = stamp::stamp(self.group.version, index(position));
            waiting.answer(outcome.clone().map(|()| stamp));
        }
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

/// What a group writes, in an order in which it can be applied.
fn settle(writes: &WriteSet) -> Vec<Write> {
    let cleared = writes.cleared().map(|(begin, end)| Write::ClearRange {
        begin: begin.clone(),
        end: end.clone(),
    });
    let values = writes.values().map(|(key, value)| match value.clone() {
        Some(value) => Write::Set {
            key: key.clone(),
            value,
        },
        None => Write::Clear { key: key.clone() },
    });
    cleared.chain(values).collect()
}
