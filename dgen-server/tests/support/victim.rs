//! A child process that works in a folder until it is killed. It is the very test program, told by an
//! environment variable what to do.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const FOLDER: &str = "DGEN_KILL_FOLDER";

/// What each caller was told last.
pub(crate) type Acknowledged = BTreeMap<u32, u64>;

/// In the child: where to work.
pub(crate) fn folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

/// In the child: `caller` was told `count`.
pub(crate) fn acknowledge(caller: u32, count: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ack {caller} {count}").expect("somebody reads it");
    out.flush().expect("somebody reads it");
}

/// How much work there is before each kill: each time another, so that the kill falls anywhere.
pub(crate) fn amounts(below: u64) -> impl Iterator<Item = u64> {
    let mut random = u64::from(std::process::id());
    std::iter::from_fn(move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some((random >> 33) % below)
    })
}

/// Starts the child, which is the test `child` of this program, lets it acknowledge `answers`, kills
/// it, and adds all that it acknowledged.
pub(crate) fn kill_after(answers: u64, folder: &Path, acknowledged: &mut Acknowledged) {
    let mut child = Command::new(env::current_exe().expect("this program has a path"))
        .args(["--exact", "child", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child starts");
    let stdout = child.stdout.take().expect("it is piped");
    let mut seen = 0;
    let mut is_killed = false;
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // The test harness may have put something of its own before it.
        if let Some((_, ack)) = line.split_once("ack ") {
            let (caller, count) = ack.split_once(' ').expect("two numbers");
            let caller = caller.parse().expect("a number");
            acknowledged.insert(caller, count.parse().expect("a number"));
            seen += 1;
        }
        if seen >= answers && !is_killed && seen > 0 {
            child.kill().expect("it can be killed");
            is_killed = true;
        }
    }
    assert!(is_killed, "the child ended by itself: {:?}", child.wait());
    child.wait().expect("it has ended");
}
