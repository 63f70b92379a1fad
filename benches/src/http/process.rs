//! A server in an OS process of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::Outcome;

/// What a server prints before its address.
pub(super) const LISTENING: &str = "listening on http://";

/// Ends when it is dropped.
pub(super) struct Process {
    process: Child,
    address: SocketAddr,
}

impl Process {
    /// The bare server: this program once more.
    pub(super) fn bare(folder: &Path) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare-server").arg(folder);
        Self::start(command)
    }

    /// The service: the program at `path`, by default where cargo builds examples beside this program.
    pub(super) fn service(path: Option<&Path>, folder: &Path) -> Outcome<Self> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => beside()?,
        };
        let mut command = Command::new(&path);
        command.args(["--port", "0", "--data"]).arg(folder);
        Self::start(command).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(mut command: Command) -> Outcome<Self> {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take();
        let mut server = Self {
            process,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let mut line = String::new();
        if let Some(output) = output {
            BufReader::new(output).read_line(&mut line)?;
        }
        let address = line.trim().strip_prefix(LISTENING);
        server.address = address.ok_or("it did not begin to listen")?.parse()?;
        Ok(server)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and what it wrote is thrown away.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn beside() -> Outcome<PathBuf> {
    let name = format!("service{}", std::env::consts::EXE_SUFFIX);
    let program = std::env::current_exe()?;
    let folder = program.parent().ok_or("this program is in no folder")?;
    Ok(folder.join("examples").join(name))
}
