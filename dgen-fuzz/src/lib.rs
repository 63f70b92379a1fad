//! What bytes that somebody else wrote, or that were damaged, must not do to a reader: end the
//! process, hang it, or take its memory. Whatever can't be read is a typed error.
//!
//! Each target takes arbitrary bytes, makes a store of them, and uses it as a program does. They are
//! here once, and run twice: for as long as one likes under `cargo fuzz` (see CONTRIBUTING.md), and
//! for seconds in `cargo test`, on the files in `fuzz/seeds` and mutations of those. Panics that the
//! library turns into errors are none here either.
//!
//! Leaves out: FoundationDB's files and network, which are FoundationDB's.

#![expect(clippy::unwrap_used, reason = "a target fails by it")]

mod directories;
mod files;
mod keys;
mod patches;
mod plain;
mod queue;
mod rows;
mod server;
mod state;
mod types;

use std::future::Future;

/// A target: its name, what it does with arbitrary bytes, and bytes to begin with.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the file in `fuzz/fuzz_targets`, and of the folder in `fuzz/seeds`.
    pub name: &'static str,
    /// Panics if the bytes do what they must not.
    pub run: fn(&[u8]),
    /// What real stores hold, by file name.
    pub seeds: fn() -> Vec<(&'static str, Vec<u8>)>,
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    Target {
        name: "plain",
        run: plain::run,
        seeds: plain::seeds,
    },
    Target {
        name: "keys",
        run: keys::run,
        seeds: keys::seeds,
    },
    Target {
        name: "state",
        run: state::run,
        seeds: state::seeds,
    },
    Target {
        name: "queue",
        run: queue::run,
        seeds: queue::seeds,
    },
    Target {
        name: "directories",
        run: directories::run,
        seeds: directories::seeds,
    },
    Target {
        name: "server",
        run: server::run,
        seeds: server::seeds,
    },
    Target {
        name: "log",
        run: files::run_log,
        seeds: files::log_seeds,
    },
    Target {
        name: "data",
        run: files::run_data,
        seeds: files::data_seeds,
    },
];

/// Runs the target of that name.
///
/// # Panics
/// If there is none, or if the bytes do what they must not.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target's name").run)(data);
}

/// Runs a future on this thread alone.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// Keeps panics quiet that the library catches: handlers' and redb's. cargo-fuzz's own hook would
/// count them; those that nobody catches still end the run.
fn hush() {
    static HUSHED: std::sync::Once = std::sync::Once::new();
    HUSHED.call_once(|| {
        if std::env::var_os("DGEN_FUZZ_LOUD").is_none() {
            std::panic::set_hook(Box::new(|_| {}));
        }
    });
}
