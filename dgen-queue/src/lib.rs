//! A durable FIFO queue of opaque bytes.
//!
//! A queue is a few keys in a [`Subspace`](dgen_backend::tuple::Subspace): it has no process, no
//! lock and no connection of its own. Pushing and popping are writes of the caller's transaction,
//! so an item moves together with everything else that the transaction does, or not at all.
//!
//! | to do | look at |
//! |---|---|
//! | push | [`Queue::push_k`], [`Queue::push`] |
//! | pop | [`Queue::consume_k`] |
//! | read the head beside other reads, then decide how much to pop | [`Queue::head`], [`Head::pop`] |
//! | look, and leave everything | [`Queue::peek`], [`Queue::len`], [`Queue::is_empty`] |
//! | wait for a push | [`Queue::wait_for_push`], [`Queue::watch_if_empty`], [`Queue::watch_push`] |
//! | find one item again, wherever it is, and change it | [`Queue::find`], [`Queue::replace`], [`Queue::holds`] |
//! | wake those who wait | [`Queue::notify`] |
//! | know by one read that nothing was pushed | [`Queue::counted_at`] |
//! | know whether to retry | [`Error::is_retryable`], [`Error::maybe_executed`] |
//!
//! What it guarantees:
//!
//! - Items leave in the order of their commits, and within a transaction in the order of its
//!   pushes, whoever pushed them (SPEC Q1).
//! - A push conflicts with nothing; two consumers conflict if they take the same item (SPEC Q2).
//! - An item may have any size that fits a transaction (SPEC Q3).
//! - Pushed in [`Tenant::transact`](dgen_backend::Tenant::transact), an item enters once, though the
//!   answer to a commit was lost (SPEC Q4).
//!
//! It leaves out what the bytes mean, retries of items that fail, and dead letters.
//!
//! # Examples
//! ```
//! use dgen_backend::{Tenant, tuple::Subspace};
//! use dgen_queue::Queue;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tenant = Tenant::new(dgen_local::in_memory()?, Subspace::from("shop"));
//! let queue = Queue::new(&tenant.subspace().subspace(&"orders"));
//!
//! tenant
//!     .transact(|tx| {
//!         let queue = queue.clone();
//!         async move { queue.push_k(&tx, ["tea", "milk"]) }
//!     })
//!     .await?;
//!
//! let consumed = tenant
//!     .transact(|tx| {
//!         let queue = queue.clone();
//!         async move { queue.consume_k(&tx, 10).await }
//!     })
//!     .await?;
//! assert_eq!(consumed.items[0].bytes(), "tea");
//! assert_eq!(consumed.items[1].bytes(), "milk");
//! # Ok(()) }
//! ```

mod assembly;
mod counter;
mod error;
mod head;
mod item;
mod keys;
mod limits;
mod queue;

pub use crate::{
    error::{Damage, Error},
    head::Head,
    item::Item,
    limits::Limits,
    queue::{Consumed, Queue},
};
