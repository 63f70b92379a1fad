//! `reminders`, missed and cancelled.

mod support;

use support::{Store, output};

/// SPEC T2: what was missed while nobody consumed fires once on return, and says how late it is.
#[test]
fn reminders_that_were_missed_fire_once() {
    missed_ones_fire_once(&Store::in_folder());
}

#[cfg(feature = "fdb")]
mod on_cluster {
    use super::*;
    use support::Running;

    /// SPEC T2, F1: on a cluster too.
    #[test]
    fn reminders_that_were_missed_fire_once() {
        missed_ones_fire_once(&Store::on_cluster());
    }

    /// SPEC T2: what another OS process notes is fired by the one that consumes.
    #[test]
    fn a_running_program_fires_what_another_notes() {
        let store = Store::on_cluster();
        let reminders = |arguments: &[&str]| output(store.example("reminders").args(arguments));
        assert_eq!(reminders(&["in", "1h", "ring Ada"]), "noted as 1\n");
        let mut running = Running::start(store.example("reminders").arg("run"));
        assert_eq!(reminders(&["in", "0s", "drink the tea"]), "noted as 2\n");
        running.wait_for("2: drink the tea, ");
        assert_eq!(reminders(&["cancel", "1"]), "1 is struck out\n");
        assert_eq!(reminders(&["in", "1ms", "feed the cat"]), "noted as 3\n");
        let rest = running.finish();
        assert!(rest.starts_with("3: feed the cat, "), "{rest}");
        assert!(rest.ends_with("no reminder is left"), "{rest}");
    }
}

fn missed_ones_fire_once(store: &Store) {
    let reminders = |arguments: &[&str]| output(store.example("reminders").args(arguments));
    assert_eq!(reminders(&["in", "0s", "drink the tea"]), "noted as 1\n");
    assert_eq!(reminders(&["in", "1h", "ring Ada"]), "noted as 2\n");
    assert_eq!(reminders(&["in", "1ms", "feed the cat"]), "noted as 3\n");
    // Whoever only asks fires nothing.
    let list = reminders(&["list"]);
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(list.contains("2: ring Ada, at 2"), "{list}");
    assert_eq!(reminders(&["cancel", "2"]), "2 is struck out\n");

    let fired = reminders(&["run"]);
    assert_eq!(fired.lines().count(), 3, "{fired}");
    assert!(fired.starts_with("1: drink the tea, "), "{fired}");
    assert!(fired.contains("\n3: feed the cat, "), "{fired}");
    assert!(fired.ends_with("no reminder is left\n"), "{fired}");
    assert_eq!(reminders(&["list"]), "");
    assert_eq!(reminders(&["run"]), "nothing is to come\n");
}
