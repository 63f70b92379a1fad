//! `reminders`, missed and cancelled.

mod support;

use std::path::Path;

use support::{example, output};

/// SPEC T2: what was missed while nobody consumed fires once on return, and says how late it is.
#[test]
fn reminders_that_were_missed_fire_once() {
    let folder = tempfile::tempdir().unwrap();
    let reminders = |arguments: &[&str]| reminders(folder.path(), arguments);
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

fn reminders(folder: &Path, arguments: &[&str]) -> String {
    let mut reminders = example("reminders");
    output(reminders.arg("--data").arg(folder).args(arguments))
}
