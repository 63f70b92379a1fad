//! SPEC M3: options that a handler does not have, or not like this; and stored names that two
//! messages cannot share.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[dgen_server]
impl Counter {
    #[call(priority = 1)]
    fn unknown(&self) {}

    #[call(timeout(5))]
    fn unreadable(&self) {}

    #[call = "loudly"]
    fn not_a_list(&self) {}

    #[call(timeout)]
    fn without_a_value(&self) {}

    #[cast(timeout = 5)]
    fn without_a_unit(&mut self) {}

    #[cast(timeout = "5s")]
    fn not_a_duration(&mut self) {}

    #[call(rename = "", alias = stored)]
    fn not_a_name(&self) {}

    #[call(rename = "a", rename = "b", locked, locked)]
    async fn twice(&self) {}

    #[call(locked = true)]
    async fn with_a_value(&self) {}

    #[call(rename = "a")]
    #[serde(rename = "b")]
    fn in_two_ways(&self) {}

    #[init(name = "new")]
    fn new() -> Self {
        Self { value: 0 }
    }

    #[info(rename = "not_stored")]
    fn not_stored(&mut self) {}

    #[cast]
    fn add(&mut self) {}

    #[cast(alias = "add")]
    fn increase(&mut self) {}

    #[cast]
    #[serde(rename = "add")]
    fn grow(&mut self) {}

    #[cast(rename = "less", alias = "minus", alias = "minus")]
    fn subtract(&mut self) {}
}

fn main() {}
