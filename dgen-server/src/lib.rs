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
mod agenda;
mod attempt;
mod batch_size;
mod blame;
mod call;
mod carrying;
mod cast;
mod clock;
mod context;
mod control;
mod dead_letters;
mod decision;
mod deferred;
mod effects;
mod error;
mod handle;
mod handling;
mod hold;
mod keys;
mod lock;
mod locked;
mod locked_work;
mod mailbox;
mod memory;
mod message;
mod metering;
mod never;
#[cfg(feature = "local")]
mod open;
mod operator;
mod options;
mod outbox;
mod process;
mod progress;
mod race;
mod registry;
mod remedy;
mod reply;
mod server;
mod shutdown;
mod start;
mod state;
mod status;
mod timer;
mod tuid;
mod urgent;
mod waking;

#[cfg(feature = "local")]
pub use crate::open::{OpenError, in_memory, open};
pub use crate::{
    call::Call,
    cast::Cast,
    context::{Context, Due},
    dead_letters::DeadLetter,
    deferred::{Deferred, ReplyTo},
    effects::Flow,
    error::{CallError, CastError, Failure, InfoError, StartError, StopReason, Unfinished},
    handle::Handle,
    locked::{Locked, LockedWork},
    never::Never,
    options::StartOptions,
    reply::Reply,
    server::Server,
    shutdown::shutdown,
    status::{HeldBy, Status},
    timer::Timer,
    tuid::Tuid,
};
pub use dgen_backend::{Error, Tenant, Transaction};

/// What generated code names. Not for users.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}
