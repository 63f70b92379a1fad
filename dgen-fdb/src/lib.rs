//! The FoundationDB backend of dgen: the same servers on a cluster.
//!
//! ```no_run
//! # async fn f() -> Result<(), dgen_fdb::OpenError> {
//! let tenant = dgen_fdb::open("shop").await?;
//! # let _ = tenant; Ok(()) }
//! ```
//!
//! gives the [`Tenant`](dgen_backend::Tenant) that the embedded store gives too, in the directory
//! `shop` of the cluster named by the variable `FDB_CLUSTER_FILE` or by the machine's own cluster
//! file; [`Options`] name another. Directories are those of FoundationDB's own directory layer, so
//! other programs see them.
//!
//! It needs FoundationDB's client library, version 7.3 or newer, of the same minor version as the
//! cluster: `libfdb_c`, from <https://github.com/apple/foundationdb/releases>. Its headers are not
//! needed; libclang is, while this crate is built.
//!
//! One thread runs the library's network, started once in an OS process by the first database that
//! is opened, and stopped when the process ends. [`Network`] gives it TLS certificates and knobs
//! first.

mod backend;
mod cluster_file;
mod directories;
mod error;
mod network;
mod open;
mod open_error;
mod stamped_keys;
mod transaction;

pub use backend::FdbBackend;
pub use network::{Network, NetworkError};
pub use open::{Options, open};
pub use open_error::OpenError;
