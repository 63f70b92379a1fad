//! `upgrade`, there and not back.

mod support;

use std::{path::Path, process::Command};

use support::{example, output};

/// SPEC M4, C4: a new version reads the state and the messages of the old one; an old version that
/// can't read the new state says so, and overwrites nothing.
#[test]
fn a_new_version_goes_on_where_the_old_one_was() {
    let folder = tempfile::tempdir().unwrap();
    let v1 = output(&mut upgrade(folder.path(), "v1"));
    assert!(v1.contains(r#"["tea"] in the cart"#), "{v1}");
    assert!(v1.contains("2 messages in the queue"), "{v1}");

    let v2 = output(&mut upgrade(folder.path(), "v2"));
    assert!(v2.contains("2 messages in the queue"), "{v2}");
    assert!(
        v2.contains(r#"["tea", "milk", "sugar"] in the basket"#),
        "{v2}"
    );
    assert!(
        v2.contains(r#""cup", "cup"] in the basket, coupon Some("TEATIME")"#),
        "{v2}"
    );

    let refused = upgrade(folder.path(), "v1").output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(error.contains("missing field `items`"), "{error}");

    let v2 = output(&mut upgrade(folder.path(), "v2"));
    assert!(
        v2.contains(r#"["tea", "milk", "sugar", "cup", "cup"] in the basket"#),
        "{v2}"
    );
}

fn upgrade(folder: &Path, version: &str) -> Command {
    let mut upgrade = example("upgrade");
    upgrade.arg("--data").arg(folder).arg(version);
    upgrade
}
