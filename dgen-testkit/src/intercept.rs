//! A transaction that does some things otherwise than the one behind it.

use std::any::Any;

use bytes::Bytes;
use dgen_backend::{
    CommitVersionstamp, Error, KeyRange, RangePage, RangeRead, Read, Watch,
    backend::{BackendTransaction, ConflictKind, Isolation, Mutation},
};

use crate::Forward;

/// What a backend that wraps a database does in its transactions: only [`inner`](Self::inner) has to be written, and
/// what is to be otherwise. What a transaction learns one day is handed on by all of them.
///
/// ```
/// use dgen_backend::{Database, Error, Read, backend::{Backend, BackendTransaction}, env::Env};
/// use dgen_testkit::{Forward, Intercept, Intercepted};
///
/// #[derive(Debug)]
/// struct Full(Database);
/// struct FullTransaction(Forward);
///
/// impl Backend for Full {
///     fn name(&self) -> &'static str {
///         "full"
///     }
///     fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
///         let inner = Forward(self.0.begin()?);
///         Ok(Box::new(Intercepted(FullTransaction(inner))))
///     }
///     fn env(&self) -> &Env {
///         self.0.env()
///     }
/// }
///
/// impl Intercept for FullTransaction {
///     fn inner(&self) -> &Forward {
///         &self.0
///     }
///     fn commit(&self) -> Read<()> {
///         self.0.cancel();
///         Read::ready(Err(Error::Conflict))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let db = Database::new(Full(dgen_testkit::model::in_memory()));
/// let tx = db.begin()?;
/// tx.set(b"key", b"value")?;
/// assert!(matches!(tx.commit().await, Err(Error::Conflict)));
/// # Ok::<(), Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Intercept: Send + Sync + 'static {
    /// The transaction behind it.
    fn inner(&self) -> &Forward;

    /// As [`BackendTransaction::read_version`].
    fn read_version(&self) -> Read<u64> {
        self.inner().read_version()
    }

    /// As [`BackendTransaction::get`].
    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.inner().get(key, isolation)
    }

    /// As [`BackendTransaction::get_range`].
    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        self.inner().get_range(read, isolation)
    }

    /// As [`BackendTransaction::mutate`].
    ///
    /// # Errors
    /// As that.
    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        self.inner().mutate(mutation)
    }

    /// As [`BackendTransaction::add_conflict`].
    ///
    /// # Errors
    /// As that.
    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        self.inner().add_conflict(range, kind)
    }

    /// As [`BackendTransaction::add_read_conflict_key`]. It does not go through [`add_conflict`](Self::add_conflict).
    ///
    /// # Errors
    /// As that.
    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.inner().add_read_conflict_key(key)
    }

    /// As [`BackendTransaction::watch`].
    ///
    /// # Errors
    /// As that.
    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        self.inner().watch(key)
    }

    /// As [`BackendTransaction::versionstamp`].
    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        self.inner().versionstamp()
    }

    /// As [`BackendTransaction::commit`].
    fn commit(&self) -> Read<()> {
        self.inner().commit()
    }
}

/// The [`BackendTransaction`] of what intercepts one.
#[derive(Debug)]
pub struct Intercepted<T>(pub T);

impl<T: Intercept> BackendTransaction for Intercepted<T> {
    fn read_version(&self) -> Read<u64> {
        self.0.read_version()
    }

    fn get(&self, key: &[u8], isolation: Isolation) -> Read<Option<Bytes>> {
        self.0.get(key, isolation)
    }

    fn get_range(&self, read: &RangeRead, isolation: Isolation) -> Read<RangePage> {
        self.0.get_range(read, isolation)
    }

    fn mutate(&self, mutation: Mutation<'_>) -> Result<(), Error> {
        self.0.mutate(mutation)
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictKind) -> Result<(), Error> {
        self.0.add_conflict(range, kind)
    }

    fn add_read_conflict_key(&self, key: &[u8]) -> Result<(), Error> {
        self.0.add_read_conflict_key(key)
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        self.0.watch(key)
    }

    fn versionstamp(&self) -> Read<CommitVersionstamp> {
        self.0.versionstamp()
    }

    fn commit(&self) -> Read<()> {
        self.0.commit()
    }

    fn cancel(&self) {
        self.0.inner().cancel();
    }

    fn native(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.0.inner().native()
    }
}
