//! SPEC M3: replies and timeouts that the compiler refuses, at the user's own tokens.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[derive(Clone)]
struct Unknown;

#[dgen_server]
impl Counter {
    #[call]
    fn gives(&self) -> Unknown {
        Unknown
    }

    #[call]
    fn fails(&self) -> Result<i64, Unknown> {
        Err(Unknown)
    }

    #[call(timeout = 2 * 60)]
    fn takes_its_time(&self) {}
}

fn main() {}
