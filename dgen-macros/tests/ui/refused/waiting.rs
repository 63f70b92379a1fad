//! SPEC M3: locked work, infos and deferred replies that are not what they say.
#![allow(unused)]
use dgen_macros::dgen_server;
use dgen_server::{Context, Deferred, Locked};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[dgen_server]
impl Counter {
    #[cast]
    async fn waits(&mut self) {}

    #[call(locked)]
    fn cannot_wait(&mut self) {}

    #[call(locked)]
    async fn has_no_transaction(&mut self, cx: &mut Context<Self>, by: i64) {}

    #[call]
    fn has_no_lock(&mut self, by: i64, cx: &mut Locked<Self>) {}

    #[call(locked)]
    async fn only_looks(&mut self, cx: &dgen_server::Locked<Self>) {}

    #[call(locked)]
    async fn answers_twice_late(&mut self) -> Deferred<i64, String> {
        loop {}
    }

    #[call]
    fn fails_early(&mut self) -> Result<Deferred<i64>, String> {
        loop {}
    }

    #[info(locked)]
    async fn works(&mut self) {}

    #[info]
    async fn sleeps(&mut self) {}

    #[info]
    fn only_reads(&self) {}

    #[info]
    fn answers(&mut self) -> i64 {
        self.value
    }

    #[info]
    fn borrows(&mut self, name: &str) {}

    #[info]
    fn defaults(&mut self, #[serde(default)] by: i64) {}

    #[info]
    #[serde(alias = "as")]
    fn named(&mut self) {}

    #[info]
    fn accepted(&mut self) {}
}

// What is accepted is there in spite of the rest: no error for this function.
fn uses_the_handle(counter: CounterHandle) {
    let _ = counter.accepted();
}

fn main() {}
