//! SPEC M3: a handler that reaches further than its type.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[dgen_server]
impl Counter {
    #[call]
    pub fn value(&self) -> i64 {
        self.value
    }

    #[cast]
    pub fn add(&mut self, by: i64) {
        self.value += by;
    }
}

fn main() {}
