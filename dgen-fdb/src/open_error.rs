//! Why a cluster can't be used.

use std::{io, path::PathBuf};

use dgen_backend::directory::DirectoryError;

use crate::NetworkError;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file that names the cluster can't be read. Name another with
    /// [`Options::cluster_file`](crate::Options::cluster_file) or the variable `FDB_CLUSTER_FILE`.
    #[error(
        "no cluster file at {}: name it with Options::cluster_file or the variable FDB_CLUSTER_FILE",
        path.display()
    )]
    ClusterFile {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: io::Error,
    },

    /// The client library could not be started.
    #[error("FoundationDB's client library could not be started")]
    Network(#[from] NetworkError),

    /// The client library refused the cluster file or an option.
    #[error("FoundationDB's client library refused {what}: {message} ({code})")]
    Refused {
        /// What it refused.
        what: String,
        /// Its code.
        code: i32,
        /// Its text.
        message: String,
    },

    /// The directory could not be opened. If it wraps
    /// [`DeadlineExceeded`](dgen_backend::Error::DeadlineExceeded) with nothing in it, the cluster
    /// did not answer.
    #[error("the directory could not be opened; is the cluster of {} up?", cluster_file.display())]
    Directory {
        /// The file that names the cluster.
        cluster_file: PathBuf,
        /// What happened.
        #[source]
        source: Box<DirectoryError>,
    },
}
