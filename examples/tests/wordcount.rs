//! `wordcount`, killed.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod support;

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use support::{Running, example, output};

const KILLS: u32 = 24;

/// What the example's documentation compares with.
const PIPELINE: &str = r"LC_ALL=C tr -cs 'A-Za-z' '\n' \
    | LC_ALL=C tr 'A-Z' 'a-z' | grep . | LC_ALL=C sort | uniq -c";

/// SPEC T1, S2: each part of the file is counted once, whenever the program is killed.
#[test]
fn words_are_counted_exactly_however_the_count_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    fs::write(&file, text()).unwrap();
    let expected = expected(&file);

    let (mut kills, mut stores) = (0, 0);
    while kills < KILLS {
        stores += 1;
        let store = folder.path().join(format!("store-{stores}"));
        while kills < KILLS {
            // Small parts, so that there is a transaction to kill whenever it is.
            let mut program = wordcount(&file, &store, "100");
            let mut running = Running::start(program.stderr(Stdio::null()));
            running.wait_for_some_writes(&store, 60);
            if !running.kill() {
                break; // it came to its end: once more, in a new store
            }
            kills += 1;
        }
        let counts = output(&mut wordcount(&file, &store, "10000"));
        assert_eq!(counts, expected, "after {kills} kills");
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
    for (number, text) in texts.iter().enumerate() {
        fs::write(&file, text).unwrap();
        let store = folder.path().join(format!("store-{number}"));
        let counts = output(&mut wordcount(&file, &store, "5"));
        assert_eq!(counts, expected(&file), "{text}");
    }
}

fn wordcount(file: &Path, store: &Path, chunk: &str) -> Command {
    let mut wordcount = example("wordcount");
    wordcount.arg(file).arg("--data").arg(store);
    wordcount.args(["--chunk", chunk]);
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
