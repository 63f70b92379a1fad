//! dgen's storage contract as tests that any backend can run, and the tools to test what is built
//! on it: a reference model, faults, a clock that stands still, seeded randomness.
//!
//! | to do | look at |
//! |---|---|
//! | test a backend, promise by promise | [`conformance`], [`conformance_tests!`] |
//! | see what the contract means, in plain maps | [`model`] |
//! | look for what is not serializable | [`serializability`] |
//! | compare two backends | [`differential`] |
//! | run servers through crashes, wrong clocks and lost answers, in one thread and in no time | [`sim`] |
//! | make a database fail as a cluster does | [`faults`] |
//! | count what an operation reads and writes, and its round trips | [`counting`] |
//! | run out of watches | [`few_watches`] |
//! | move time by hand | [`clock::MockClock`] |
//! | wrap a database, and do some things otherwise | [`Intercept`], [`Forward`] |
//! | write a test that shares a store | [`Area`], [`Subject`], [`prefixed`] |
//! | run a suite on a cluster too | [`on_cluster!`] |
//!
//! Everything random follows from a seed; a failure prints it, and `DGEN_SEED` replays it.
//!
//! It panics where a promise is broken: it is for tests alone.

pub mod clock;
#[cfg(feature = "fdb")]
pub mod cluster;
pub mod conformance;
pub mod counting;
pub mod differential;
pub mod faults;
pub mod few_watches;
mod forward;
mod intercept;
pub mod model;
mod prefixed;
pub mod random;
pub mod serializability;
pub mod sim;
mod subject;

pub use dgen_backend::env::Env;

pub use crate::{
    clock::MockClock,
    forward::Forward,
    intercept::{Intercept, Intercepted},
    prefixed::prefixed,
    random::Random,
    subject::{Area, Subject},
};

/// Its items, where tests run on a cluster (feature `fdb`); nothing elsewhere.
#[cfg(feature = "fdb")]
#[macro_export]
macro_rules! on_cluster {
    ($($items:tt)*) => { $($items)* };
}

/// Its items, where tests run on a cluster (feature `fdb`); nothing elsewhere.
#[cfg(not(feature = "fdb"))]
#[macro_export]
macro_rules! on_cluster {
    ($($items:tt)*) => {};
}
