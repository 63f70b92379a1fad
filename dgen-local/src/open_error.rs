//! Why a store could not be opened.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::block_file::HeaderError;
use crate::disk::is_no_space;
use crate::log::RecoveryError;
use crate::store::StoreError;
use crate::store::damage::Damage;

/// Why a store could not be opened. Nothing that it holds was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path is a file, or goes through one. Give a directory.
    #[error("{} is not a directory; give the path of a directory", path.display())]
    NotADirectory {
        /// The path that was given.
        path: PathBuf,
    },
    /// The directory or a file in it cannot be written by this user.
    #[error("{} cannot be written; check its owner and its mode", path.display())]
    NotWritable {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// Another store, of this process or another, has the directory open.
    #[error("{} is in use{}; close the other one, or give another path", path.display(), by_process(*pid))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process that holds it, if it could be read.
        pid: Option<u32>,
    },
    /// The disk or the quota is full.
    #[error("no space left to write {}; make room and open it again", path.display())]
    NoSpace {
        /// The file that could not grow.
        path: PathBuf,
    },
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
    /// A file of another program, or of a version of dgen that this one does not know.
    #[error("{} is not in a known format, but {found}; open it with the program that made it", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: String,
    },
    /// The system refused a read, a write or a flush.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<io::Error>,
    },
}

impl OpenError {
    /// Sorts an error of the system into the variant that the caller would act on.
    pub(crate) fn from_io(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            _ if is_no_space(&error) => Self::NoSpace { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                let source = Arc::new(error);
                Self::NotWritable { path, source }
            }
            io::ErrorKind::NotADirectory => Self::NotADirectory { path },
            _ => {
                let source = Arc::new(error);
                Self::Io { path, source }
            }
        }
    }

    pub(crate) fn from_header(path: &Path, error: HeaderError) -> Self {
        match error {
            HeaderError::Damage(damage) => damage.into(),
            HeaderError::Unknown(found) => Self::UnknownFormat {
                path: path.to_owned(),
                found,
            },
            HeaderError::Io(error) => Self::from_io(path, error),
        }
    }

    pub(crate) fn from_recovery(path: &Path, error: RecoveryError) -> Self {
        match error {
            RecoveryError::Damage(damage) => damage.into(),
            RecoveryError::Unknown { path, found } => Self::UnknownFormat { path, found },
            RecoveryError::Io(error) => Self::from_io(path, error),
            RecoveryError::Replay(error) => Self::from_store(path, error),
        }
    }

    pub(crate) fn from_store(path: &Path, error: StoreError) -> Self {
        match error {
            StoreError::Damaged { path, offset, what } => Self::Damaged { path, offset, what },
            StoreError::NoSpace { path } => Self::NoSpace { path },
            StoreError::Io { path, source } => Self::Io { path, source },
            StoreError::Closed { reason } => Self::Io {
                path: path.to_owned(),
                source: Arc::new(io::Error::other(reason)),
            },
        }
    }
}

impl From<Damage> for OpenError {
    fn from(damage: Damage) -> Self {
        Self::Damaged {
            path: damage.path,
            offset: damage.offset,
            what: damage.what,
        }
    }
}

fn by_process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" by process {pid}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC L1: what the system refuses is told apart by what the caller can do.
    #[test]
    fn refusals_are_told_apart() {
        let path = Path::new("store");
        let from = |kind: io::ErrorKind| OpenError::from_io(path, kind.into());
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
        ] {
            let error = from(kind);
            assert!(matches!(error, OpenError::NotWritable { .. }), "{error:?}");
            assert!(
                error.to_string().contains("store cannot be written"),
                "{error}"
            );
        }
        let full = from(io::ErrorKind::StorageFull);
        assert!(matches!(full, OpenError::NoSpace { .. }), "{full:?}");
        let file = from(io::ErrorKind::NotADirectory);
        assert!(matches!(file, OpenError::NotADirectory { .. }), "{file:?}");
        assert!(matches!(
            from(io::ErrorKind::TimedOut),
            OpenError::Io { .. }
        ));
    }
}
