//! The embedded backend of dgen: durable on disk, or in memory.
//!
//! A commit is acknowledged once it was flushed; it survives the death of the process and the loss
//! of power. Transactions that wait at the same time share one flush. Stored bytes carry checksums,
//! and what was damaged is an error that says where.
//!
//! How it is built, from the disk up: [`disk`] is a folder, or a stand-in for one that tests crash;
//! the log takes each group of commits with one flush; the overlay, in memory, holds what is new; the
//! tree, in redb, holds everything in order, and takes the overlay when that or the log has grown, while
//! commits go on; above them transactions, conflicts, watches.
//!
//! # Examples
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let db = dgen_local::in_memory()?;
//! db.transact(|tx| async move { tx.add(b"visits", 1) }).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arena;
mod backend;
mod block_file;
mod commit;
mod conflicts;
pub mod disk;
mod intake;
mod lock_file;
mod log;
mod open;
mod open_error;
mod page;
mod published;
mod shared;
mod span;
mod stamp;
mod store;
mod transaction;
mod watches;
mod write_set;

pub use backend::LocalBackend;
pub use open::{Options, in_memory, open};
pub use open_error::OpenError;
pub use store::StoreError;
