//! A store, whatever is behind it.

use std::{error::Error as StdError, fmt, future::Future, sync::Arc};

use crate::{
    Attempt, Error, TransactOptions, Transaction, backend::Backend, directory::Directories,
    env::Env, extensions::Extensions, marker::MarkerSlots, retry,
};

/// A handle of a store. Cloning it is cheap, and every clone is the same store.
#[derive(Clone)]
pub struct Database {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Box<dyn Backend>,
    extensions: Extensions,
    marker_slots: MarkerSlots,
}

impl Database {
    /// The database over `backend`.
    #[must_use]
    pub fn new(backend: impl Backend) -> Self {
        let marker_slots = MarkerSlots::new(backend.env().clone());
        Self {
            inner: Arc::new(Inner {
                backend: Box::new(backend),
                extensions: Extensions::default(),
                marker_slots,
            }),
        }
    }

    /// Runs `work` in a transaction and commits it; on a retryable error, waits a little and runs it
    /// again, until the deadline.
    ///
    /// `work` may run more than once, so it should do nothing but read and write through its
    /// transaction. A commit whose outcome stays unknown is retried: then `work` may take effect
    /// twice, and [`Transaction::attempt`] tells it so. [`Tenant::transact`](crate::Tenant::transact)
    /// takes effect once whatever happens; prefer it.
    ///
    /// # Errors
    /// What `work` returns, unless it is or wraps an [`Error`] that [is
    /// retryable](Error::is_retryable); [`Error::DeadlineExceeded`] after the deadline.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the transaction may or may not have been committed.
    pub async fn transact<T, E, F, Fut>(&self, work: F) -> Result<T, E>
    where
        F: Fn(Transaction) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error> + StdError + 'static,
    {
        self.transact_with(&TransactOptions::default(), work).await
    }

    /// [`transact`](Self::transact) with a deadline and backoff of your own.
    ///
    /// # Errors
    /// As [`transact`](Self::transact).
    ///
    /// # Cancel safety
    /// As [`transact`](Self::transact).
    pub async fn transact_with<T, E, F, Fut>(
        &self,
        options: &TransactOptions,
        work: F,
    ) -> Result<T, E>
    where
        F: Fn(Transaction) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        E: From<Error> + StdError + 'static,
    {
        retry::run(self, options, None, work).await
    }

    /// A transaction that is run once: what [`transact`](Self::transact) begins for each attempt.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn begin(&self) -> Result<Transaction, Error> {
        self.begin_attempt(Attempt::FIRST)
    }

    pub(crate) fn begin_attempt(&self, attempt: Attempt) -> Result<Transaction, Error> {
        Ok(Transaction::new(self.inner.backend.begin()?, attempt))
    }

    /// The backend's short name.
    #[must_use]
    pub fn backend_name(&self) -> &'static str {
        self.inner.backend.name()
    }

    /// The environment that this store and everything on it runs in.
    #[must_use]
    pub fn env(&self) -> &Env {
        self.inner.backend.env()
    }

    /// The directory layer.
    #[must_use]
    pub fn directories(&self) -> Arc<dyn Directories> {
        self.inner.backend.directories()
    }

    /// The value of type `T` that layers above keep beside this database in this OS process, made
    /// when it is first asked for.
    #[must_use]
    pub fn extension<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        self.inner.extensions.get_or_default()
    }

    /// Whether both are handles of one opened store.
    #[must_use]
    pub fn is_same(&self, other: &Database) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// What its backend [says](crate::backend::Backend::can_lose_commit_answer): a backend over
    /// another one passes it on.
    #[must_use]
    pub fn can_lose_commit_answer(&self) -> bool {
        self.inner.backend.can_lose_commit_answer()
    }

    pub(crate) fn marker_slots(&self) -> &MarkerSlots {
        &self.inner.marker_slots
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database")
            .field(&self.inner.backend)
            .finish()
    }
}
