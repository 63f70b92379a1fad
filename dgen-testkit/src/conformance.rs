//! The storage contract, promise by promise: SPEC's clauses B1 to B9 as tests that any backend can
//! run.
//!
//! A backend's author writes one file, `tests/conformance.rs`:
//!
//! ```
//! # mod my_store {
//! #     pub(crate) use dgen_testkit::model::{in_memory, in_memory_in};
//! # }
//! dgen_testkit::conformance_tests! {
//!     // A fresh database for each test. May `.await`.
//!     database: my_store::in_memory(),
//!     // The same in an environment that the test controls: a closure from `Env`.
//!     database_in: |env| my_store::in_memory_in(env),
//! }
//! # fn main() {}
//! ```
//!
//! Both make something that turns into a [`Subject`]: a
//! [`Database`](dgen_backend::Database), or one with a guard that must live as long, such as a
//! temporary directory:
//!
//! ```
//! # mod my_store {
//! #     pub(crate) fn open(_: &str) -> Result<dgen_backend::Database, dgen_backend::Error> {
//! #         Ok(dgen_testkit::model::in_memory())
//! #     }
//! # }
//! # mod tempfile { pub(crate) fn tempdir() -> Result<&'static str, std::io::Error> { Ok("") } }
//! use dgen_testkit::Subject;
//!
//! fn on_disk() -> Subject {
//!     let directory = tempfile::tempdir().expect("a temporary directory can be made");
//!     let db = my_store::open(directory).expect("an empty directory can be opened");
//!     Subject::from(db).keep(directory)
//! }
//!
//! dgen_testkit::conformance_tests! {
//!     database: on_disk(),
//!     skip_clock: "the store keeps its own time",
//! }
//! # fn main() {}
//! ```
//!
//! With `skip_clock` the promises about time show up as ignored, with the reason.
//!
//! Each test works below a random prefix of its own and removes it when it has passed, so a shared
//! cluster will do. Nothing is assumed about how long anything takes; a test that hangs fails
//! after two minutes. The seeded ones print their seed when they fail and replay with `DGEN_SEED`.

use std::{error::Error as StdError, future::Future, time::Duration};

use dgen_backend::{Error, Transaction, env::Env};

use crate::{Area, MockClock, Subject};

/// Like `assert!(matches!(..))`, with what came instead.
macro_rules! assert_error {
    ($result:expr, $pattern:pat) => {
        match $result {
            Err($pattern) => {}
            other => panic!(
                "expected {}, got {:?}",
                stringify!($pattern),
                other.map(|_| ())
            ),
        }
    };
}

pub mod age;
pub mod atomics;
pub mod commits;
pub mod conflict_ranges;
pub mod conflicts;
pub mod directories;
pub mod lifecycle;
pub mod limits;
mod list;
pub mod randomised;
pub mod ranges;
pub mod reads;
pub mod retry;
pub mod tenants;
pub mod tuples;
pub mod versions;
pub mod versionstamps;
pub mod watches;

/// What a test of the suite returns: an error that it did not expect fails it.
pub type Outcome = Result<(), Box<dyn StdError + Send + Sync>>;

/// A test that takes longer hangs.
const HANG_GUARD: Duration = Duration::from_secs(120);

/// Runs one promise on a runtime of its own. [`conformance_tests!`](crate::conformance_tests) calls
/// it.
///
/// # Panics
/// If the promise is not kept.
pub fn run<S, Fut>(name: &str, subject: impl Future<Output = S>, promise: impl FnOnce(Area) -> Fut)
where
    S: Into<Subject>,
    Fut: Future<Output = Outcome>,
{
    block_on(async {
        let subject = subject.await.into();
        let area = Area::new(subject.database(), name);
        promise(area.clone()).await?;
        area.remove().await?;
        Ok(())
    });
}

/// Runs one promise about time, in an environment whose clock it moves.
///
/// # Panics
/// If the promise is not kept.
pub fn run_with_clock<S, Fut>(
    name: &str,
    make: impl FnOnce(Env) -> S,
    promise: impl FnOnce(Area, MockClock) -> Fut,
) where
    S: Into<Subject>,
    Fut: Future<Output = Outcome>,
{
    block_on(async {
        let clock = MockClock::new(0);
        let subject = make(clock.env()).into();
        let area = Area::new(subject.database(), name);
        promise(area, clock).await
    });
}

fn block_on(test: impl Future<Output = Outcome>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a test can start threads");
    runtime
        .block_on(Env::system().timeout(HANG_GUARD, test))
        .expect("the test hangs")
        .unwrap_or_else(|error| panic!("{error}: {error:?}"));
}

/// Whether a transaction that did `read`, and then wrote elsewhere, conflicts with one that did
/// `write` and committed in between.
async fn is_conflict(
    area: &Area,
    read: impl AsyncFnOnce(&Transaction) -> Result<(), Error>,
    write: impl AsyncFnOnce(&Transaction) -> Result<(), Error>,
) -> Result<bool, Error> {
    let reader = area.begin();
    read(&reader).await?;
    let writer = area.begin();
    write(&writer).await?;
    writer.commit().await?;
    reader.set(&area.key("~ written by the reader"), b"")?;
    match reader.commit().await {
        Ok(()) => Ok(false),
        Err(Error::Conflict) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Reads for [`is_conflict`]: takes the snapshot, and reads nothing that anybody writes.
async fn take_snapshot(tx: &Transaction) -> Result<(), Error> {
    tx.read_version().await.map(drop)
}
