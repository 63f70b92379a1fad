//! Durable, distributed `gen_server`: a plain struct with annotated methods becomes a server whose
//! state and message queue live in a transactional key-value store, so that it outlives any
//! process, machine or deploy.
//!
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
//!
//! # What a message does
//!
//! A **server** is durable: a state and a queue, found by its type's name and its id. A **process** is
//! a task that handles its messages; there may be several, on several machines, or none, and then
//! messages wait. A **handle** sends.
//!
//! Each message is handled in a transaction: the change of the state, the removal from the queue, the
//! reply, and what the handler sends are committed together, or nothing of it is. So a handler may run
//! more than once, and its effects happen once. A handler is a plain `fn`: it can't wait, and what it
//! needs of the world it asks of its [`Context`].
//!
//! | to do | write | see |
//! |---|---|---|
//! | write a server | `#[dgen_server]`, or the trait by hand | crate `dgen-macros`, [`Server`] |
//! | open a store | `dgen_server::open("data")?` | [`open`], [`in_memory`] |
//! | use a FoundationDB cluster | `dgen_fdb::open("shop").await?` | crate `dgen-fdb` |
//! | start a server, or only send to it | `CounterHandle::start(..)`, `::client(..)` | [`Handle`], [`StartOptions`] |
//! | call, cast, send many at once | `h.increment(2).await?`, `h.batch().add(1).add(2).await?` | [`Call`], [`Cast`] |
//! | send to another server in the same transaction | `cx.send(other.add(2))` | [`Context::send`] |
//! | send in a transaction of your own | `h.add(2).enqueue(&tx)?` | [`Cast::enqueue`] |
//! | send later, or every so often | `cx.send_after(d, me.ring()).key("tea")` | [`Context::send_after`], [`Timer`] |
//! | repeat a message safely | `h.pay(5).id("order-17").await?` | [`Call::id`] |
//! | do what takes long: call another service | `#[call(locked)] async fn` | [`Server::handle_locked`], [`Locked`] |
//! | reply later | `let (to, deferred) = cx.defer();` | [`Deferred`], [`ReplyTo`] |
//! | do something once it is committed | <code>cx.after_commit(\|state\| ..)</code> | [`Context::after_commit`] |
//! | skip the queue | `h.value().priority().await?` | [`Call::priority`] |
//! | tell a process something that need not last | `#[info] fn`, `h.tick(t)?` | [`Handle::info`] |
//! | end a process, or all of them | `h.stop().await`, `shutdown(&tenant, deadline).await?` | [`Handle::stop`], [`shutdown()`] |
//! | delete a server | `h.kill().await?` | [`Handle::kill`] |
//! | see why it is stuck | `h.status().await?`, `h.dead_letters().await?` | [`Status`], [`DeadLetter`] |
//! | understand an error | `error.is_retryable()`, `error.maybe_executed()` | [`CallError`], [`CastError`], [`Failure`] |
//!
//! # Testing
//!
//! A server runs as it is in the simulated world of `dgen_testkit::sim`: on machines that die at any await
//! point, freeze and have wrong clocks, over a store that loses answers. All of it follows from a
//! seed, in virtual time, in a plain `#[test]`.
//!
//! ```
//! # use dgen_macros::dgen_server;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Clone, Default, Serialize, Deserialize)]
//! # struct Counter { value: i64 }
//! # #[dgen_server]
//! # impl Counter {
//! #     #[call]
//! #     fn increment(&mut self, by: i64) -> i64 {
//! #         self.value += by;
//! #         self.value
//! #     }
//! # }
//! use dgen_testkit::{faults::Rates, sim::{Hazards, Sim, for_each_seed}};
//!
//! # /*
//! #[test]
//! # */
//! fn increments_are_counted_once() {
//!     for_each_seed(20, |seed| {
//!         let hazards = Hazards { death: 0.02, freeze: 0.005, ..Hazards::default() };
//!         let sim = Sim::builder(seed).faults(Rates::all(0.05)).hazards(hazards).build();
//!         sim.run(async |sim| {
//!             let store = sim.new_store();
//!             let disk = store.clone();
//!             sim.machine("server").boot(move |machine| {      // dies, and comes back
//!                 let tenant = machine.tenant(&disk);
//!                 async move {
//!                     CounterHandle::start(&tenant, "demo", ()).await.expect("it starts");
//!                 }
//!             });
//!             let counter = CounterHandle::client(&sim.tenant(&store), "demo");
//!             for order in 1..=10 {
//!                 let value = loop {                           // an id makes it safe to ask again
//!                     if let Ok(value) = counter.increment(1).id(format!("order-{order}")).await {
//!                         break value;
//!                     }
//!                 };
//!                 assert_eq!(value, order);
//!             }
//!         });
//!     });
//! }
//! # increments_are_counted_once();
//! ```
//!
//! # Metrics
//!
//! Through crate [`metrics`](https://docs.rs/metrics), each with the label `server`, the stored name.
//! Install a recorder before the first handle is used; without one, each costs a branch.
//!
//! | an operator asks | look at |
//! |---|---|
//! | how much is done | counter `dgen_messages_total`: messages that were handled and committed; reads that callers answered [by themselves](Server::handle_read) count here and as cache hits, and nowhere else |
//! | how many share a transaction | histogram `dgen_batch_size`: messages |
//! | how many messages wait | histogram `dgen_queue_length`: messages left in a queue, each time that a process looks at it and knows |
//! | how long a commit takes | histogram `dgen_commit_seconds`: from a batch's first read to the answer to its commit, handlers and retries included |
//! | how much is done in vain | counters `dgen_attempts_total`: transactions tried, and `dgen_conflicts_total`: those that were tried again |
//! | whether the cache helps | counters `dgen_cache_hits_total` and `dgen_cache_misses_total` |
//! | how long a lock holds others up | histogram `dgen_lock_wait_seconds`: from when a process, the holder's included, finds its server locked to its next batch |
//! | whether holders of locks die | counters `dgen_locks_taken_over_total`: at the new holder, and `dgen_locks_lost_total`: at one that still lived |
//! | what goes wrong | counters `dgen_failures_total`: a queue's first message failed, and `dgen_dead_letters_total` |
//! | whether watches run out | counter `dgen_watches_refused_total`: each time that somebody who waits for this server polls instead |
//! | what time does | counters `dgen_timers_fired_total`, and `dgen_swept_total`: what callers left behind and was taken away |
//!
//! What goes wrong is told through crate [`tracing`](https://docs.rs/tracing): warnings for what is
//! tried again, errors for what is given up, each with the server's name and id. At the level
//! `debug` there are the spans `attempt`, `priority attempt`, `locked work` and `read` around what
//! handlers do.

// What a program holds, and sends with.
mod call;
mod cast;
mod error;
mod handle;
mod never;
#[cfg(feature = "local")]
mod open;
mod options;
mod shutdown;
mod standby;
mod start;
mod status;
mod tuid;

// What a server's author writes, and what handlers use.
mod context;
mod deferred;
mod effects;
mod locked;
mod reply;
mod server;
mod timer;

// How messages are handled: `attempt` is the heart.
mod attempt;
mod batch_size;
mod carrying;
mod changes;
mod control;
mod decision;
mod handling;
mod look;
mod metering;
mod polling;
mod process;
mod progress;
mod race;
mod remedy;
mod state;
mod urgent;
mod waking;

// Locks, and messages that fail.
mod blame;
mod dead_letters;
mod hold;
mod lock;
mod locked_work;
mod operator;

// What is stored, and where.
mod address;
mod agenda;
mod clock;
mod keys;
mod memory;
mod message;
mod outbox;

// Next door: in the same OS process.
mod calls;
mod mailbox;
mod reading;
mod registry;

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
pub use dgen_codec::List;

/// What generated code names. Not for users.
#[doc(hidden)]
pub mod __private {
    pub use serde;
}
