//! A FoundationDB server of one process, started for the tests, which ends with the [`Server`].
//!
//! What it stores, what it logs and its cluster file are in a temporary directory, which goes too.

use std::{
    fmt,
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    fdb_test::{fdbcli, group::Group, interrupt::Interrupt, server_log},
    outcome::Outcome,
};

/// A server lets in hardly a transaction once less than 5 % of its disk is free, however much that is.
/// Here it goes on to the last 100 MB.
const KNOBS: [&str; 1] = ["--knob_min_available_space_ratio=0"];

/// Stopped when it is dropped, unless it is kept.
pub(super) struct Server {
    // Dropped in this order: first the process, then what it has open.
    process: Group,
    folder: TempDir,
    cluster_file: PathBuf,
}

impl Server {
    /// Starts a server on a free port. It has no database yet. If it `may_outlive_us`, it can be
    /// [kept](Self::keep).
    pub(super) fn start(fdbserver: &Path, may_outlive_us: bool) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("dgen-fdb").tempdir()?;
        let address = format!("{}:{}", Ipv4Addr::LOCALHOST, free_port()?);
        let cluster_file = folder.path().join("fdb.cluster");
        fs::write(&cluster_file, format!("dgen:test@{address}\n"))?;
        let (data, logs) = (folder.path().join("data"), folder.path().join("logs"));
        fs::create_dir(&data)?;
        fs::create_dir(&logs)?;
        let output = File::create(server_log::output(folder.path()))?;

        let mut command = Command::new(fdbserver);
        command
            .args(["--public-address", &address, "--listen-address", &address])
            .arg("--cluster-file")
            .arg(&cluster_file)
            .arg("--datadir")
            .arg(data)
            .arg("--logdir")
            .arg(logs)
            .args(KNOBS)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if !may_outlive_us {
            // It ends by itself once nothing is left of us that could end it.
            command.args(["--parentpid", &std::process::id().to_string()]);
        }
        Ok(Self {
            process: Group::spawn(&mut command)?,
            folder,
            cluster_file,
        })
    }

    /// Creates the database and waits until it is available.
    ///
    /// # Errors
    ///
    /// Why it is not, and the end of the server's log.
    pub(super) fn create_database(
        &self,
        fdbcli: &Path,
        engine: &str,
        interrupt: &Interrupt,
    ) -> Outcome {
        let go_on = || {
            interrupt.check()?;
            if self.process.has_ended()? {
                return Err("fdbserver has ended".into());
            }
            Ok(())
        };
        fdbcli::create_database(fdbcli, &self.cluster_file, engine, go_on)
            .and_then(|()| fdbcli::wait_until_available(fdbcli, &self.cluster_file, go_on))
            .map_err(|error| self.with_log(&error.to_string()).into())
    }

    pub(super) fn cluster_file(&self) -> &Path {
        &self.cluster_file
    }

    /// An error, with the end of its log, if the server has ended.
    pub(super) fn check(&self) -> Outcome {
        if self.process.has_ended()? {
            return Err(self.with_log("fdbserver has ended").into());
        }
        Ok(())
    }

    /// Leaves it running, and its directory where it is.
    pub(super) fn keep(&mut self) {
        self.process.keep();
        self.folder.disable_cleanup(true);
    }

    fn with_log(&self, message: &str) -> String {
        format!("{message}\n{}", server_log::end(self.folder.path()))
    }
}

/// One that nobody listened on a moment ago.
fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// What one needs to use it and to end it.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.process.pid();
        let cluster_file = self.cluster_file.display();
        write!(
            f,
            "fdbserver runs as process {pid}, cluster file {cluster_file}"
        )
    }
}
