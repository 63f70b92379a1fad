//! A database and a key prefix in it: what users hold, whatever the backend.

use std::{error::Error as StdError, future::Future, sync::Arc};

use crate::{
    Database, Error, TransactOptions, Transaction,
    directory::{DirectoryError, DirectoryPath},
    env::Env,
    marker, retry,
    tuple::Subspace,
};

/// A part of a database with keys of its own. Cloning it is cheap.
///
/// One type for every backend (SPEC B8).
#[derive(Debug, Clone)]
pub struct Tenant {
    db: Database,
    subspace: Arc<Subspace>,
}

impl Tenant {
    /// The tenant whose keys begin with `subspace`. No other tenant may share the prefix;
    /// [`open`](Self::open) sees to that by itself.
    #[must_use]
    pub fn new(db: Database, subspace: Subspace) -> Self {
        Self {
            db,
            subspace: Arc::new(subspace),
        }
    }

    /// The tenant in the directory at `path`, which is made if it does not exist.
    ///
    /// # Errors
    /// [`DirectoryError`].
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the directory may have been made.
    pub async fn open(
        db: &Database,
        path: impl Into<DirectoryPath>,
    ) -> Result<Self, DirectoryError> {
        Self::open_with(db, path, &TransactOptions::default()).await
    }

    /// [`open`](Self::open) with a deadline and backoff of your own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    ///
    /// # Cancel safety
    /// As [`open`](Self::open).
    pub async fn open_with(
        db: &Database,
        path: impl Into<DirectoryPath>,
        options: &TransactOptions,
    ) -> Result<Self, DirectoryError> {
        let path = path.into();
        let directories = db.directories();
        let directory = db
            .transact_with(options, |tx| {
                let (path, directories) = (path.clone(), Arc::clone(&directories));
                async move { directories.create_or_open(&tx, &path).await }
            })
            .await?;
        let tenant = Self::new(db.clone(), directory.into_subspace());
        if db.can_lose_commit_answer() {
            tenant.clear_old_markers(options).await?;
        }
        Ok(tenant)
    }

    /// Runs `work` in a transaction and commits it, once: on a retryable error it is run again, and
    /// after a commit whose answer was lost it is run again only if that commit did not happen.
    ///
    /// `work` may run more than once, so it should do nothing but read and write through its
    /// transaction; what it writes happens once.
    ///
    /// # Errors
    /// What `work` returns, unless it is or wraps an [`Error`] that [is
    /// retryable](Error::is_retryable). [`Error::DeadlineExceeded`] after the deadline of 30
    /// seconds; if its `maybe_executed` is set, nobody could find out. [`Error::OutcomeUnknown`] if an
    /// attempt may have happened and a later one failed for good; an error of your own in that place
    /// comes as it is.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the transaction may or may not have been committed.
    ///
    /// # Examples
    /// ```
    /// use dgen_backend::{Error, Tenant};
    ///
    /// async fn visit(tenant: &Tenant) -> Result<i64, Error> {
    ///     let key = tenant.subspace().pack(&"visits");
    ///     tenant
    ///         .transact(|tx| {
    ///             let key = key.clone();
    ///             async move {
    ///                 tx.add(&key, 1)?;
    ///                 let bytes = tx.get(&key).await?.expect("it was just written");
    ///                 Ok(i64::from_le_bytes(bytes[..].try_into().expect("a sum has 8 bytes")))
    ///             }
    ///         })
    ///         .await
    /// }
    /// ```
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
        let marker = self
            .db
            .can_lose_commit_answer()
            .then(|| self.db.marker_slots().marker(&self.subspace));
        retry::run(&self.db, options, marker, work).await
    }

    async fn clear_old_markers(&self, options: &TransactOptions) -> Result<(), Error> {
        let now = self.env().wall_clock();
        let clear = |tx| async move { marker::clear_old(&tx, &self.subspace, now).await };
        self.db.transact_with(options, clear).await
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// The prefix of every key in this tenant. Keys `(0, ..)` below it are dgen's commit markers.
    #[must_use]
    pub fn subspace(&self) -> &Subspace {
        &self.subspace
    }

    /// The environment that everything in this tenant runs in.
    #[must_use]
    pub fn env(&self) -> &Env {
        self.db.env()
    }
}
