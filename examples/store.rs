//! Where the examples keep their servers: in a folder, or on a cluster of FoundationDB.

use std::{
    env,
    error::Error,
    ffi::{OsStr, OsString},
    path::Path,
};

use dgen_server::Tenant;

/// Opens the store in the folder `path`.
///
/// If the variable `DGEN_CLUSTER_FILE` names a cluster, there is no such folder: the servers are on the
/// cluster, in the directory `path` below `dgen-examples`, or below what `DGEN_DIRECTORY` says instead.
///
/// # Errors
/// What is wrong, in a sentence.
pub async fn open(path: &Path) -> Result<Tenant, Box<dyn Error>> {
    match variable("DGEN_CLUSTER_FILE") {
        None => Ok(dgen_server::open(path)?),
        Some(cluster_file) => open_on_cluster(&cluster_file, path).await,
    }
}

#[cfg(feature = "fdb")]
async fn open_on_cluster(cluster_file: &OsStr, path: &Path) -> Result<Tenant, Box<dyn Error>> {
    let top = variable("DGEN_DIRECTORY").unwrap_or_else(|| "dgen-examples".into());
    let directory = [top.to_string_lossy(), path.to_string_lossy()];
    let options = dgen_fdb::Options::default().cluster_file(cluster_file);
    let opened = options.open(directory.each_ref().map(AsRef::as_ref)).await;
    Ok(opened.map_err(with_causes)?)
}

#[cfg(not(feature = "fdb"))]
async fn open_on_cluster(_: &OsStr, _: &Path) -> Result<Tenant, Box<dyn Error>> {
    let program = env::current_exe()?;
    let name = program.file_stem().unwrap_or_default().display();
    let error = format!(
        "DGEN_CLUSTER_FILE names a cluster, and this program was built without FoundationDB; run \
         `cargo run --features fdb -p dgen-examples --example {name}`, or unset the variable"
    );
    Err(error.into())
}

/// What an error says, and its causes.
#[cfg(feature = "fdb")]
fn with_causes(error: dgen_fdb::OpenError) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
