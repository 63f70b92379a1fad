//! FoundationDB's command line, asked once and again until it says what it should.

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::{fdb_test::group::Group, outcome::Outcome, stopwatch::Stopwatch};

/// How long to ask.
const PATIENCE: Duration = Duration::from_secs(60);

/// After how many seconds the command line gives up. A server that has just started may be asked in
/// vain where a later question is answered at once.
const ATTEMPT_SECONDS: &str = "5";

/// Creates the database of a new cluster, with one copy of everything.
pub(super) fn create_database(
    fdbcli: &Path,
    cluster_file: &Path,
    engine: &str,
    go_on: impl Fn() -> Outcome,
) -> Outcome {
    // It exists already if an answer was lost.
    let expected = ["Database created", "Database already exists"];
    let words = format!("configure new single {engine}");
    insist(fdbcli, cluster_file, &words, &expected, go_on)
}

/// Waits until the database can be used.
pub(super) fn wait_until_available(
    fdbcli: &Path,
    cluster_file: &Path,
    go_on: impl Fn() -> Outcome,
) -> Outcome {
    let expected = ["The database is available"];
    insist(fdbcli, cluster_file, "status minimal", &expected, go_on)
}

/// What the cluster says of itself, and of what slows it down.
pub(super) fn status(
    fdbcli: &Path,
    cluster_file: &Path,
    go_on: impl Fn() -> Outcome,
) -> Outcome<String> {
    ask(fdbcli, cluster_file, "status", go_on)
}

/// Says `words` to the cluster of `cluster_file`, until the answer contains one of `expected`.
///
/// # Errors
///
/// That of `go_on`, which is asked often, or after a minute the last answer.
fn insist(
    fdbcli: &Path,
    cluster_file: &Path,
    words: &str,
    expected: &[&str],
    go_on: impl Fn() -> Outcome,
) -> Outcome {
    let watch = Stopwatch::start();
    let mut answer = String::from("nothing");
    loop {
        let go_on = || {
            go_on()?;
            if watch.elapsed() < PATIENCE {
                return Ok(());
            }
            let (seconds, answer) = (PATIENCE.as_secs(), answer.trim());
            Err(format!("`{words}` in vain for {seconds} s; fdbcli said: {answer}").into())
        };
        go_on()?;
        let next = ask(fdbcli, cluster_file, words, go_on)?;
        if expected.iter().any(|expected| next.contains(expected)) {
            return Ok(());
        }
        answer = next;
    }
}

/// Says `words` once; returns all that the command line prints.
fn ask(
    fdbcli: &Path,
    cluster_file: &Path,
    words: &str,
    go_on: impl Fn() -> Outcome,
) -> Outcome<String> {
    let mut output: File = tempfile::tempfile()?;
    let mut command = Command::new(fdbcli);
    command
        .arg("-C")
        .arg(cluster_file)
        .args(["--exec", words, "--timeout", ATTEMPT_SECONDS])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?);
    // Its exit status says no more than its words.
    Group::spawn(&mut command)?.wait(go_on)?;
    output.rewind()?;
    let mut bytes = Vec::new();
    output.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
