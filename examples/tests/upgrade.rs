//! `upgrade`, there and not back.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::process::Command;

use support::{Store, output};

/// SPEC M4, C4: a new version reads the state and the messages of the old one; an old version that
/// can't read the new state says so, and overwrites nothing.
#[test]
fn a_new_version_goes_on_where_the_old_one_was() {
    it_goes_on_and_not_back(&Store::in_folder());
}

#[cfg(feature = "fdb")]
mod on_cluster {
    use super::*;

    /// SPEC M4, C4, F1: on a cluster too.
    #[test]
    fn a_new_version_goes_on_where_the_old_one_was() {
        it_goes_on_and_not_back(&Store::on_cluster());
    }
}

fn it_goes_on_and_not_back(store: &Store) {
    let v1 = output(&mut upgrade(store, "v1"));
    assert!(v1.contains(r#"["tea"] in the cart"#), "{v1}");
    assert!(v1.contains("2 messages in the queue"), "{v1}");

    let v2 = output(&mut upgrade(store, "v2"));
    assert!(v2.contains("2 messages in the queue"), "{v2}");
    assert!(
        v2.contains(r#"["tea", "milk", "sugar"] in the basket"#),
        "{v2}"
    );
    assert!(
        v2.contains(r#""cup", "cup"] in the basket, coupon Some("TEATIME")"#),
        "{v2}"
    );

    let refused = upgrade(store, "v1").output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(error.contains("missing field `items`"), "{error}");

    let v2 = output(&mut upgrade(store, "v2"));
    assert!(
        v2.contains(r#"["tea", "milk", "sugar", "cup", "cup"] in the basket"#),
        "{v2}"
    );
}

fn upgrade(store: &Store, version: &str) -> Command {
    let mut upgrade = store.example("upgrade");
    upgrade.arg(version);
    upgrade
}
