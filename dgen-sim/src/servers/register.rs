//! A number that is read and changed.

use dgen_macros::dgen_server;
use dgen_server::Context;
use serde::{Deserialize, Serialize};

use crate::{history::Op, scene};

/// The number, and who changed it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// Now.
    pub value: i64,
    /// What changed it, in order.
    pub done: Vec<Op>,
}

#[dgen_server]
impl Register {
    /// The number.
    #[call]
    pub fn read(&self) -> i64 {
        self.value
    }

    /// The same, from a handler that could do more than read.
    #[call]
    pub fn look(&self, panics: u8, cx: &mut Context<Self>) -> i64 {
        scene::stumble(panics, cx.random());
        self.value
    }

    /// Adds, and returns what it is then.
    #[call]
    pub fn add(&mut self, op: Op, by: i64, panics: u8, cx: &mut Context<Self>) -> i64 {
        self.increase(op, by, panics, cx);
        self.value
    }

    /// Sets, and returns what it was.
    #[call]
    pub fn swap(&mut self, op: Op, to: i64, panics: u8, cx: &mut Context<Self>) -> i64 {
        let old = std::mem::replace(&mut self.value, to);
        self.done.push(op);
        scene::stumble(panics, cx.random());
        old
    }

    /// Adds.
    #[cast]
    pub fn increase(&mut self, op: Op, by: i64, panics: u8, cx: &mut Context<Self>) {
        self.value += by;
        self.done.push(op);
        scene::stumble(panics, cx.random());
    }

    /// All of it.
    #[call]
    pub fn state(&self) -> Self {
        self.clone()
    }
}
