//! Bugs on purpose are found, each in one of a number of worlds: so the checks see what they are for.
#![cfg(feature = "planted-bugs")]

use dgen_backend::planted::Bug;
use dgen_sim::{campaign, planted::look_for};

/// The rarest of them takes some hundred worlds.
const WORLDS: u64 = 1_000;

/// Each planted bug is found; `tests/worlds.rs` shows that nothing is found where there is none.
#[test]
fn every_planted_bug_is_found() {
    campaign::hush();
    let found = Bug::ALL.map(|bug| look_for(bug, 0..WORLDS, true));
    let missed: Vec<_> = found
        .iter()
        .filter(|found| found.seeds.is_empty())
        .collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
