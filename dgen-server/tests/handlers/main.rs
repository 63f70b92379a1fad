//! What a handler may do beside changing its state: lock, work, stop, act after the commit, reply
//! later; and what comes past the queue: priority, info, an operator.
//!
//! Each message is a [script](script), and each test runs on disk and in memory, under a clock that
//! stands still until the test moves it.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod held_up;
mod probe;
mod script;
mod world;

mod actions;
mod blocking;
mod dead_letters;
mod deferred;
mod failing;
#[path = "../server/support/faulty.rs"]
mod faulty;
mod fencing;
mod infos;
mod killed;
mod large;
mod lock_replies;
mod locked_effects;
mod locked_failures;
mod locks;
mod many_ids;
mod operator;
mod priority;
mod shutdown;
mod stop;
mod stored_replies;
mod tenants;
mod versions;
