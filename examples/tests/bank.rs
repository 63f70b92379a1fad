//! `bank`, killed.

mod support;

use std::process::Command;

use support::{Running, example, output};

const KILLS: u32 = 24;

/// The bank of 16 accounts, of which each is opened with 1,000 cents.
fn bank(folder: &tempfile::TempDir, seconds: &str) -> Command {
    let mut bank = example("bank");
    bank.arg("--data").arg(folder.path());
    bank.args(["--accounts", "16", "--callers", "16", "--seconds", seconds]);
    bank
}

/// SPEC T1, S2: a transfer is in one transaction at both ends, whenever the program is killed.
#[test]
fn no_cent_is_lost_however_the_bank_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    for kill in 0..KILLS {
        let mut bank = Running::start(&mut bank(&folder, "60"));
        // Every other time also while accounts are opened, and what waits in queues is handled.
        if kill % 2 == 0 {
            assert_eq!(bank.wait_for("found"), "found 16000 cents");
        }
        bank.wait_for_some_writes(folder.path(), 40);
        assert!(bank.kill(), "the bank has ended by itself");
    }
    let text = output(&mut bank(&folder, "1"));
    assert!(text.contains("found 16000 cents"), "{text}");
    assert!(text.contains("left 16000 cents"), "{text}");
}
