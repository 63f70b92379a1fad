//! What is committed: every version of every key, what each commit wrote, and who watches.

use std::collections::BTreeMap;

use bytes::Bytes;
use dgen_backend::{CommitVersionstamp, Error, KeyRange, backend::Mutation};
use tokio::sync::oneshot;

#[derive(Debug, Default)]
pub(super) struct Store {
    /// The version of the last commit.
    version: u64,
    /// For each key, the value that each version gave it.
    history: BTreeMap<Vec<u8>, BTreeMap<u64, Option<Bytes>>>,
    /// Which ranges each commit wrote, oldest first.
    commits: Vec<(u64, Vec<KeyRange>)>,
    watchers: Vec<Watcher>,
}

/// Somebody who waits for `key` to have another value than `seen`.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) key: Vec<u8>,
    pub(super) seen: Option<Bytes>,
    pub(super) sender: oneshot::Sender<Result<(), Error>>,
}

/// A [`Mutation`] that is kept.
#[derive(Debug, Clone)]
pub(super) enum Write {
    Set(Vec<u8>, Bytes),
    Clear(Vec<u8>),
    ClearRange(KeyRange),
    Add(Vec<u8>, i64),
    SetVersionstampedKey(Template, Bytes),
    SetVersionstampedValue(Vec<u8>, Template),
}

/// Bytes with a place for a versionstamp.
#[derive(Debug, Clone)]
pub(super) struct Template {
    bytes: Vec<u8>,
    offset: usize,
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn get(&self, key: &[u8], version: u64) -> Option<Bytes> {
        let values = self.history.get(key)?;
        values.range(..=version).next_back()?.1.clone()
    }

    pub(super) fn rows(&self, range: &KeyRange, version: u64) -> BTreeMap<Vec<u8>, Bytes> {
        self.history
            .range(range.begin.clone()..range.end.clone())
            .filter_map(|(key, _)| Some((key.clone(), self.get(key, version)?)))
            .collect()
    }

    /// Whether a commit behind `version` wrote in one of `ranges`.
    pub(super) fn is_written_since(&self, version: u64, ranges: &[KeyRange]) -> bool {
        self.commits
            .iter()
            .rev()
            .take_while(|(committed, _)| *committed > version)
            .flat_map(|(_, written)| written)
            .any(|written| ranges.iter().any(|read| overlaps(read, written)))
    }

    /// Makes `writes` the next version, and wakes who waits for them.
    pub(super) fn commit(
        &mut self,
        writes: &[Write],
        conflicts: Vec<KeyRange>,
    ) -> CommitVersionstamp {
        self.version += 1;
        let stamp = stamp(self.version);
        let mut written = conflicts;
        let is_stamped_key = |write: &&Write| matches!(write, Write::SetVersionstampedKey(..));
        let (stamped_keys, others): (Vec<_>, Vec<_>) = writes.iter().partition(is_stamped_key);
        for write in others.into_iter().chain(stamped_keys) {
            written.push(self.apply(write, stamp));
        }
        self.commits.push((self.version, written));
        self.wake_watchers();
        stamp
    }

    /// Waits for the key to change, unless it has.
    pub(super) fn watch(&mut self, watcher: Watcher) {
        self.watchers.push(watcher);
        self.wake_watchers();
    }

    /// How many wait.
    pub(super) fn watch_count(&mut self) -> usize {
        self.watchers.retain(|watcher| !watcher.sender.is_closed());
        self.watchers.len()
    }

    fn apply(&mut self, write: &Write, stamp: CommitVersionstamp) -> KeyRange {
        let (key, value) = match write {
            Write::ClearRange(range) => {
                for key in self.rows(range, self.version).into_keys() {
                    self.put(key, None);
                }
                return range.clone();
            }
            Write::Set(key, value) => (key.clone(), Some(value.clone())),
            Write::Clear(key) => (key.clone(), None),
            Write::Add(key, delta) => {
                let sum = sum(self.get(key, self.version).as_ref(), *delta);
                (key.clone(), Some(sum))
            }
            Write::SetVersionstampedKey(key, value) => (key.filled(stamp), Some(value.clone())),
            Write::SetVersionstampedValue(key, value) => {
                (key.clone(), Some(value.filled(stamp).into()))
            }
        };
        let written = KeyRange::key(&key);
        self.put(key, value);
        written
    }

    fn put(&mut self, key: Vec<u8>, value: Option<Bytes>) {
        let values = self.history.entry(key).or_default();
        values.insert(self.version, value);
    }

    fn wake_watchers(&mut self) {
        for watcher in std::mem::take(&mut self.watchers) {
            if self.get(&watcher.key, self.version) == watcher.seen {
                self.watchers.push(watcher);
            } else {
                // Nobody listens to a watch that was dropped.
                let _ = watcher.sender.send(Ok(()));
            }
        }
    }
}

impl Write {
    pub(super) fn new(mutation: Mutation<'_>) -> Self {
        match mutation {
            Mutation::Set(key, value) => Self::Set(key.into(), Bytes::copy_from_slice(value)),
            Mutation::Clear(key) => Self::Clear(key.into()),
            Mutation::ClearRange(range) => Self::ClearRange(range.clone()),
            Mutation::Add(key, delta) => Self::Add(key.into(), delta),
            Mutation::SetVersionstampedKey(key, value) => {
                Self::SetVersionstampedKey(Template::new(key), Bytes::copy_from_slice(value))
            }
            Mutation::SetVersionstampedValue(key, value) => {
                Self::SetVersionstampedValue(key.into(), Template::new(value))
            }
        }
    }
}

impl Template {
    /// `template` ends with the offset of its stamp; the transaction has checked that it fits.
    fn new(template: &[u8]) -> Self {
        let (bytes, offset) = template
            .split_last_chunk::<4>()
            .expect("templates are checked before they reach a backend");
        Self {
            bytes: bytes.to_vec(),
            offset: u32::from_le_bytes(*offset) as usize,
        }
    }

    pub(super) fn filled(&self, stamp: CommitVersionstamp) -> Vec<u8> {
        let mut filled = self.bytes.clone();
        filled[self.offset..self.offset + stamp.len()].copy_from_slice(&stamp);
        filled
    }

    /// From the lowest to the highest key that this can become.
    pub(super) fn span(&self) -> KeyRange {
        let highest = KeyRange::key(&self.filled([0xff; 10]));
        KeyRange::new(self.filled([0; 10]), highest.end)
    }
}

/// What an addition makes of a value: eight bytes, little-endian, wrapping around.
pub(crate) fn sum(value: Option<&Bytes>, delta: i64) -> Bytes {
    let mut operand = [0; 8];
    let value = value.map_or(&[][..], |value| &value[..value.len().min(8)]);
    operand[..value.len()].copy_from_slice(value);
    let sum = i64::from_le_bytes(operand).wrapping_add(delta);
    Bytes::copy_from_slice(&sum.to_le_bytes())
}

/// Whether a key can be in both.
pub(super) fn overlaps(a: &KeyRange, b: &KeyRange) -> bool {
    (&a.begin).max(&b.begin) < (&a.end).min(&b.end)
}

/// Eight bytes of version, big-endian, and two that are always 0: every commit has a version of its
/// own here.
fn stamp(version: u64) -> CommitVersionstamp {
    let mut stamp = [0; 10];
    stamp[..8].copy_from_slice(&version.to_be_bytes());
    stamp
}
