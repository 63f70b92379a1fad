//! SPEC M3: functions that cannot make a state.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

// No `Default`: with the mistakes below, nothing is said of it.
#[derive(Clone, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[dgen_server]
impl Counter {
    #[init]
    fn new(&self, label: &str) -> Option<Self> {
        None
    }

    #[init]
    fn again() -> Self {
        Self { value: 1 }
    }
}

// Neither `Default` nor `#[init]`.
#[derive(Clone, Serialize, Deserialize)]
struct Bare {
    value: i64,
}

#[dgen_server]
impl Bare {
    #[call]
    fn value(&self) -> i64 {
        self.value
    }
}

fn main() {}
