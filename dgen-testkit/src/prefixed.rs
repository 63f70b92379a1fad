//! A part of a database that looks like a whole one: so that tests which think that they are alone
//! can share a cluster.

use bytes::Bytes;
use dgen_backend::{
    Database, Error, KeyRange, KeyValue, RangePage, RangeRead, Read, Watch,
    backend::{Backend, BackendTransaction, ConflictKind, Isolation, Mutation},
    env::Env,
};

use crate::{Forward, Intercept, Intercepted};

/// The keys of `db` that begin with `prefix`, without it, as a database of its own.
///
/// It has its own registry of processes and calls, as another OS process has, and the directories
/// that every database has without a directory layer of its own. The prefix counts for the limit of
/// a key's size.
///
/// # Examples
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let whole = dgen_testkit::model::in_memory();
/// let part = dgen_testkit::prefixed(&whole, b"part/");
/// part.transact(async |tx| tx.set(b"key", b"value")).await?;
/// assert_eq!(whole.begin()?.get(b"part/key").await?.as_deref(), Some(&b"value"[..]));
/// # Ok::<(), dgen_backend::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn prefixed(db: &Database, prefix: impl Into<Vec<u8>>) -> Database {
    Database::new(Prefixed {
        db: db.clone(),
        prefix: Bytes::from(prefix.into()),
    })
}

#[derive(Debug)]
struct Prefixed {
    db: Database,
    prefix: Bytes,
}

struct PrefixedTransaction {
    inner: Forward,
    prefix: Bytes,
}

impl Backend for Prefixed {
    fn name(&self) -> &'static str {
        "prefixed"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(PrefixedTransaction {
            inner: Forward(self.db.begin()?),
            prefix: self.prefix.clone(),
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }
}

impl PrefixedTransaction {
    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }

    fn range(&self, range: &KeyRange) -> KeyRange {
        let end = match range.end.first() {
            // The end of all keys.
            Some(0xff) => KeyRange::prefix(&self.prefix).end,
            _ => self.key(&range.end),
        };
        KeyRange::new(self.key(&range.begin), end)
    }

    /// A template of a versionstamped key: the offset of the stamp moves behind the prefix.
    fn template(&self, template: &[u8]) -> Vec<u8> {
        let mut longer = self.key(template);
        if let Some(offset) = longer.last_chunk_mut::<4>() {
            let moved = u32::from_le_bytes(*offset).saturating_add(self.prefix.len() as u32);
            *offset = moved.to_le_bytes();
        }
        longer
    }
}

impl Intercept for PrefixedTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.inner.get(&self.key(key), isolation)
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        let read = RangeRead {
            range: self.range(&read.range),
            ..read.clone()
        };
        let prefix_len = self.prefix.len();
        self.inner.get_range(&read, isolation).map(move |page| {
            let rows = page.rows.into_iter().map(|row| KeyValue {
                key: row.key.slice(prefix_len..),
                value: row.value,
            });
            Ok(RangePage {
                rows: rows.collect(),
                has_more: page.has_more,
            })
        })
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        let inner = &self.inner;
        match mutation {
            Mutation::Set(key, value) => inner.mutate(Mutation::Set(&self.key(key), value)),
            Mutation::Clear(key) => inner.mutate(Mutation::Clear(&self.key(key))),
            Mutation::ClearRange(range) => inner.mutate(Mutation::ClearRange(&self.range(range))),
            Mutation::Add(key, delta) => inner.mutate(Mutation::Add(&self.key(key), delta)),
            Mutation::SetVersionstampedKey(template, value) => inner.mutate(
                Mutation::SetVersionstampedKey(&self.template(template), value),
            ),
            Mutation::SetVersionstampedValue(key, template) => {
                inner.mutate(Mutation::SetVersionstampedValue(&self.key(key), template))
            }
        }
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        self.inner.add_conflict(&self.range(range), kind)
    }

    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.inner.add_read_conflict_key(&self.key(key))
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        self.inner.watch(&self.key(key))
    }
}
