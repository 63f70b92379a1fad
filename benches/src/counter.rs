//! The server that is called.

use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Counter {
    value: u64,
}

#[dgen_server]
impl Counter {
    /// Adds `by` and returns the new value.
    #[call]
    pub(crate) fn increment(&mut self, by: u64) -> u64 {
        self.value += by;
        self.value
    }

    /// Returns the value.
    #[call]
    pub(crate) fn value(&self) -> u64 {
        self.value
    }

    /// Adds `by`.
    #[cast]
    pub(crate) fn add(&mut self, by: u64) {
        self.value += by;
    }
}
