//! Work under a lock, and notes that no lock holds up.

use std::{collections::BTreeMap, time::Duration};

use dgen_macros::dgen_server;
use dgen_server::{Context, Locked};
use serde::{Deserialize, Serialize};

use crate::{
    history::Op,
    scene::{self, Running},
};

/// What was worked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// How much.
    pub worked: i64,
    /// Which messages, in order; with the fence of the holder, if it was under a lock.
    pub done: Vec<(Op, Option<u64>)>,
    /// What was noted, by its message.
    pub notes: BTreeMap<String, i64>,
}

#[dgen_server]
impl Worker {
    /// Works so long, under the lock, and returns how much was worked then.
    #[call(locked)]
    pub async fn work(
        &mut self,
        server: usize,
        op: Op,
        duration: Duration,
        panics: u8,
        cx: &mut Locked<Self>,
    ) -> i64 {
        let running = Running::new(server, op, cx.fence());
        let before = self.worked;
        let env = cx.tenant().env().clone();
        env.sleep(duration).await;
        scene::stumble(panics, cx.random());
        self.worked = before + 1;
        self.done.push((op, Some(cx.fence())));
        running.done();
        self.worked
    }

    /// Works at once, and returns how much was worked then.
    #[call]
    pub fn count(&mut self, op: Op, panics: u8, cx: &mut Context<Self>) -> i64 {
        self.worked += 1;
        self.done.push((op, None));
        scene::stumble(panics, cx.random());
        self.worked
    }

    /// Notes, and returns how many notes there are.
    #[call]
    pub fn note(&mut self, op: Op) -> i64 {
        *self.notes.entry(op.to_string()).or_default() += 1;
        self.notes.len() as i64
    }

    /// All of it.
    #[call]
    pub fn state(&self) -> Self {
        self.clone()
    }
}
