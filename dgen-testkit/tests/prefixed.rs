//! A part of a database behaves as a whole one.

use dgen_testkit::{
    differential::{Options, compare},
    model, prefixed,
};

/// SPEC B9: nothing that can be seen tells a part from a whole.
#[tokio::test]
async fn part_and_whole_show_the_same() {
    let part = prefixed(&model::in_memory(), *b"a part of it");
    let whole = model::in_memory();
    let report = compare(&part, &whole, &Options::new(7)).await;
    let report = report.unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(report.commits > 0 && report.conflicts > 0, "{report:?}");
}

/// SPEC B9: two parts of one database share nothing.
#[tokio::test]
async fn parts_share_nothing() {
    let whole = model::in_memory();
    let (a, b) = (prefixed(&whole, *b"a"), prefixed(&whole, *b"b"));
    let set = a.transact(async |tx| tx.set(b"key", b"")).await;
    set.expect("the model writes");
    let tx = b.begin().expect("the model is open");
    assert_eq!(tx.get(b"key").await.expect("the model reads"), None);
}
