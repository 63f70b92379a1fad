//! SPEC M3: methods that cannot share a handle or an enum.
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
    fn start(&self) {}

    #[cast]
    fn batch(&mut self) {}

    #[call]
    fn get_1(&self) {}

    #[call]
    fn get1(&self) {}

    #[call]
    #[cast]
    fn both(&mut self) {}

    #[call]
    fn client_with(&self) {}

    #[cast]
    fn cast(&mut self) {}

    #[call]
    const LIMIT: i64 = 3;
}

fn main() {}
