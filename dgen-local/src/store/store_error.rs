//! What can go wrong while a store is open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::damage::Damage;
use crate::disk::is_no_space;

/// Why an operation on an open store failed.
///
/// After any of these the store is closed: later calls return [`Closed`](StoreError::Closed) with
/// the first cause. Nothing that was acknowledged is lost; open the store again after removing
/// the cause.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Stored bytes fail their check. Restore the directory from a backup.
    #[error("{} is damaged at byte {offset}: {what}; restore the directory from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Offset in bytes from its start.
        offset: u64,
        /// What was expected there and what was found.
        what: String,
    },
    /// The disk or the quota is full. Make room and open the store again.
    #[error("no space left to write {}; make room and open the store again", path.display())]
    NoSpace {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The system refused a read, a write or a flush.
    #[error("cannot read or write {}; open the store again once the disk works", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The store was closed, or an earlier error closed it.
    #[error("the store is closed: {reason}")]
    Closed {
        /// The first cause.
        reason: String,
    },
}

impl StoreError {
    /// Sorts an error of the system into the variant that the caller would act on.
    pub(crate) fn from_io(path: &Path, error: io::Error) -> Self {
        if let Some(damage) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Damage>())
        {
            return damage.clone().into();
        }
        let path = path.to_owned();
        if is_no_space(&error) {
            return Self::NoSpace { path };
        }
        Self::Io {
            path,
            source: Arc::new(error),
        }
    }
}

impl From<Damage> for StoreError {
    fn from(damage: Damage) -> Self {
        Self::Damaged {
            path: damage.path,
            offset: damage.offset,
            what: damage.what,
        }
    }
}
