//! Opening a cluster's database.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dgen_backend::{
    Database, Error, Tenant, TransactOptions,
    directory::{DirectoryError, DirectoryPath},
    env::Env,
};

use crate::{FdbBackend, OpenError, cluster_file, network};

/// Opens the directory at `path`, which is made if it does not exist, on the cluster named by the
/// variable `FDB_CLUSTER_FILE`, by `fdb.cluster` in the working directory, or by the machine's own
/// cluster file.
///
/// Call it once and clone the [`Tenant`]: processes and handles of one database find each other
/// within the OS process, those of two only through the cluster.
///
/// # Errors
/// [`OpenError`] says what to do. A cluster that does not answer is
/// [`OpenError::NoAnswer`] after 30 seconds.
///
/// # Cancel safety
/// Dropped before it resolves, the directory may have been made.
///
/// # Examples
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let tenant = dgen_fdb::open(["shop", "orders"]).await?;
/// let key = tenant.subspace().pack(&"visits");
/// tenant.transact(async |tx| tx.add(&key, 1)).await?;
/// # Ok(()) }
/// ```
pub async fn open(path: impl Into<DirectoryPath>) -> Result<Tenant, OpenError> {
    Options::default().open(path).await
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    env: Env,
    cluster_file: Option<PathBuf>,
    watches_max: Option<u32>,
    deadline: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            env: Env::system(),
            cluster_file: None,
            watches_max: None,
            deadline: Duration::from_secs(30),
        }
    }
}

impl Options {
    /// Clock, randomness, sleep and spawn of all that runs on the database. Default: the system's.
    #[must_use]
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// The file that names the cluster. Default: the variable `FDB_CLUSTER_FILE`, else `fdb.cluster`
    /// in the working directory, else the machine's own, `/etc/foundationdb/fdb.cluster` on Linux.
    /// It must be writable: the client library keeps it up to date.
    #[must_use]
    pub fn cluster_file(mut self, path: impl AsRef<Path>) -> Self {
        self.cluster_file = Some(path.as_ref().to_owned());
        self
    }

    /// How many watches may wait at once, at most 1,000,000; servers poll where there are no more.
    /// Default: the client library's 10,000.
    #[must_use]
    pub fn watches_max(mut self, watches: u32) -> Self {
        self.watches_max = Some(watches);
        self
    }

    /// How long [`open`](Self::open) waits for the cluster. Default: 30 seconds.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// As [`open`], with these options.
    ///
    /// # Errors
    /// [`OpenError`].
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the directory may have been made.
    pub async fn open(&self, path: impl Into<DirectoryPath>) -> Result<Tenant, OpenError> {
        let cluster_file = cluster_file::find(self.cluster_file.as_deref())?;
        let db = self.connect(&cluster_file)?;
        let options = TransactOptions::default().deadline(self.deadline);
        let opened = Tenant::open_with(&db, path, &options).await;
        network::stop_before_exit();
        opened.map_err(|error| match error {
            DirectoryError::Transaction(Error::DeadlineExceeded {
                after, last: None, ..
            }) => OpenError::NoAnswer {
                cluster_file,
                after,
            },
            error => OpenError::Directory {
                cluster_file,
                source: Box::new(error),
            },
        })
    }

    /// The whole database of the cluster, for a [`Tenant`] in a subspace of your own. Does not wait
    /// for the cluster: its first transaction does.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn database(&self) -> Result<Database, OpenError> {
        self.connect(&cluster_file::find(self.cluster_file.as_deref())?)
    }

    fn connect(&self, cluster_file: &Path) -> Result<Database, OpenError> {
        network::ensure_started()?;
        let backend = FdbBackend::connect(cluster_file, self.env.clone(), self.watches_max)?;
        network::stop_before_exit();
        Ok(Database::new(backend))
    }
}
