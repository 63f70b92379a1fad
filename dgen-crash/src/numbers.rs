//! A set of numbers from 1 that has few gaps.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Which numbers came, and which came twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbers {
    /// All up to this one came.
    up_to: u64,
    beyond: BTreeSet<u64>,
    twice: Vec<u64>,
}

impl Numbers {
    pub(crate) fn insert(&mut self, number: u64) {
        if number <= self.up_to || !self.beyond.insert(number) {
            self.twice.push(number);
            return;
        }
        while self.beyond.remove(&(self.up_to + 1)) {
            self.up_to += 1;
        }
    }

    /// How many came, each counted once.
    pub(crate) fn count(&self) -> u64 {
        self.up_to + self.beyond.len() as u64
    }

    /// The largest.
    pub(crate) fn max(&self) -> u64 {
        self.beyond.last().copied().unwrap_or(self.up_to)
    }

    pub(crate) fn twice(&self) -> &[u64] {
        &self.twice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_twice_shows_in_any_order() {
        let mut numbers = Numbers::default();
        for number in [2, 1, 4] {
            numbers.insert(number);
        }
        assert_eq!((numbers.count(), numbers.max()), (3, 4));
        assert_eq!(numbers.twice(), []);
        for number in [4, 1, 3] {
            numbers.insert(number);
        }
        assert_eq!((numbers.count(), numbers.max()), (4, 4));
        assert_eq!(numbers.twice(), [4, 1]);
    }
}
