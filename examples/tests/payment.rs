//! `payment`, killed while the bank takes its time.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::{fs, process::Command};

use support::{Running, Store, output};

/// SPEC S7: locked work of a killed process is taken over, and its message takes effect once.
#[test]
fn a_payment_that_is_killed_twice_is_booked_once() {
    killed_twice_it_is_booked_once(&Store::in_folder());
}

#[cfg(feature = "fdb")]
mod on_cluster {
    use super::*;

    /// SPEC S7, F1: on a cluster too.
    #[test]
    fn a_payment_that_is_killed_twice_is_booked_once() {
        killed_twice_it_is_booked_once(&Store::on_cluster());
    }

    /// SPEC S7: who comes while another OS process is at work waits for it, and asks the bank nothing.
    #[test]
    fn a_payment_that_is_asked_for_twice_at_once_is_booked_once() {
        let store = Store::on_cluster();
        // Longer than any cluster stands still: the first is not to lose its lock.
        let patient = |bank_seconds| {
            let mut payment = payment(&store, bank_seconds);
            payment.args(["--lease-seconds", "60"]);
            payment
        };
        let mut first = Running::start(&mut patient("4"));
        first.wait_for("the bank is asked");
        let mut second = Running::start(&mut patient("60"));
        second.wait_for("is at work");
        assert_eq!(second.finish(), "paid: booked 250 cents");
        assert!(first.finish().ends_with("paid: booked 250 cents"));
        let book = fs::read_to_string(store.path().join("book")).unwrap();
        assert_eq!(book.lines().count(), 2, "{book}");
    }
}

fn killed_twice_it_is_booked_once(store: &Store) {
    let book = || fs::read_to_string(store.path().join("book")).unwrap();
    let booked = |book: &str| book.matches("tea: booked 250 cents\n").count();

    let mut before = Running::start(&mut payment(store, "60"));
    before.wait_for("the bank is asked");
    before.kill();
    assert_eq!(booked(&book()), 0);

    // The bank has booked it, but its answer does not arrive.
    let mut after = Running::start(&mut payment(store, "2"));
    after.wait_for("is at work; if it was killed, that is taken over");
    after.wait_for("the bank has booked 250 cents");
    after.kill();
    assert_eq!(booked(&book()), 1);

    let text = output(&mut payment(store, "0"));
    assert!(text.contains("taken over"), "{text}");
    assert!(text.contains("paid: booked 250 cents"), "{text}");
    let text = output(&mut payment(store, "60"));
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

fn payment(store: &Store, bank_seconds: &str) -> Command {
    let mut payment = store.example("payment");
    payment.args(["--bank-seconds", bank_seconds]);
    payment
}
