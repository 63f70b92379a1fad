//! Durable, distributed `gen_server`: a plain struct with annotated methods becomes a server whose
//! state and message queue live in a transactional key-value store, so that it outlives any
//! process, machine or deploy.
//!
//! | to do | look at |
//! |---|---|
//! | write a server | `#[dgen_server]` of crate `dgen-macros`, or [`Server`] by hand |
//! | open a store | [`open`], [`in_memory`] |
//! | start a server, send to one | [`Handle`], [`StartOptions`] |
//! | understand an error | [`CallError`], [`CastError`], [`Failure`], [`StartError`] |
//!
//! # Examples
//! ```
//! use dgen_macros::dgen_server;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Counter { value: i64 }
//!
//! #[dgen_server]
//! impl Counter {
//!     /// Adds `by` and returns the new value.
//!     #[call]
//!     fn increment(&mut self, by: i64) -> i64 {
//!         self.value += by;
//!         self.value
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let tenant = dgen_server::in_memory()?;
//! let counter = CounterHandle::start(&tenant, "demo", ()).await?;
//! assert_eq!(counter.increment(2).await?, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod attempt;
mod call;
mod cast;
mod context;
mod control;
mod decision;
mod error;
mod handle;
mod handling;
mod keys;
mod mailbox;
mod message;
mod never;
#[cfg(feature = "local")]
mod open;
mod options;
mod process;
mod progress;
mod registry;
mod reply;
mod server;
mod start;
mod tuid;

#[cfg(feature = "local")]
pub use crate::open::{OpenError, in_memory, open};
pub use crate::{
    call::Call,
    cast::Cast,
    context::Context,
    error::{CallError, CastError, Failure, StartError, StopReason},
    handle::Handle,
    never::Never,
    options::StartOptions,
    reply::Reply,
    server::Server,
    tuid::Tuid,
};
pub use dgen_backend::{Error, Tenant};

/// What generated code names. Not for users.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}
