//! `wordcount`, killed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use support::{Running, Store, output};

/// What the example's documentation compares with.
const PIPELINE: &str = r"LC_ALL=C tr -cs 'A-Za-z' '\n' \
    | LC_ALL=C tr 'A-Z' 'a-z' | grep . | LC_ALL=C sort | uniq -c";

/// SPEC T1, S2: each part of the file is counted once, whenever the program is killed.
#[test]
fn words_are_counted_exactly_however_the_count_is_killed() {
    they_are_counted_exactly(Store::in_folder, 24);
}

#[cfg(feature = "fdb")]
mod on_cluster {
    use super::*;

    /// SPEC T1, S2, F1: on a cluster too.
    #[test]
    fn words_are_counted_exactly_however_the_count_is_killed() {
        they_are_counted_exactly(Store::on_cluster, 8);
    }

    /// SPEC S11: two OS processes read one file, and each prints what both have counted.
    #[test]
    fn words_are_counted_exactly_by_two_at_once() {
        let store = Store::on_cluster();
        let file = store.path().join("text");
        // Each word stands in one place, so that neither of them reads all of them.
        let letters = || 'a'..='z';
        let words = letters().flat_map(|one| letters().map(move |two| format!("{one}{two} ")));
        fs::write(&file, words.collect::<String>()).unwrap();
        let start = || Running::start(wordcount(&file, &store, "10").stderr(Stdio::null()));
        for running in [start(), start()] {
            assert_eq!(running.finish() + "\n", expected(&file));
        }
    }
}

fn they_are_counted_exactly(new_store: impl Fn() -> Store, kills: u32) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    fs::write(&file, text()).unwrap();
    let expected = expected(&file);

    let mut killed = 0;
    while killed < kills {
        let store = new_store();
        while killed < kills {
            // Small parts, so that there is a transaction to kill whenever it is.
            let mut program = wordcount(&file, &store, "100");
            let mut running = Running::start(program.stderr(Stdio::null()));
            running.wait_for_some_writes(&store, 60);
            if !running.kill() {
                break; // it came to its end: once more, in a new store
            }
            killed += 1;
        }
        let counts = output(&mut wordcount(&file, &store, "10000"));
        assert_eq!(counts, expected, "after {killed} kills");
    }
}

/// Words are what the pipeline takes for words, at either end of a file and of its parts.
#[test]
fn words_are_runs_of_letters() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    let texts = [
        "-",
        "a",
        " A\na,b-\u{fc}ber \u{dc}ber a1b A.a'",
        "a longer wordlongerthanapart",
    ];
    for text in texts {
        fs::write(&file, text).unwrap();
        let counts = output(&mut wordcount(&file, &Store::in_folder(), "5"));
        assert_eq!(counts, expected(&file), "{text}");
    }
}

fn wordcount(file: &Path, store: &Store, chunk: &str) -> Command {
    let mut wordcount = store.example("wordcount");
    wordcount.arg(file).args(["--chunk", chunk]);
    wordcount
}

/// What the pipeline counts.
fn expected(file: &Path) -> String {
    let file = File::open(file).unwrap();
    output(Command::new("sh").args(["-c", PIPELINE]).stdin(file))
}

/// 100,000 bytes with some hundred words.
fn text() -> Vec<u8> {
    let readme = include_bytes!("../../README.md");
    readme.iter().cycle().take(100_000).copied().collect()
}
