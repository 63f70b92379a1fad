//! `bank`, killed.

mod support;

use std::process::Command;

use support::{Running, Store, output};

/// SPEC T1, S2: a transfer is in one transaction at both ends, whenever the program is killed.
#[test]
fn no_cent_is_lost_however_the_bank_is_killed() {
    no_cent_is_lost(&Store::in_folder(), 24);
}

#[cfg(feature = "fdb")]
mod on_cluster {
    use super::*;

    /// SPEC T1, S2, F1: on a cluster too.
    #[test]
    fn no_cent_is_lost_however_the_bank_is_killed() {
        no_cent_is_lost(&Store::on_cluster(), 8);
    }
}

fn no_cent_is_lost(store: &Store, kills: u32) {
    for kill in 0..kills {
        let mut bank = Running::start(&mut bank(store, "60"));
        // Every other time also while accounts are opened, and what waits in queues is handled.
        if kill % 2 == 0 {
            assert_eq!(bank.wait_for("found"), "found 16000 cents");
        }
        bank.wait_for_some_writes(store, 40);
        assert!(bank.kill(), "the bank has ended by itself");
    }
    let text = output(&mut bank(store, "1"));
    assert!(text.contains("found 16000 cents"), "{text}");
    assert!(text.contains("left 16000 cents"), "{text}");
}

/// The bank of 16 accounts, of which each is opened with 1,000 cents.
fn bank(store: &Store, seconds: &str) -> Command {
    let mut bank = store.example("bank");
    bank.args(["--accounts", "16", "--callers", "16", "--seconds", seconds]);
    bank
}
