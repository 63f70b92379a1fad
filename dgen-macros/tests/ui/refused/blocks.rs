//! SPEC M3: what the attribute does not go on, and options it does not read.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

#[dgen_server]
struct NotABlock;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

trait Count {
    fn value(&self) -> i64;
}

#[dgen_server]
impl Count for Counter {
    #[call]
    fn value(&self) -> i64 {
        self.value
    }
}

struct View<'a>(&'a i64);

#[dgen_server]
impl<'a> View<'a> {
    #[call]
    fn value(&self) -> i64 {
        *self.0
    }
}

#[dgen_server(named = "counter", name = "", crate)]
impl Counter {
    #[call]
    fn twice(&self) -> i64 {
        2 * self.value
    }

    fn plain(&self, #[serde(default)] by: i64) -> i64 {
        self.value + by
    }
}

// The blocks are there in spite of their mistakes: no error for this function.
fn uses_the_methods(counter: &Counter, view: View<'_>) -> i64 {
    Count::value(counter) + counter.twice() + counter.plain(1) + view.value()
}

fn main() {}
