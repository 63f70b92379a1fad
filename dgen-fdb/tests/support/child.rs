//! Other OS processes. They are the very test program, told by variables to run its test `child`, and
//! say what they do in lines.

use std::{env, process::Stdio, time::Duration};

use dgen_backend::{directory::DirectoryPath, env::Env};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child as Process, Command},
    sync::mpsc,
};

const ROLE: &str = "DGEN_TEST_ROLE";
const DIRECTORY: &str = "DGEN_TEST_DIRECTORY";

/// What a child's own lines begin with: the test harness writes some too.
const MARK: &str = "child> ";

/// Far more than any child takes for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// In a child: what to do. None in the test program itself.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// In a child: the directory to work in.
pub(crate) fn directory() -> DirectoryPath {
    let path = env::var(DIRECTORY).expect("its parent names one");
    DirectoryPath::from(path.split('/').map(str::to_owned).collect::<Vec<_>>())
}

/// In a child: tells its parent.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{MARK}{line}");
}

/// In a child: waits for a line of its parent's; none once the parent is gone.
pub(crate) fn listen() -> Option<String> {
    let mut line = String::new();
    let length = std::io::stdin().read_line(&mut line).ok()?;
    (length > 0).then(|| line.trim().to_owned())
}

/// A child to be started, with the role `role` in the directory at `path`.
pub(crate) fn command(role: &str, path: &DirectoryPath) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command
        .args(["--exact", "child", "--nocapture"])
        .env(ROLE, role)
        .env(DIRECTORY, path.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// A child. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: Process,
    lines: mpsc::UnboundedReceiver<String>,
}

impl Child {
    pub(crate) fn start(role: &str, path: &DirectoryPath) -> Self {
        Self::spawn(&mut command(role, path))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut process = command.spawn().expect("a child starts");
        let stdout = process.stdout.take().expect("it is piped");
        let (sender, lines) = mpsc::unbounded_channel();
        // Read at once, so that no child waits for its parent.
        let read = async move {
            let mut all = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = all.next_line().await {
                // What the harness wrote may stand before it.
                if let Some((_, line)) = line.split_once(MARK) {
                    let _ = sender.send(line.to_owned());
                }
            }
        };
        Env::system().spawn(read).expect("there is a runtime");
        Self { process, lines }
    }

    /// Its next line; none once it has ended.
    pub(crate) async fn next(&mut self) -> Option<String> {
        let next = Env::system().timeout(PATIENCE, self.lines.recv()).await;
        next.expect("it says something, or ends")
    }

    /// Waits until it says `line`; returns what it said before.
    pub(crate) async fn until(&mut self, line: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next().await {
                Some(next) if next == line => return before,
                Some(next) => before.push(next),
                None => panic!("it ended without {line:?}, and said {before:?}"),
            }
        }
    }

    /// Tells it `line`.
    pub(crate) async fn tell(&mut self, line: &str) {
        let stdin = self.process.stdin.as_mut().expect("it is piped");
        let told = stdin.write_all(format!("{line}\n").as_bytes()).await;
        told.expect("it listens");
    }

    /// Kills it with SIGKILL; returns all that it said and was not asked for yet.
    ///
    /// # Panics
    /// If it has ended by itself.
    pub(crate) async fn kill(mut self) -> Vec<String> {
        let ended = self.process.try_wait().expect("it can be asked");
        assert_eq!(ended, None, "it ended by itself");
        self.process.kill().await.expect("it can be killed");
        self.rest().await
    }

    /// Waits until it ends by itself; returns its exit status, and all that it said.
    ///
    /// # Panics
    /// If it hangs.
    pub(crate) async fn end(mut self) -> (std::process::ExitStatus, Vec<String>) {
        let ended = Env::system().timeout(PATIENCE, self.process.wait()).await;
        let status = ended.expect("it hangs").expect("it can be waited for");
        (status, self.rest().await)
    }

    async fn rest(&mut self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(line) = self.next().await {
            rest.push(line);
        }
        rest
    }
}
