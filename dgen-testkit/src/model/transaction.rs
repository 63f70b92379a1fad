//! One transaction of the model: what it read, and its writes in order.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Error, KeyPreview, KeyRange, KeyValue, RangePage, RangeRead, Read, Watch,
    backend::{BackendTransaction, ConflictKind, Isolation, Mutation},
    limits::TRANSACTION_AGE_MAX,
};
use tokio::sync::{oneshot, watch};

use super::{
    ModelBackend,
    store::{Watcher, Write, overlaps, sum},
};

/// A page is small, so that whoever reads a range meets more than one.
const PAGE_ROWS_MAX: usize = 100;
const PAGE_SIZE_MAX_BYTES: usize = 500_000;

/// FoundationDB's default.
const WATCHES_MAX: usize = 10_000;

pub(super) struct ModelTransaction {
    backend: ModelBackend,
    state: Mutex<State>,
    stamp: watch::Sender<Option<Result<CommitVersionstamp, Error>>>,
}

#[derive(Default)]
struct State {
    snapshot: Option<Snapshot>,
    writes: Vec<Write>,
    read_conflicts: Vec<KeyRange>,
    write_conflicts: Vec<KeyRange>,
    watchers: Vec<Watcher>,
}

#[derive(Clone, Copy)]
struct Snapshot {
    version: u64,
    taken: Instant,
}

/// What a fold of the writes makes of a key.
#[derive(Clone)]
enum Value {
    Is(Option<Bytes>),
    /// It is known only at the commit.
    Stamped,
}

impl ModelTransaction {
    pub(super) fn new(backend: ModelBackend) -> Self {
        Self {
            backend,
            state: Mutex::default(),
            stamp: watch::Sender::new(None),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot, taken at the first read.
    fn snapshot(&self, state: &mut State) -> Result<u64, Error> {
        let now = self.backend.env.now();
        let snapshot = *state.snapshot.get_or_insert_with(|| Snapshot {
            version: self.backend.store().version(),
            taken: now,
        });
        if now - snapshot.taken > TRANSACTION_AGE_MAX {
            return Err(Error::TransactionTooOld);
        }
        Ok(snapshot.version)
    }

    fn read_key(&self, key: &[u8], isolation: Isolation) -> Result<Option<Bytes>, Error> {
        let mut state = self.state();
        let version = self.snapshot(&mut state)?;
        let committed = self.backend.store().get(key, version);
        let value = match state.value(key, committed) {
            Value::Is(value) => value,
            Value::Stamped => return Err(unreadable(key)),
        };
        if isolation == Isolation::Serializable {
            state.add_read_conflict(KeyRange::key(key));
        }
        Ok(value)
    }

    fn read_page(&self, read: &RangeRead, isolation: Isolation) -> Result<RangePage, Error> {
        let mut state = self.state();
        let version = self.snapshot(&mut state)?;
        let committed = self.backend.store().rows(&read.range, version);
        let (page, covered) = page(read, state.rows(&read.range, committed));
        state.check_readable(&covered)?;
        if isolation == Isolation::Serializable {
            state.add_read_conflict(covered);
        }
        Ok(page)
    }

    fn try_commit(&self, state: &mut State) -> Result<Option<CommitVersionstamp>, Error> {
        if state.writes.is_empty() && state.write_conflicts.is_empty() {
            return Ok(None);
        }
        let version = self.snapshot(state)?;
        let mut store = self.backend.store();
        if store.is_written_since(version, &state.read_conflicts) {
            return Err(Error::Conflict);
        }
        let conflicts = std::mem::take(&mut state.write_conflicts);
        Ok(Some(store.commit(&state.writes, conflicts)))
    }

    fn finish(&self, result: Result<Option<CommitVersionstamp>, Error>) -> Result<(), Error> {
        let watchers = std::mem::take(&mut self.state().watchers);
        match &result {
            Ok(_) => {
                let mut store = self.backend.store();
                watchers
                    .into_iter()
                    .for_each(|watcher| store.watch(watcher));
            }
            Err(error) => watchers.into_iter().for_each(|watcher| {
                // Nobody listens to a watch that was dropped.
                let _ = watcher.sender.send(Err(error.clone()));
            }),
        }
        let stamp = result.clone().and_then(|stamp| stamp.ok_or_else(no_stamp));
        self.stamp.send_replace(Some(stamp));
        result.map(drop)
    }
}

impl BackendTransaction for ModelTransaction {
    fn read_version(&self) -> Read<u64> {
        Read::ready(self.snapshot(&mut self.state()))
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        Read::ready(self.read_key(key, isolation))
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        Read::ready(self.read_page(read, isolation))
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        self.state().writes.push(Write::new(mutation));
        Ok(())
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        let mut state = self.state();
        match kind {
            ConflictKind::Read => state.add_read_conflict(range.clone()),
            ConflictKind::Write => state.write_conflicts.push(range.clone()),
        }
        Ok(())
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        let seen = self.read_key(key, Isolation::Serializable)?;
        let mut state = self.state();
        if self.backend.store().watch_count() + state.watchers.len() >= WATCHES_MAX {
            return Err(Error::TooManyWatches { limit: WATCHES_MAX });
        }
        let (sender, receiver) = oneshot::channel();
        state.watchers.push(Watcher {
            key: key.to_vec(),
            seen,
            sender,
        });
        Ok(Watch::new(async {
            receiver.await.unwrap_or(Err(Error::UsedAfterCommit))
        }))
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        let mut stamp = self.stamp.subscribe();
        Read::pending(async move {
            match stamp.wait_for(Option::is_some).await {
                Ok(stamp) => stamp.clone().expect("it was waited for"),
                Err(_dropped) => Err(Error::UsedAfterCommit),
            }
        })
    }

    fn commit(&self) -> Read<()> {
        let result = self.try_commit(&mut self.state());
        Read::ready(self.finish(result))
    }

    fn cancel(&self) {
        // The transaction that is given up has nobody left to tell.
        let _ = self.finish(Err(Error::UsedAfterCommit));
    }
}

impl State {
    fn value(&self, key: &[u8], committed: Option<Bytes>) -> Value {
        let only = KeyRange::key(key);
        let committed = committed.map(|value| (key.to_vec(), value));
        let mut values = self.fold(&only, committed);
        match values.remove(key).unwrap_or(Value::Is(None)) {
            Value::Is(_) if self.is_stamped_key(&only) => Value::Stamped,
            value => value,
        }
    }

    fn rows(
        &self,
        range: &KeyRange,
        committed: BTreeMap<Vec<u8>, Bytes>,
    ) -> BTreeMap<Vec<u8>, Bytes> {
        // A key that is known only at the commit counts as a row, so that a limit ends at it.
        self.fold(range, committed)
            .into_iter()
            .filter_map(|(key, value)| match value {
                Value::Is(value) => Some((key, value?)),
                Value::Stamped => Some((key, Bytes::new())),
            })
            .collect()
    }

    /// The writes in `range`, in order, over what is committed there.
    fn fold(
        &self,
        range: &KeyRange,
        committed: impl IntoIterator<Item = (Vec<u8>, Bytes)>,
    ) -> BTreeMap<Vec<u8>, Value> {
        let mut values: BTreeMap<_, _> = committed
            .into_iter()
            .map(|(key, value)| (key, Value::Is(Some(value))))
            .collect();
        for write in &self.writes {
            let (key, value) = match write {
                Write::Set(key, value) => (key, Value::Is(Some(value.clone()))),
                Write::Clear(key) => (key, Value::Is(None)),
                Write::ClearRange(cleared) => {
                    values.retain(|key, _| !overlaps(&KeyRange::key(key), cleared));
                    continue;
                }
                Write::Add(key, delta) => match values.get(key) {
                    Some(Value::Stamped) => (key, Value::Stamped),
                    Some(Value::Is(value)) => (key, Value::Is(Some(sum(value.as_ref(), *delta)))),
                    None => (key, Value::Is(Some(sum(None, *delta)))),
                },
                Write::SetVersionstampedValue(key, _) => (key, Value::Stamped),
                Write::SetVersionstampedKey(..) => continue,
            };
            if overlaps(&KeyRange::key(key), range) {
                values.insert(key.clone(), value);
            }
        }
        values
    }

    /// Whether a key in `range` may be one that the commit makes.
    fn is_stamped_key(&self, range: &KeyRange) -> bool {
        self.writes.iter().any(|write| match write {
            Write::SetVersionstampedKey(key, _) => overlaps(&key.span(), range),
            _ => false,
        })
    }

    fn check_readable(&self, covered: &KeyRange) -> Result<(), Error> {
        let stamped = self
            .fold(covered, [])
            .into_iter()
            .find(|(_, value)| matches!(value, Value::Stamped));
        match stamped {
            Some((key, _)) => Err(unreadable(&key)),
            None if self.is_stamped_key(covered) => Err(unreadable(&covered.begin)),
            None => Ok(()),
        }
    }

    /// Adds `range` without what this transaction has set or cleared: the store has no say in that.
    fn add_read_conflict(&mut self, range: KeyRange) {
        let mut open = vec![range];
        for write in &self.writes {
            let own = match write {
                Write::Set(key, _) | Write::Clear(key) | Write::SetVersionstampedValue(key, _) => {
                    KeyRange::key(key)
                }
                Write::ClearRange(range) => range.clone(),
                Write::Add(..) | Write::SetVersionstampedKey(..) => continue,
            };
            open = open
                .into_iter()
                .flat_map(|range| without(range, &own))
                .collect();
        }
        self.read_conflicts.extend(open);
    }
}

/// What is left of `range` on both sides of `hole`.
fn without(range: KeyRange, hole: &KeyRange) -> Vec<KeyRange> {
    if !overlaps(&range, hole) {
        return vec![range];
    }
    [
        KeyRange::new(range.begin, hole.begin.clone()),
        KeyRange::new(hole.end.clone(), range.end),
    ]
    .into_iter()
    .filter(|side| !side.is_empty())
    .collect()
}

/// The first page of `rows` in the order asked for, and the part of the range that it covers.
fn page(read: &RangeRead, rows: BTreeMap<Vec<u8>, Bytes>) -> (RangePage, KeyRange) {
    let limit = read.limit.unwrap_or(usize::MAX);
    let total = rows.len();
    let ordered: Box<dyn Iterator<Item = _>> = if read.is_reverse {
        Box::new(rows.into_iter().rev())
    } else {
        Box::new(rows.into_iter())
    };
    let mut size_bytes = 0;
    let rows: Vec<_> = ordered
        .take(limit.min(PAGE_ROWS_MAX))
        .take_while(|(_, value)| {
            let is_first_or_fits = size_bytes < PAGE_SIZE_MAX_BYTES;
            size_bytes += value.len();
            is_first_or_fits
        })
        .map(|(key, value)| KeyValue {
            key: key.into(),
            value,
        })
        .collect();
    let has_more = rows.len() < total.min(limit);
    let is_partial = has_more || rows.len() == limit;
    let mut covered = read.range.clone();
    if let Some(last) = rows.last().filter(|_| is_partial) {
        if read.is_reverse {
            covered.begin = last.key.to_vec();
        } else {
            covered.end = KeyRange::key(&last.key).end;
        }
    }
    (RangePage { rows, has_more }, covered)
}

fn unreadable(key: &[u8]) -> Error {
    Error::Unreadable {
        key: KeyPreview::new(key),
    }
}

/// FoundationDB's `no_commit_version`.
fn no_stamp() -> Error {
    Error::Native {
        code: 2021,
        message: "a transaction that wrote nothing has no versionstamp".to_owned(),
        retryable: false,
        maybe_executed: false,
    }
}
