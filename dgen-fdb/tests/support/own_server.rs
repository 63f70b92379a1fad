//! A FoundationDB server of a test's own, which its clients reach through a proxy alone.
//!
//! Clients ask where the parts of a cluster are, and connect to what they are told. So the server
//! announces the proxy's address, and listens at another. It is a single process and connects to
//! nobody: all connections are those of clients.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use dgen_backend::env::Env;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::proxy::Proxy;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct OwnServer {
    _process: Child,
    folder: TempDir,
    proxy: Proxy,
    fdbcli: PathBuf,
}

impl OwnServer {
    /// # Panics
    /// If FoundationDB's programs are not installed, or the server does not start.
    pub(crate) async fn start() -> Self {
        let (fdbserver, fdbcli) = (
            program("DGEN_FDBSERVER", "fdbserver"),
            program("DGEN_FDBCLI", "fdbcli"),
        );
        let folder = tempfile::tempdir().expect("a folder can be made");
        let listen = free_address();
        let proxy = Proxy::start(listen).await;
        let public = proxy.address();
        let of_folder = |name: &str| folder.path().join(name);
        std::fs::write(of_folder("fdb.cluster"), format!("dgen:test@{public}\n"))
            .expect("a file can be written");
        let process = Command::new(&fdbserver)
            .args(["--public-address", &public.to_string()])
            .args(["--listen-address", &listen.to_string()])
            .arg("--cluster-file")
            .arg(of_folder("fdb.cluster"))
            .arg("--datadir")
            .arg(of_folder("data"))
            .arg("--logdir")
            .arg(folder.path())
            .args(["--parentpid", &std::process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let server = Self {
            _process: process.unwrap_or_else(|error| panic!("{}: {error}", fdbserver.display())),
            folder,
            proxy,
            fdbcli,
        };
        server.create_database().await;
        server
    }

    pub(crate) fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    pub(crate) fn cluster_file(&self) -> PathBuf {
        self.folder.path().join("fdb.cluster")
    }

    /// A transaction of somebody else's, whose connection is new: once it is committed, the server
    /// has seen all that was sent to it before.
    pub(crate) async fn pass_by(&self) {
        let said = self.fdbcli("writemode on; set passing by").await;
        assert!(said.contains("Committed"), "{said}");
    }

    async fn create_database(&self) {
        let created = async {
            loop {
                let said = self.fdbcli("configure new single memory").await;
                if said.contains("Database created") || said.contains("already exists") {
                    break;
                }
            }
            while !self.fdbcli("status minimal").await.contains("is available") {}
        };
        let created = Env::system().timeout(PATIENCE, created).await;
        created.expect("the server starts");
    }

    /// What FoundationDB's command line says to `words`.
    async fn fdbcli(&self, words: &str) -> String {
        let output = Command::new(&self.fdbcli)
            .arg("-C")
            .arg(self.cluster_file())
            .args(["--exec", words, "--timeout", "10"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = output.await.expect("it runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

/// One that nobody listened at a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it is bound")
}

/// The program that the variable names, or else the one on the PATH.
fn program(variable: &str, name: &str) -> PathBuf {
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| Path::is_file(path));
    found.unwrap_or_else(|| {
        panic!(
            "{name} is not on the PATH: install FoundationDB's server and clients, \
             https://github.com/apple/foundationdb/releases, or say in {variable} where it is"
        )
    })
}
