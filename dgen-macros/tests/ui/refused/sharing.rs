//! SPEC M3: what may not go to another thread, at the user's own tokens.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};
use std::rc::Rc;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

#[dgen_server]
impl Counter {
    #[info]
    fn hears(&mut self, what: Rc<u8>) {}

    #[call(locked)]
    async fn holds(&mut self) {
        let held = Rc::new(1);
        std::future::ready(()).await;
        drop(held);
    }
}

fn main() {}
