//! The embedded backend of dgen: durable on disk, or in memory

mod block_file;
pub mod disk;
mod lock_file;
mod log;
mod open_error;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the layer above is being written")
)]
mod store;

pub use open_error::OpenError;
pub use store::StoreError;
