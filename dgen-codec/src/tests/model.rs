//! A store of keys that is a sorted map, with a tree beside it.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    diff::Write,
    join::{DamagedAt, Row},
    stored::Stored,
};

pub(crate) type Keys = BTreeMap<Vec<u8>, Vec<u8>>;

/// The keys of one state, and the tree that a server would keep beside it.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) keys: Keys,
    pub(crate) stored: Option<Stored>,
}

impl Model {
    pub(crate) fn with<T: Serialize + ?Sized>(value: &T) -> Self {
        let mut model = Self::default();
        model.store(value);
        model
    }

    /// Writes the difference and returns how many keys it touched. Checks that it touched no key
    /// that stays as it was, and that the keys are those of a full write of the same tree.
    pub(crate) fn store<T: Serialize + ?Sized>(&mut self, value: &T) -> usize {
        let stored = Stored::encode(value, self.stored.as_ref()).unwrap();
        let before = self.keys.clone();
        let touched = apply(&mut self.keys, &stored.writes(self.stored.as_ref()));
        let mut whole = Keys::new();
        apply(&mut whole, &stored.writes(None));
        assert_eq!(
            self.keys, whole,
            "the difference leads to other keys than a full write"
        );
        assert_eq!(
            touched,
            differing(&before, &self.keys),
            "a key was written as it was"
        );
        self.stored = Some(stored);
        touched
    }

    /// Reads the tree anew, as after a restart.
    pub(crate) fn reload(&mut self) {
        self.stored = Some(tree(&self.keys).unwrap());
    }

    pub(crate) fn load<T: DeserializeOwned>(&self) -> T {
        tree(&self.keys).unwrap().decode().unwrap()
    }
}

/// Applies `writes` and returns how many keys were set or went away.
pub(crate) fn apply(keys: &mut Keys, writes: &[Write<'_>]) -> usize {
    let mut touched = 0;
    for write in writes {
        match write {
            Write::Set { key, value } => {
                keys.insert(key.clone(), value.to_vec());
                touched += 1;
            }
            Write::ClearRange { begin, end } => {
                let gone: Vec<_> = keys
                    .range(begin.clone()..end.clone())
                    .map(|(key, _)| key.clone())
                    .collect();
                touched += gone.len();
                gone.iter().for_each(|key| drop(keys.remove(key)));
            }
        }
    }
    touched
}

/// How many keys are in one of them only, or have different values. A key that a clear took away
/// and a set brought back counts twice as a touch, and never happens.
fn differing(one: &Keys, other: &Keys) -> usize {
    let missing =
        |one: &Keys, other: &Keys| one.keys().filter(|key| !other.contains_key(*key)).count();
    let changed = one
        .iter()
        .filter(|(key, value)| other.get(*key).is_some_and(|other| other != *value));
    missing(one, other) + missing(other, one) + changed.count()
}

pub(crate) fn tree(keys: &Keys) -> Result<Stored, DamagedAt> {
    let rows: Vec<_> = keys.iter().map(|(key, value)| Row { key, value }).collect();
    Stored::from_rows(&rows)
}
