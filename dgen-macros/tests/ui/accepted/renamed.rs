//! Every kind of handler, where dgen-server is found under another path.
#![deny(warnings, missing_docs, unreachable_pub, dead_code)]

/// All that a program of its own sees of dgen.
pub mod prelude {
    /// dgen-server, by another name.
    pub mod runtime {
        pub use dgen_server::*;
    }
}

use dgen_macros::dgen_server;
use prelude::runtime::{Context, Deferred, Locked, ReplyTo};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Counts.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Counter {
    value: i64,
    waiting: Option<ReplyTo<i64>>,
}

#[dgen_server(name = "counter", crate = "crate::prelude::runtime")]
impl Counter {
    /// Adds `by`, at once.
    #[call(timeout = Duration::from_secs(1), alias = "plus")]
    pub fn increment(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    /// Adds `by`, after some thought.
    #[call(locked)]
    pub async fn ponder(&mut self, _cx: &mut Locked<Self>, by: i64) -> Result<i64, String> {
        std::future::ready(()).await;
        self.value += by;
        Ok(self.value)
    }

    /// The value, once it is full.
    #[call]
    pub fn full(&mut self, cx: &mut Context<Self>) -> Deferred<i64> {
        let (to, deferred) = cx.defer();
        self.waiting = Some(to);
        deferred
    }

    /// Whether somebody waits for that.
    #[call]
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// It is.
    #[info]
    pub fn filled(&mut self, cx: &mut Context<Self>) {
        if let Some(to) = self.waiting.take() {
            cx.reply(to, &self.value);
        }
    }

    /// Adds `by`.
    #[cast]
    pub fn add(&mut self, by: i64) {
        self.value += by;
    }
}

/// SPEC M1, M2
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tenant = dgen_server::in_memory()?;
    let counter = CounterHandle::start(&tenant, "c", ()).await?;
    assert_eq!(counter.increment(1).await?, 1);
    counter.batch().add(2).add(3).await?;
    assert!(matches!(counter.ponder(4).await, Ok(10)));
    let (full, filled) = tokio::join!(async { counter.full().await }, async {
        while !counter.is_waiting().await? {}
        counter.filled()?;
        Ok::<(), Box<dyn std::error::Error>>(())
    });
    filled?;
    assert_eq!(full?, 10);
    Ok(())
}
