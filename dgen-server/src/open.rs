//! The embedded default: a store in a folder, or in memory.

use std::path::Path;

use dgen_backend::{Database, Tenant, tuple::Subspace};
pub use dgen_local::OpenError;

/// Opens the store in the folder `path`, which is made if it does not exist, and returns the tenant
/// of its servers. Blocks while it reads the disk.
///
/// One OS process at a time. The store is closed when nothing holds it any more: no tenant, no
/// handle, and no process of a server, so [stop](crate::Handle::stop) those first. A program that just
/// ends loses nothing either: the next open recovers.
///
/// # Errors
/// [`OpenError`] says what to do.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("data");
/// let tenant = dgen_server::open(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn open(path: impl AsRef<Path>) -> Result<Tenant, OpenError> {
    dgen_local::open(path).map(tenant)
}

/// A store in memory: everything works as on disk, and nothing is kept.
///
/// # Errors
/// [`OpenError`], if memory can't be had.
pub fn in_memory() -> Result<Tenant, OpenError> {
    dgen_local::in_memory().map(tenant)
}

/// The tenant of an embedded store. Directories have numbers for prefixes, so none has this one.
fn tenant(db: Database) -> Tenant {
    Tenant::new(db, Subspace::from("dgen"))
}
