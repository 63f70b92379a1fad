//! A child that runs, as its parent sees it.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use clap::ValueEnum as _;
use dgen_backend::env::Env;

use crate::child::{Child, Known};

pub(crate) struct Running {
    process: std::process::Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: PathBuf,
    env: Env,
    started: Instant,
    is_killed: bool,
}

/// What comes next of a child.
pub(crate) enum Event {
    Line(String),
    /// Nothing until then.
    Late,
    /// It has ended, and said all that it had to say.
    Ended,
}

impl Running {
    /// Starts `program` as a child that does what `child` says; what it writes to standard error goes
    /// to the file `stderr`.
    pub(crate) fn start(program: &Path, child: &Child, stderr: PathBuf) -> io::Result<Self> {
        let env = Env::system();
        let started = env.now();
        let mut process = Command::new(program)
            .arg("child")
            .args(arguments(child))
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr)?)
            .spawn()?;
        let stdout = process.stdout.take().expect("it is piped");
        let stdin = process.stdin.take();
        let (sender, lines) = mpsc::channel();
        env.spawn_thread("lines of a child", move || {
            // A line that the kill has cut is not one: what it acknowledges was not said.
            let mut stdout = BufReader::new(stdout);
            let mut line = String::new();
            while stdout.read_line(&mut line).is_ok_and(|count| count > 0) && line.ends_with('\n') {
                line.pop();
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self {
            process,
            stdin,
            lines,
            stderr,
            env,
            started,
            is_killed: false,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn is_killed(&self) -> bool {
        self.is_killed
    }

    /// How long it has run.
    pub(crate) fn age(&self) -> Duration {
        self.env.now().saturating_duration_since(self.started)
    }

    /// Tells it what its callers know; before that it does not send.
    pub(crate) fn tell(&mut self, known: &Known) {
        if let Some(mut stdin) = self.stdin.take() {
            // If it is dead already, it needs not know.
            let _ = writeln!(stdin, "{}", known.to_line());
        }
    }

    /// Its next line, unless it has said nothing when it is as old as `age`.
    pub(crate) fn next(&mut self, age: Duration) -> Event {
        let timeout = age.saturating_sub(self.age());
        match self.lines.recv_timeout(timeout) {
            Ok(line) => Event::Line(line),
            Err(RecvTimeoutError::Timeout) => Event::Late,
            Err(RecvTimeoutError::Disconnected) => Event::Ended,
        }
    }

    /// SIGKILL, or what the system has in its place.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.is_killed = true;
        self.process.kill()
    }

    /// Waits until it is gone.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        self.process.wait()
    }

    /// What it wrote to standard error.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn arguments(child: &Child) -> Vec<std::ffi::OsString> {
    let mut arguments = Vec::new();
    let mut push = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
        arguments.push(name.into());
        arguments.push(value.as_ref().to_owned());
    };
    push("--folder", &child.folder);
    push("--seed", &child.seed.to_string());
    push(
        "--segment-size-bytes",
        &child.segment_size_bytes.to_string(),
    );
    push("--flush-micros", &child.flush_micros.to_string());
    if let Some(journal) = &child.journal {
        push("--journal", journal);
    }
    if let Some(operation) = child.stop_at {
        push("--stop-at", &operation.to_string());
    }
    if let Some(operation) = child.stop_at_data {
        push("--stop-at-data", &operation.to_string());
    }
    if let Some(operation) = child.stop_at_close {
        push("--stop-at-close", &operation.to_string());
    }
    if let Some(lie) = child.lie.and_then(|lie| lie.to_possible_value()) {
        push("--lie", &lie.get_name());
    }
    for (is_set, name) in [
        (child.waits, "--waits"),
        (child.audits, "--audits"),
        (child.ends, "--ends"),
        (child.is_later, "--is-later"),
    ] {
        if is_set {
            arguments.push(name.into());
        }
    }
    arguments
}
