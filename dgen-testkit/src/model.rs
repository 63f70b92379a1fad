//! The reference model: the storage contract in plain maps, slow and plainly right.
//!
//! It keeps every version of every key for ever and answers a read by folding the transaction's
//! writes, in order, over the snapshot. It is a [`Backend`] too, so that the conformance suite can
//! be tested with it, and that a backend can be compared with it
//! ([`differential`](crate::differential)).
//!
//! Where the contract leaves freedom it does what FoundationDB does: a read that the
//! transaction's own set or clear answers counts for no conflict, nor does a read conflict added by
//! hand behind them.
//!
//! It leaves out: durability, forgetting, speed.

mod store;
mod transaction;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dgen_backend::{
    Database, Error,
    backend::{Backend, BackendTransaction},
    env::Env,
};

pub(crate) use self::store::sum;
use self::{store::Store, transaction::ModelTransaction};

/// A new, empty model.
///
/// # Examples
/// ```
/// # use dgen_backend::Error;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// let db = dgen_testkit::model::in_memory();
/// let tx = db.begin()?;
/// tx.set(b"name", b"Ada")?;
/// tx.commit().await?;
/// # Ok(()) }
/// ```
#[must_use]
pub fn in_memory() -> Database {
    in_memory_in(Env::system())
}

/// A new, empty model that takes time and randomness from `env`.
#[must_use]
pub fn in_memory_in(env: Env) -> Database {
    Database::new(ModelBackend::new(env))
}

/// The model as a backend. A clone is the same store.
#[derive(Debug, Clone)]
pub struct ModelBackend {
    store: Arc<Mutex<Store>>,
    env: Env,
}

impl ModelBackend {
    /// An empty store.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self {
            store: Arc::default(),
            env,
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for ModelBackend {
    fn name(&self) -> &'static str {
        "model"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(ModelTransaction::new(self.clone())))
    }

    fn env(&self) -> &Env {
        &self.env
    }

    fn can_lose_commit_answer(&self) -> bool {
        false
    }
}
