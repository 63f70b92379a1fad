//! Answers that are given later.

use dgen_macros::dgen_server;
use dgen_server::{Context, Deferred, ReplyTo};
use serde::{Deserialize, Serialize};

use crate::{history::Op, scene};

/// Who waits, and who was answered what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    /// The messages that took effect, in order.
    pub done: Vec<Op>,
    /// Who waits.
    pub waiting: Vec<(Op, ReplyTo<i64>)>,
    /// Who was answered with which number, in order.
    pub served: Vec<(Op, i64)>,
}

#[dgen_server]
impl Desk {
    /// Asks for a number.
    #[call]
    pub fn ask(&mut self, op: Op, panics: u8, cx: &mut Context<Self>) -> Deferred<i64> {
        scene::stumble(panics, cx.random());
        let (to, deferred) = cx.defer();
        self.done.push(op);
        self.waiting.push((op, to));
        deferred
    }

    /// Answers all who wait; returns how many were answered until now.
    #[call]
    pub fn serve(&mut self, op: Op, panics: u8, cx: &mut Context<Self>) -> i64 {
        self.done.push(op);
        for (asked, to) in std::mem::take(&mut self.waiting) {
            let number = self.served.len() as i64 + 1;
            self.served.push((asked, number));
            cx.reply(to, &number);
        }
        scene::stumble(panics, cx.random());
        self.served.len() as i64
    }

    /// All of it.
    #[call]
    pub fn state(&self) -> Self {
        self.clone()
    }
}
