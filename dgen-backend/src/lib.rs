//! The storage contract of dgen: what a transactional key-value store must offer so that durable
//! servers can live in it, and the one retry loop, tuple packing, directories and tenants that
//! every backend shares.
//!
//! The contract is FoundationDB's, so that FoundationDB fits it unchanged: serializable
//! transactions with optimistic concurrency, reads as futures, versionstamps, watches, a limit of
//! five seconds and ten megabytes a transaction, and commits whose outcome can stay unknown.
//!
//! | to do | look at |
//! |---|---|
//! | read and write | [`Transaction`] |
//! | run a transaction until it commits | [`Tenant::transact`], [`Database::transact`] |
//! | name a part of the store | [`Tenant`], [`directory`], [`mod@tuple`] |
//! | write a backend | [`backend::Backend`], [`backend::BackendTransaction`] |
//! | know whether to retry | [`Error::is_retryable`], [`Error::maybe_executed`] |
//! | replace clock, randomness, sleep and spawn | [`env::Env`] |
//!
//! This crate holds no data: it knows no file and no network, no queue, codec or server.

pub mod backend;
mod database;
pub mod directory;
pub mod env;
mod error;
mod extensions;
pub mod limits;
mod marker;
#[doc(hidden)]
pub mod planted;
mod range;
mod read;
mod retry;
mod tenant;
mod transaction;
pub mod tuple;
mod watch;

pub use crate::{
    database::Database,
    error::{Error, ErrorSource, KeyPreview},
    range::{KeyRange, KeyValue, RangePage, RangeRead},
    read::Read,
    retry::TransactOptions,
    tenant::Tenant,
    transaction::{Attempt, CommitVersionstamp, Snapshot, Transaction},
    watch::Watch,
};
