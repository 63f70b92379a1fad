//! What needs FoundationDB's client library, and what does not.

use std::process::Command;

/// SPEC F2: nothing outside of dgen-fdb is linked to the client library, tests and examples included.
#[test]
fn dgen_fdb_alone_needs_the_client_library() {
    let rest = dependencies(&["--workspace", "--exclude", "dgen-fdb"]);
    assert!(rest.contains("dgen-server"), "{rest}");
    assert!(!rest.contains("foundationdb-sys"), "{rest}");
    let dgen_fdb = dependencies(&["--package", "dgen-fdb"]);
    assert!(dgen_fdb.contains("foundationdb-sys"), "{dgen_fdb}");
}

/// SPEC F2: `cargo build` and `cargo test` leave it out.
#[test]
fn default_members_are_without_dgen_fdb() {
    let default = dependencies(&[]);
    assert!(!default.contains("dgen-fdb"), "{default}");
}

/// All crates that are built for the members, their tests included.
fn dependencies(members: &[&str]) -> String {
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    tree.args(["tree", "--edges", "normal,build,dev", "--prefix", "none"]);
    let output = tree.args(members).output().expect("cargo runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}
