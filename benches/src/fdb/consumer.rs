//! A consumer in an OS process of its own: this program once more, until its input ends.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use dgen_backend::env::Env;
use tokio::sync::oneshot;

use crate::{
    Outcome,
    fdb::stage::{self, Stage},
};

/// What it prints when it consumes.
const READY: &str = "ready";

/// Ends when it is dropped.
#[derive(Debug)]
pub(super) struct Consumer {
    process: Child,
    /// Its end tells the process to end, even if it ends since we were killed.
    input: Option<ChildStdin>,
}

impl Consumer {
    /// Starts one of the shared server, and waits until it consumes.
    pub(super) fn start(stage: &Stage) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--fdb", "--fdb-consumer", &stage.number().to_string()]);
        if let Some(path) = stage.cluster_file() {
            command.args(["--cluster-file", path]);
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take();
        let consumer = Self {
            input: process.stdin.take(),
            process,
        };
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line)?;
        }
        match line.trim() {
            READY => Ok(consumer),
            _ => Err("a consumer in another OS process did not start".into()),
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        drop(self.input.take());
        // It says by itself what goes wrong.
        let _ = self.process.wait();
    }
}

/// Is such a process.
pub(super) async fn run(cluster_file: Option<&Path>, number: u64) -> Outcome {
    let counter = stage::start_shared(cluster_file, number).await?;
    println!("{READY}");
    io::stdout().flush()?;
    let (end, ended) = oneshot::channel::<()>();
    Env::system().spawn_thread("input", move || {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        drop(end);
    })?;
    let _ = ended.await;
    counter.stop().await;
    Ok(())
}
