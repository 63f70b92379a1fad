//! A transaction handed on: the base of backends that wrap a database and change something.

use std::any::Any;

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Error, KeyRange, RangePage, RangeRead, Read, Transaction, Watch,
    backend::{BackendTransaction, ConflictKind, Isolation, Mutation},
};

/// A [`BackendTransaction`] that does what a [`Transaction`] does.
///
/// A wrapping backend holds one in each of its transactions; [`Intercept`](crate::Intercept) is for what it changes.
/// It works over any database, whether or not its backend is public.
#[derive(Debug)]
pub struct Forward(pub Transaction);

impl BackendTransaction for Forward {
    fn read_version(&self) -> Read<u64> {
        self.0.read_version()
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        match isolation {
            Isolation::Serializable => self.0.get(key),
            Isolation::Snapshot => self.0.snapshot().get(key),
        }
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        match isolation {
            Isolation::Serializable => self.0.get_range(read.clone()),
            Isolation::Snapshot => self.0.snapshot().get_range(read.clone()),
        }
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        match mutation {
            Mutation::Set(key, value) => self.0.set(key, value),
            Mutation::Clear(key) => self.0.clear(key),
            Mutation::ClearRange(range) => self.0.clear_range(range),
            Mutation::Add(key, delta) => self.0.add(key, delta),
            Mutation::SetVersionstampedKey(key, value) => self.0.set_versionstamped_key(key, value),
            Mutation::SetVersionstampedValue(key, value) => {
                self.0.set_versionstamped_value(key, value)
            }
        }
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        match kind {
            ConflictKind::Read => self.0.add_read_conflict(range),
            ConflictKind::Write => self.0.add_write_conflict(range),
        }
    }

    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.0.add_read_conflict_key(key)
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        self.0.watch(key)
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        self.0.versionstamp()
    }

    fn commit(&self) -> Read<()> {
        self.0.commit()
    }

    fn cancel(&self) {
        self.0.cancel();
    }

    fn native(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.0.native()
    }
}
