//! Directories: paths of names, each with a short key prefix of its own.
//!
//! Two directories never share a prefix, whatever happens to them; moving one moves no data.

mod standard;

use std::{fmt, future::Future, pin::Pin};

pub use self::standard::StandardDirectories;
use crate::{Error, Transaction, tuple::Subspace};

/// What the directory layer of a backend offers. Each method works in the caller's transaction.
///
/// # Errors
/// Each method fails with a [`DirectoryError`].
pub trait Directories: Send + Sync {
    /// The directory at `path`; it and its parents are made if they do not exist.
    fn create_or_open<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory>;

    /// Makes the directory at `path`, and its parents if they do not exist.
    fn create<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory>;

    /// The directory at `path`, which exists.
    fn open<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory>;

    /// The names directly below `path`, in order; the empty path lists the top.
    fn list<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Vec<String>>;

    /// Gives the directory at `from` the path `to`, whose parent exists. Its prefix and its data
    /// stay.
    fn rename<'a>(
        &'a self,
        tx: &'a Transaction,
        from: &'a DirectoryPath,
        to: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, Directory>;

    /// Removes the directory at `path`, all directories below it, and all their data.
    fn remove<'a>(
        &'a self,
        tx: &'a Transaction,
        path: &'a DirectoryPath,
    ) -> DirectoryFuture<'a, ()>;
}

/// What a method of [`Directories`] returns.
pub type DirectoryFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, DirectoryError>> + Send + 'a>>;

/// A directory: its path, and the prefix of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    path: DirectoryPath,
    subspace: Subspace,
}

impl Directory {
    /// For backends: the directory at `path` with the prefix of `subspace`.
    #[must_use]
    pub fn new(path: DirectoryPath, subspace: Subspace) -> Self {
        Self { path, subspace }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &DirectoryPath {
        &self.path
    }

    /// The prefix of its keys.
    #[must_use]
    pub fn subspace(&self) -> &Subspace {
        &self.subspace
    }

    /// The prefix of its keys.
    #[must_use]
    pub fn into_subspace(self) -> Subspace {
        self.subspace
    }
}

/// The names from the top to a directory.
///
/// # Examples
/// ```
/// use dgen_backend::directory::DirectoryPath;
/// let path = DirectoryPath::from(["shop", "orders"]);
/// assert_eq!(path.to_string(), "shop/orders");
/// assert_eq!(DirectoryPath::from("shop").names(), ["shop"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct DirectoryPath(Vec<String>);

impl DirectoryPath {
    /// The names, from the top.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// Whether `self` is `other` or is above it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl From<&str> for DirectoryPath {
    /// A path of one name, whatever characters it holds.
    fn from(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }
}

impl<const N: usize> From<[&str; N]> for DirectoryPath {
    fn from(names: [&str; N]) -> Self {
        Self(names.map(str::to_owned).into())
    }
}

impl From<Vec<String>> for DirectoryPath {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

impl fmt::Display for DirectoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("/"))
    }
}

/// An error of the directory layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// There is no such directory. Check the path, or create it.
    #[error("no directory at \"{path}\"")]
    NotFound {
        /// The path asked for.
        path: DirectoryPath,
    },
    /// There is one already. Open it, or choose another path.
    #[error("there is a directory at \"{path}\" already")]
    AlreadyExists {
        /// The path asked for.
        path: DirectoryPath,
    },
    /// The empty path names no directory that could be opened, moved or removed.
    #[error("the empty path names no directory")]
    EmptyPath,
    /// A directory can't be moved below itself.
    #[error("\"{from}\" can't be moved to \"{to}\", which is below it")]
    BelowItself {
        /// The directory.
        from: DirectoryPath,
        /// Where it was to go.
        to: DirectoryPath,
    },
    /// What the store holds about directories can't be read. Nothing was changed.
    #[error("damaged directory entry below \"{path}\": {what}")]
    Damaged {
        /// The directory whose entry it is.
        path: DirectoryPath,
        /// What is wrong with it.
        what: String,
    },
    /// The backend's own directory layer does not do this. Nothing was changed.
    #[error("the directory layer refused \"{path}\": {why}")]
    Refused {
        /// The path asked for.
        path: DirectoryPath,
        /// What it said.
        why: String,
    },
    /// An error of the transaction.
    #[error("directory transaction failed")]
    Transaction(#[from] Error),
}
