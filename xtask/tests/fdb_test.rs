//! `cargo xtask fdb-test` with stand-ins for cargo and FoundationDB: nothing it started is left,
//! however it ends.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// The task, where all it needs seems to be installed.
struct Task {
    command: Command,
    /// Its temporary directory.
    folder: TempDir,
    _libraries: TempDir,
}

impl Task {
    fn new(options: &[&str]) -> Self {
        let (folder, libraries) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["fdb_c", "clang"] {
            let library = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
            fs::write(libraries.path().join(library), "").unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("fdb-test")
            .args(options)
            .env("PATH", format!("{}:/usr/bin:/bin", stand_ins().display()))
            .env("FDB_CLIENT_LIB_PATH", libraries.path())
            .env("LIBCLANG_PATH", libraries.path())
            .env("TMPDIR", folder.path())
            .env_remove("FDB_CLUSTER_FILE")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            folder,
            _libraries: libraries,
        }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn output(&mut self) -> Output {
        self.command.output().unwrap()
    }

    /// Whether everything in its temporary directory is gone.
    fn is_cleared(&self) -> bool {
        fs::read_dir(self.folder.path()).unwrap().next().is_none()
    }
}

fn stand_ins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_ins")
}

fn stdout(output: &Output) -> &str {
    str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

/// The process that a line names.
fn process(line: &str) -> Pid {
    let (_, rest) = line.split_once("as process ").unwrap();
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    Pid::from_raw(digits.parse().unwrap()).unwrap()
}

/// Whether there is this process, be it one that has ended and was not waited for.
fn exists(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

/// Reads lines to the first that holds `text`.
fn line_with(text: &str, lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    loop {
        line.clear();
        let bytes = lines.read_line(&mut line).unwrap();
        assert!(bytes > 0, "there is no {text:?} to the end");
        if line.contains(text) {
            return line;
        }
    }
}

/// The task in the middle of a test.
struct Middle {
    child: Child,
    stdout: BufReader<ChildStdout>,
    server: Pid,
    test: Pid,
}

impl Middle {
    fn new(task: &mut Task) -> Self {
        task.command.env("CARGO_STAND_IN", "runs");
        let mut child = task.command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let server = process(&line_with("fdbserver runs as process ", &mut stdout));
        let test = process(&line_with("a test runs as process ", &mut stdout));
        assert!(exists(server) && exists(test));
        Self {
            child,
            stdout,
            server,
            test,
        }
    }

    /// What it still prints, to both outputs; and how it ends. This returns when the test is gone
    /// too, because the test has the second output open.
    fn end(mut self) -> (String, Output) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        let output = self.child.wait_with_output().unwrap();
        assert!(!exists(self.server));
        (rest, output)
    }
}

#[test]
fn a_task_that_passes_says_so_and_leaves_nothing() {
    let mut task = Task::new(&[]);
    let output = task.output();
    let text = stdout(&output);
    assert!(output.status.success(), "{text}{}", stderr(&output));
    let last = text.lines().last().unwrap();
    let (count, _) = last
        .strip_prefix("fdb-test: ")
        .and_then(|rest| rest.split_once(" tests passed, 0 failed"))
        .unwrap();
    assert!(count.parse::<u64>().unwrap() > 3, "{last}");
    assert!(!exists(process(text)));
    assert!(task.is_cleared());
}

#[test]
fn tests_that_fail_fail_the_task_and_every_step_is_run() {
    let mut task = Task::new(&[]).env("CARGO_STAND_IN", "fails");
    let output = task.output();
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for step in ["backend", "queue", "codec", "server", "clippy", "doc"] {
        assert!(
            text.lines()
                .any(|line| line.starts_with(step) && line.contains(" failed ")),
            "{step}: {text}"
        );
    }
    assert!(!exists(process(text)));
    assert!(task.is_cleared());
}

#[test]
fn a_signal_in_the_middle_ends_tests_and_server() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut task = Task::new(&[]);
        let middle = Middle::new(&mut task);
        kill_process(Pid::from_child(&middle.child), signal).unwrap();
        let (rest, output) = middle.end();
        assert_eq!(output.status.code(), Some(1), "{signal:?}: {rest}");
        assert!(stderr(&output).contains("stopped by SIG"), "{signal:?}");
        assert!(rest.contains("not run"), "{signal:?}: {rest}");
        assert!(task.is_cleared(), "{signal:?}");
    }
}

#[test]
fn tests_do_not_wait_for_a_server_that_has_died() {
    let mut task = Task::new(&[]);
    let middle = Middle::new(&mut task);
    kill_process(middle.server, Signal::KILL).unwrap();
    let (_, output) = middle.end();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("fdbserver has ended"));
    assert!(task.is_cleared());
}

/// Nobody reads what the task prints when the test has ended: it dies of a panic.
#[test]
fn a_panic_ends_tests_and_server() {
    let mut task = Task::new(&[]);
    let Middle {
        child,
        stdout,
        server,
        test,
    } = Middle::new(&mut task);
    drop(stdout);
    kill_process(test, Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(stderr(&output).contains("panicked"));
    assert!(!exists(server));
    assert!(task.is_cleared());
}

#[test]
fn a_server_that_does_not_start_is_explained_by_its_log() {
    let mut task = Task::new(&[]).env("FDBSERVER_STAND_IN", "ends");
    let output = task.output();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("fdbserver has ended") && text.contains("the port is taken"),
        "{text}"
    );
    assert!(task.is_cleared());
}

#[test]
fn a_server_that_is_kept_runs_on() {
    let mut task = Task::new(&["--keep"]);
    let output = task.output();
    let server = process(stdout(&output));
    let ran_on = exists(server);
    kill_process(server, Signal::KILL).unwrap();
    assert!(output.status.success());
    assert!(ran_on);
    assert!(!task.is_cleared());
}

#[test]
fn what_is_missing_is_named_before_anything_is_built() {
    let empty = tempfile::tempdir().unwrap();
    let mut task = Task::new(&["--fdbserver", "/nowhere/fdbserver"])
        .env("LIBCLANG_PATH", empty.path().to_str().unwrap());
    let output = task.output();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output), "");
    let text = stderr(&output);
    assert!(text.contains("/nowhere/fdbserver is not a file"), "{text}");
    assert!(text.contains("libclang: not at LIBCLANG_PATH"), "{text}");
    assert!(
        text.contains("https://github.com/apple/foundationdb/releases"),
        "{text}"
    );
}
