//! Whether bugs on purpose are found.

use std::{fmt, ops::Range};

use dgen_backend::planted::{Bug, plant};

use crate::world::World;

/// In which worlds a bug was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The bug.
    pub bug: Bug,
    /// The worlds that failed.
    pub seeds: Vec<u64>,
    /// How many were played.
    pub played: u64,
    /// What did not hold in the first.
    pub first: String,
}

/// Plays the worlds of `seeds` with `bug`: all, or until one fails.
#[must_use]
pub fn look_for(bug: Bug, seeds: Range<u64>, is_one_enough: bool) -> Found {
    let mut found = Found {
        bug,
        seeds: Vec::new(),
        played: 0,
        first: String::new(),
    };
    for seed in seeds {
        plant(Some(bug));
        let verdict = World::random(seed).play();
        plant(None);
        found.played += 1;
        if let Some(violation) = verdict.violations.into_iter().next() {
            if found.seeds.is_empty() {
                found.first = violation;
            }
            found.seeds.push(seed);
            if is_one_enough {
                break;
            }
        }
    }
    found
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bug, count, played) = (self.bug, self.seeds.len(), self.played);
        write!(f, "{bug:?}: found in {count} of {played} worlds")?;
        if let Some(seed) = self.seeds.first() {
            write!(f, ", first in seed {seed}: {}", self.first)?;
        }
        Ok(())
    }
}
