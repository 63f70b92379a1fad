//! A part of the cluster that `DGEN_CLUSTER_FILE` names, for one test.

use std::{
    env, ffi::OsString, future::Future, path::Path, process::Command, sync::OnceLock, thread,
};

use dgen_backend::{KeyRange, Tenant, directory::DirectoryError};
use tokio::runtime::Builder;

/// A directory at the top, which holds those of the examples. Dropped, it is removed.
pub(crate) struct Cluster {
    file: OsString,
    directory: String,
    tenant: OnceLock<Tenant>,
}

impl Cluster {
    pub(crate) fn of_this_test() -> Self {
        let file = env::var_os("DGEN_CLUSTER_FILE");
        Self {
            file: file
                .expect("DGEN_CLUSTER_FILE names a cluster; `cargo xtask fdb-test` starts one"),
            directory: format!("dgen-examples-test-{:016x}", super::random_below(u64::MAX)),
            tenant: OnceLock::new(),
        }
    }

    /// Lets `program` keep its servers here.
    pub(crate) fn show(&self, program: &mut Command) {
        program.env("DGEN_CLUSTER_FILE", &self.file);
        program.env("DGEN_DIRECTORY", &self.directory);
    }

    /// What changes whenever a program commits to its store, which it calls `path`: the markers of all
    /// transactions.
    pub(crate) fn last_write(&self, path: &Path) -> Vec<u8> {
        let tenant = self.tenant(path);
        let markers = KeyRange::subspace(&tenant.subspace().subspace(&0));
        let reading = tenant.transact(async |tx| tx.collect_range(markers.clone()).await);
        let rows = block_on(reading).unwrap().into_iter();
        rows.flat_map(|row| [row.key, row.value].concat()).collect()
    }

    /// The directory of the store that a program calls `path`.
    fn tenant(&self, path: &Path) -> &Tenant {
        self.tenant.get_or_init(|| {
            let options = dgen_fdb::Options::default().cluster_file(&self.file);
            let directory = [&*self.directory, path.to_str().unwrap()];
            block_on(options.open(directory)).unwrap()
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let options = dgen_fdb::Options::default().cluster_file(&self.file);
        let Ok(db) = options.database() else { return };
        let path = (&*self.directory).into();
        let removing = db.transact(async |tx| db.directories().remove(&tx, &path).await);
        let removed: Result<(), DirectoryError> = block_on(removing);
        drop(removed); // a test that failed early has made none
    }
}

/// On a thread of its own, since a test may be async itself.
fn block_on<T: Send>(work: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| {
        let working = scope.spawn(|| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(work)
        });
        working.join().unwrap()
    })
}
