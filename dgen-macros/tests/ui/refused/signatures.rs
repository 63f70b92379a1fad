//! SPEC M3: signatures that no message can have, each reported, in one compilation.
#![allow(unused)]
use dgen_macros::dgen_server;
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

type Fallible<T> = Result<T, String>;

mod io {
    pub type Result<T> = std::result::Result<T, String>;
}

#[dgen_server]
impl Counter {
    #[call]
    fn borrows(&self, name: &str, rest: Option<&[u8]>) {}

    #[call]
    fn lends(&self) -> &i64 {
        &self.value
    }

    #[call]
    async fn waits(&self) {}

    #[call]
    fn stateless(by: i64) {}

    #[call]
    fn empty() {}

    #[call]
    fn consumes(self) {}

    #[cast]
    fn only_reads(&self) {}

    #[cast]
    fn answers(&mut self) -> i64 {
        self.value
    }

    #[call]
    fn generic<T>(&self, value: T) {}

    #[call]
    fn opaque(&self, value: impl Copy) {}

    #[call]
    fn patterns(&self, (a, b): (i64, i64), _: i64) {}

    #[call]
    fn hides_its_error(&self) -> io::Result<i64> {
        Ok(self.value)
    }

    // An alias by another name cannot be seen through: this is a value.
    #[call]
    fn accepted(&self) -> Fallible<i64> {
        Ok(self.value)
    }
}

// What is accepted is there in spite of the rest: no error for this function.
async fn uses_the_handle(counter: CounterHandle) {
    let _ = counter.accepted().await;
}

fn main() {}
