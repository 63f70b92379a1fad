//! A short run of the harness, and that it finds what is planted.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use dgen_crash::{Harness, Lie, Mode, Summary};

fn harness() -> Harness {
    Harness::new(env!("CARGO_BIN_EXE_dgen-crash"))
}

fn run(harness: &Harness, seed: u64, rounds: u64) -> Summary {
    harness.run(seed, rounds, |_| {}).unwrap()
}

/// SPEC L1, L2, S2, S4, S7, S9, T1, T2, T3: killed at any moment, with and without loss of power, a
/// program loses nothing that it acknowledged, and nothing happens twice.
#[test]
fn nothing_is_lost_at_a_kill() {
    let seed = dgen_testkit::random::seed_from_env();
    let summary = run(&harness(), seed, 60);
    assert!(
        summary.failures.is_empty(),
        "{}",
        summary.failures.join("\n")
    );
    assert_eq!(summary.rounds(), 60);
    assert!(summary.acknowledgements > 60, "{summary}");
}

/// Runs store after store, until the lie is found; panics if it never is. Returns what was found.
fn find(lie: Lie, mode: Mode) -> String {
    let harness = harness().with_lie(lie).in_modes(&[mode]);
    for seed in 0..30 {
        let summary = run(&harness, seed, 4);
        if let Some(failure) = summary.failures.into_iter().next() {
            return failure;
        }
    }
    panic!("{lie:?} was not found in 120 rounds");
}

/// SPEC L2: a flush that does nothing is found.
#[test]
fn a_flush_that_does_nothing_is_found() {
    let found = find(Lie::SyncDoesNothing, Mode::Forgetful);
    assert!(found.contains("lost"), "{found}");
}

/// SPEC L2: a flush of the directory that does nothing is found.
#[test]
fn a_flush_of_the_directory_that_does_nothing_is_found() {
    let found = find(Lie::SyncDirDoesNothing, Mode::Forgetful);
    assert!(found.contains("lost"), "{found}");
}

/// SPEC L2: a disk that loses what it has flushed is found.
#[test]
fn a_lost_write_is_found() {
    let found = find(Lie::DropsWrites, Mode::Cached);
    assert!(found.contains("lost"), "{found}");
}

/// SPEC S2: a caller that is told of success before there is any is found.
#[test]
fn an_early_acknowledgement_is_found() {
    let found = find(Lie::AcknowledgesEarly, Mode::Plain);
    // Told by who was told too early, or by one with ids whose count is behind.
    assert!(
        ["are stored: lost", "was answered", "took effect"]
            .iter()
            .any(|text| found.contains(text)),
        "{found}"
    );
}

/// SPEC T3: a message that is sent again under another id takes effect twice, and is found.
#[test]
fn a_retry_under_another_id_is_found() {
    let found = find(Lie::RetriesUnderAnotherId, Mode::Plain);
    assert!(
        ["was answered", "took effect"]
            .iter()
            .any(|text| found.contains(text)),
        "{found}"
    );
}

/// SPEC T1: what a handler sends twice is found.
#[test]
fn a_double_send_is_found() {
    let found = find(Lie::SendsTwice, Mode::Plain);
    assert!(found.contains("out of order"), "{found}");
}

/// SPEC T1: what a handler should have sent is found.
#[test]
fn a_lost_send_is_found() {
    let found = find(Lie::KeepsTheMoney, Mode::Plain);
    assert!(found.contains("transfer-"), "{found}");
}
