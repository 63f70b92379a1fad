//! One attempt at a transaction, by the client library.

use std::{
    any::Any,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use dgen_backend::{
    CommitVersionstamp, Error, KeyPreview, KeyRange, KeyValue, RangePage, RangeRead, Read, Watch,
    backend::{BackendTransaction, ConflictKind, Isolation, Mutation},
};
use foundationdb::{
    FdbError, KeySelector, RangeOption, Transaction,
    future::FdbValues,
    options::{ConflictRangeType, MutationType, StreamingMode},
};

use crate::{error, network, stamped_keys::StampedKeys};

/// A transaction of the client library, until it is committed or cancelled.
pub(crate) struct FdbTransaction {
    live: Mutex<Option<Live>>,
    size_bytes: AtomicUsize,
    watches_max: u32,
}

struct Live {
    /// Shared with the directory layer while it works in it.
    tx: Arc<Transaction>,
    stamped_keys: StampedKeys,
}

impl FdbTransaction {
    pub(crate) fn new(tx: Transaction, watches_max: u32) -> Self {
        let live = Live {
            tx: Arc::new(tx),
            stamped_keys: StampedKeys::default(),
        };
        Self {
            live: Mutex::new(Some(live)),
            size_bytes: AtomicUsize::new(0),
            watches_max,
        }
    }

    /// The client library's transaction, for as long as it is not committed.
    pub(crate) fn shared(&self) -> Result<Arc<Transaction>, Error> {
        self.with(|live| Arc::clone(&live.tx))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, call: impl FnOnce(&mut Live) -> T) -> Result<T, Error> {
        self.lock().as_mut().map(call).ok_or(Error::UsedAfterCommit)
    }

    /// Sends a read at once; its answer is passed through `then`.
    fn read<T, U, F>(
        &self,
        send: impl FnOnce(&Transaction) -> F,
        then: impl FnOnce(Result<T, FdbError>) -> Result<U, Error> + Send + 'static,
    ) -> Read<U>
    where
        F: Future<Output = Result<T, FdbError>> + Send + 'static,
    {
        let sent = self.with(|live| {
            live.stamped_keys.announce(&live.tx);
            send(&live.tx)
        });
        match sent {
            Ok(answer) => Read::pending(async move { then(answer.await) }),
            Err(error) => Read::ready(Err(error)),
        }
    }

    fn count(&self, bytes: usize) {
        self.size_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl BackendTransaction for FdbTransaction {
    fn read_version(&self) -> Read<u64> {
        self.read(Transaction::get_read_version, |version| {
            Ok(version.map_err(error::of)?.cast_unsigned())
        })
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        let preview = KeyPreview::new(key);
        self.read(
            |tx| tx.get(key, is_snapshot(isolation)),
            move |value| {
                let value = value.map_err(|error| error::of_read(error, &preview))?;
                Ok(value.map(|value| Bytes::copy_from_slice(&value)))
            },
        )
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        let preview = KeyPreview::new(&read.range.begin);
        let limit = read.limit;
        let option = RangeOption {
            begin: KeySelector::first_greater_or_equal(&read.range.begin),
            end: KeySelector::first_greater_or_equal(&read.range.end),
            limit,
            // A page is what the client library fetches at once, some 80 kB.
            mode: StreamingMode::WantAll,
            reverse: read.is_reverse,
            ..RangeOption::default()
        };
        self.read(
            |tx| tx.get_range(&option, 1, is_snapshot(isolation)),
            move |rows| {
                let rows = rows.map_err(|error| error::of_read(error, &preview))?;
                let has_more = rows.more() && limit.is_none_or(|limit| rows.len() < limit);
                Ok(RangePage {
                    rows: copy(&rows),
                    has_more,
                })
            },
        )
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        self.count(size_of_mutation(&mutation));
        self.with(|Live { tx, stamped_keys }| match mutation {
            Mutation::Set(key, value) => tx.set(key, value),
            Mutation::Clear(key) => tx.clear(key),
            Mutation::ClearRange(range) => tx.clear_range(&range.begin, &range.end),
            Mutation::Add(key, delta) => {
                tx.atomic_op(key, &delta.to_le_bytes(), MutationType::Add);
            }
            Mutation::SetVersionstampedKey(key, value) => stamped_keys.push(key, value),
            Mutation::SetVersionstampedValue(key, value) => {
                tx.atomic_op(key, value, MutationType::SetVersionstampedValue);
            }
        })
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        self.count(range.begin.len() + range.end.len());
        let kind = match kind {
            ConflictKind::Read => ConflictRangeType::Read,
            ConflictKind::Write => ConflictRangeType::Write,
        };
        self.with(|live| live.tx.add_conflict_range(&range.begin, &range.end, kind))?
            .map_err(error::of)
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        let watches_max = self.watches_max;
        let watch = self.with(|live| live.tx.watch(key))?;
        Ok(Watch::new(async move {
            watch
                .await
                .map_err(|error| error::of_watch(error, watches_max))
        }))
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        self.read(Transaction::get_versionstamp, |stamp| {
            let stamp = stamp.map_err(error::of_versionstamp)?;
            CommitVersionstamp::try_from(&*stamp).map_err(|_| Error::Damaged {
                place: "the versionstamp of a commit".to_owned(),
                what: format!("{} bytes long", stamp.len()),
            })
        })
    }

    fn commit(&self) -> Read<()> {
        let committed = self.lock().take().and_then(|live| {
            live.stamped_keys.send(&live.tx);
            Arc::into_inner(live.tx)
        });
        let Some(tx) = committed else {
            // Committed already, or the directory layer still works in it.
            return Read::ready(Err(Error::UsedAfterCommit));
        };
        let size_bytes = self.size_bytes.load(Ordering::Relaxed);
        let commit = tx.commit();
        Read::pending(async move {
            let committed = commit.await;
            network::used();
            match committed {
                Ok(_committed) => Ok(()),
                Err(failed) => Err(error::of_commit(*failed, size_bytes)),
            }
        })
    }

    fn cancel(&self) {
        // The client library cancels what is dropped.
        self.lock().take();
    }

    fn native(&self) -> Option<&(dyn Any + Send + Sync)> {
        Some(self)
    }
}

fn is_snapshot(isolation: Isolation) -> bool {
    isolation == Isolation::Snapshot
}

/// The rows, in one piece of memory.
fn copy(rows: &FdbValues) -> Vec<KeyValue> {
    let size_bytes = rows.iter().map(|row| row.key().len() + row.value().len());
    let mut all = BytesMut::with_capacity(size_bytes.sum());
    for row in rows {
        all.extend_from_slice(row.key());
        all.extend_from_slice(row.value());
    }
    let mut all = all.freeze();
    rows.iter()
        .map(|row| KeyValue {
            key: all.split_to(row.key().len()),
            value: all.split_to(row.value().len()),
        })
        .collect()
}

/// The bytes that a mutation adds to the transaction, its conflict range included.
fn size_of_mutation(mutation: &Mutation<'_>) -> usize {
    match mutation {
        Mutation::Set(key, value)
        | Mutation::SetVersionstampedKey(key, value)
        | Mutation::SetVersionstampedValue(key, value) => 3 * key.len() + value.len(),
        Mutation::Clear(key) => 4 * key.len(),
        Mutation::Add(key, _) => 3 * key.len() + 8,
        Mutation::ClearRange(range) => 2 * (range.begin.len() + range.end.len()),
    }
}
