//! What the tests of the store share: a model, random groups, and small stores.

mod background;
mod crash;
mod damage;
mod faults;
mod old;
mod overlay;
mod seam;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::{
    Base, BaseSnapshot, Group, RangeRequest, RangeRows, RedbStore, StoreError, StoreOptions, Write,
};
use crate::disk::MemoryDisk;
use crate::open_error::OpenError;

type Rows = BTreeMap<Bytes, Bytes>;

/// Small segments, so that a few groups fill one.
fn small() -> StoreOptions {
    StoreOptions {
        cache_size_bytes: 1024 * 1024,
        segment_size_bytes: 16 * 1024,
        ..StoreOptions::new(0x1234_5678_9abc_def0)
    }
}

fn open(disk: &MemoryDisk) -> Result<RedbStore, OpenError> {
    RedbStore::open_on(Arc::new(disk.clone()), &small())
}

fn commit(store: &RedbStore, group: &Group) -> Result<(), StoreError> {
    store.append(group)?;
    store.apply(group)
}

/// Everything in the store.
fn rows(store: &RedbStore) -> Result<Rows, StoreError> {
    let found = store.snapshot()?.range(&RangeRequest {
        begin: b"",
        end: &[0xFF; 32],
        is_reverse: false,
        limit_rows: usize::MAX,
        limit_bytes: usize::MAX,
    })?;
    assert!(!found.has_more);
    Ok(found.rows.into_iter().collect())
}

/// Opens what a crash has left: what was acknowledged is there, and the store goes on.
fn expect_recovered(image: &MemoryDisk, model: &Model, acknowledged: u64, what: &str) {
    let store = open(image).unwrap_or_else(|error| panic!("{what}: {error}"));
    model.check(&store, acknowledged).unwrap();
    let next = Group {
        version: store.version() + 1,
        writes: vec![set("after", "crash")],
    };
    commit(&store, &next).unwrap();
    drop(store);
    assert_eq!(open(image).unwrap().version(), next.version, "{what}");
}

fn set(key: &str, value: impl Into<Bytes>) -> Write {
    Write::Set {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.into(),
    }
}

/// What the store should hold after each group: the state at `version` of each.
#[derive(Debug, Clone, Default)]
struct Model {
    states: BTreeMap<u64, Rows>,
}

impl Model {
    fn new() -> Self {
        Self {
            states: BTreeMap::from([(0, Rows::new())]),
        }
    }

    fn latest(&self) -> (u64, &Rows) {
        let (version, rows) = self.states.last_key_value().unwrap();
        (*version, rows)
    }

    /// Adds the state after `group`. It need not be acknowledged.
    fn push(&mut self, group: &Group) {
        let mut rows = self.latest().1.clone();
        for write in &group.writes {
            match write {
                Write::Set { key, value } => {
                    rows.insert(key.clone(), value.clone());
                }
                Write::Clear { key } => {
                    rows.remove(key);
                }
                Write::ClearRange { begin, end } => {
                    rows.retain(|key, _| key < begin || key >= end);
                }
            }
        }
        self.states.insert(group.version, rows);
    }

    /// Checks that the store holds a whole state, not older than `acknowledged`.
    fn check(&self, store: &RedbStore, acknowledged: u64) -> Result<(), StoreError> {
        let found = rows(store)?;
        let version = store.version();
        assert!(
            version >= acknowledged,
            "version {acknowledged} was acknowledged, {version} is there"
        );
        assert!(
            self.states.get(&version) == Some(&found),
            "the rows at version {version} are not those of its group"
        );
        Ok(())
    }
}

/// A small generator with a seed (splitmix64, Steele and others 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn key(&mut self) -> Bytes {
        Bytes::from(format!("key{:02}", self.below(40)))
    }

    /// A group of one to six writes after `previous`, up to some 10 KiB.
    fn group(&mut self, previous: u64) -> Group {
        let version = previous + 1 + self.below(3);
        let writes = (0..=self.below(6))
            .map(|_| match self.below(8) {
                0 => Write::Clear { key: self.key() },
                1 => Write::ClearRange {
                    begin: self.key(),
                    end: self.key(),
                },
                2 => self.set_of(5000),
                _ => self.set_of(300),
            })
            .collect();
        Group { version, writes }
    }

    fn set_of(&mut self, len_max: u64) -> Write {
        let len = self.below(len_max);
        // Now and then a value that looks like a blank part of the log.
        let fill = if self.below(8) == 0 {
            0xFF
        } else {
            self.next() as u8
        };
        Write::Set {
            key: self.key(),
            value: Bytes::from(vec![fill; len as usize]),
        }
    }
}
