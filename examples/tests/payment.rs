//! `payment`, killed while the bank takes its time.

mod support;

use std::{fs, path::Path, process::Command};

use support::{Running, example, output};

/// SPEC S7: locked work of a killed process is taken over, and its message takes effect once.
#[test]
fn a_payment_that_is_killed_twice_is_booked_once() {
    let folder = tempfile::tempdir().unwrap();
    let book = || fs::read_to_string(folder.path().join("book")).unwrap();
    let booked = |book: &str| book.matches("tea: booked 250 cents\n").count();

    let mut before = Running::start(&mut payment(folder.path(), "60"));
    before.wait_for("the bank is asked");
    before.kill();
    assert_eq!(booked(&book()), 0);

    // The bank has booked it, but its answer does not arrive.
    let mut after = Running::start(&mut payment(folder.path(), "2"));
    after.wait_for("was killed at its work, which is taken over");
    after.wait_for("the bank has booked 250 cents");
    after.kill();
    assert_eq!(booked(&book()), 1);

    let text = output(&mut payment(folder.path(), "0"));
    assert!(text.contains("taken over"), "{text}");
    assert!(text.contains("paid: booked 250 cents"), "{text}");
    let text = output(&mut payment(folder.path(), "60"));
    assert_eq!(text, "paid: booked 250 cents\n");

    let book = book();
    assert_eq!(booked(&book), 1);
    let asked = book.lines().filter_map(|line| line.split_once("fence "));
    let fences: Vec<u64> = asked.map(|(_, fence)| fence.parse().unwrap()).collect();
    assert!(
        fences.len() == 3 && fences.is_sorted_by(|one, next| one < next),
        "{fences:?}"
    );
}

fn payment(folder: &Path, bank_seconds: &str) -> Command {
    let mut payment = example("payment");
    payment.arg("--data").arg(folder);
    payment.args(["--bank-seconds", bank_seconds]);
    payment
}
