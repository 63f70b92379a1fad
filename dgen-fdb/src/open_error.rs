//! Why a cluster can't be used.

use std::{io, path::PathBuf, time::Duration};

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

    /// Nobody answered. The cluster is down, can't be reached from here, speaks another version, or
    /// its file names servers that are gone. Opening again may help.
    #[error("the cluster of {} did not answer within {after:?}", cluster_file.display())]
    NoAnswer {
        /// The file that names the cluster.
        cluster_file: PathBuf,
        /// How long was waited.
        after: Duration,
    },

    /// The directory could not be opened.
    #[error("the directory could not be opened on the cluster of {}", cluster_file.display())]
    Directory {
        /// The file that names the cluster.
        cluster_file: PathBuf,
        /// What happened.
        #[source]
        source: Box<DirectoryError>,
    },
}
