//! Directories for tests: each has its own, and takes it away if it passes.

use dgen_backend::{
    Tenant,
    directory::{DirectoryError, DirectoryPath},
    env::Env,
};
use dgen_fdb::Options;

/// Below which all of them are.
const TOP: &str = "dgen-fdb tests";

/// A path that nobody has used.
pub(crate) fn unused(name: &str) -> DirectoryPath {
    let number = u64::from_le_bytes(Env::system().random());
    DirectoryPath::from([TOP, &format!("{name} {number:016x}")])
}

/// The directory at `path` of the cluster that `FDB_CLUSTER_FILE` names.
///
/// # Panics
/// If there is no cluster.
pub(crate) async fn open(path: &DirectoryPath) -> Tenant {
    let opened = Options::default().open(path.clone()).await;
    opened.expect("FDB_CLUSTER_FILE names a cluster; `cargo xtask fdb-test` starts one")
}

/// Removes the directory at `path`, with all that is in it.
pub(crate) async fn remove(tenant: &Tenant, path: &DirectoryPath) {
    let db = tenant.database();
    let removed = db.transact(|tx| {
        let directories = db.directories();
        async move {
            match directories.remove(&tx, path).await {
                // An earlier attempt did.
                Err(DirectoryError::NotFound { .. }) => Ok(()),
                removed => removed,
            }
        }
    });
    removed.await.expect("it can be removed");
}
