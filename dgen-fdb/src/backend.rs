//! The database of a cluster.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use dgen_backend::{
    Error,
    backend::{Backend, BackendTransaction},
    directory::Directories,
    env::Env,
};
use foundationdb::{Database, FdbError, options::DatabaseOption};

use crate::{
    OpenError, directories::NativeDirectories, error, network, transaction::FdbTransaction,
};

/// How many watches the client library lets wait if nobody says otherwise.
const WATCHES_MAX: u32 = 10_000;

/// The database of one cluster. Made by [`Options`](crate::Options).
pub struct FdbBackend {
    db: Database,
    cluster_file: PathBuf,
    watches_max: u32,
    env: Env,
}

impl FdbBackend {
    pub(crate) fn connect(
        cluster_file: &Path,
        env: Env,
        watches_max: Option<u32>,
    ) -> Result<Self, OpenError> {
        let refused = |what: String, error: FdbError| OpenError::Refused {
            what,
            code: error.code(),
            message: error.message().to_owned(),
        };
        let file_name = || format!("the cluster file {}", cluster_file.display());
        let path = cluster_file
            .to_str()
            .ok_or_else(|| OpenError::ClusterFile {
                path: cluster_file.to_owned(),
                source: std::io::Error::other("the client library takes UTF-8 paths only"),
            })?;
        let db = Database::from_path(path).map_err(|error| refused(file_name(), error))?;
        if let Some(watches_max) = watches_max {
            let value = i32::try_from(watches_max).unwrap_or(i32::MAX);
            db.set_option(DatabaseOption::MaxWatches(value))
                .map_err(|error| refused(format!("{watches_max} watches"), error))?;
        }
        Ok(Self {
            db,
            cluster_file: cluster_file.to_owned(),
            watches_max: watches_max.unwrap_or(WATCHES_MAX),
            env,
        })
    }
}

impl Backend for FdbBackend {
    fn name(&self) -> &'static str {
        "fdb"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        let tx = self.db.create_trx().map_err(error::of_begin)?;
        Ok(Box::new(FdbTransaction::new(tx, self.watches_max)))
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn directories(&self) -> Arc<dyn Directories> {
        Arc::new(NativeDirectories)
    }
}

impl Drop for FdbBackend {
    fn drop(&mut self) {
        // As a rule the process ends next.
        network::stop_before_exit();
    }
}

impl fmt::Debug for FdbBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FdbBackend")
            .field("cluster_file", &self.cluster_file)
            .finish_non_exhaustive()
    }
}
