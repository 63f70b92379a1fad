//! SPEC M3: arguments that no message can carry, at the user's own tokens.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[derive(Clone, Deserialize)]
struct Unwritten;

#[derive(Clone, Default, Serialize)]
struct Unread;

struct Single;

#[dgen_server]
impl Counter {
    #[call]
    fn takes(&self, what: Unwritten) {}

    #[cast]
    fn gets(&mut self, #[serde(default)] what: Unread) {}

    #[info]
    fn hears(&mut self, what: Single) {}
}

fn main() {}
