//! Where stored bytes were found not to be what was written.

use std::io;
use std::path::PathBuf;

/// A place in a file whose bytes fail their check.
///
/// Travels inside an [`io::Error`] through redb, which knows only those.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {offset}: {what}", path.display())]
pub(crate) struct Damage {
    pub(crate) path: PathBuf,
    /// Offset in bytes from the start of the file.
    pub(crate) offset: u64,
    /// What was expected there and what was found.
    pub(crate) what: String,
}

impl Damage {
    pub(crate) fn new(path: impl Into<PathBuf>, offset: u64, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            offset,
            what: what.into(),
        }
    }
}

impl From<Damage> for io::Error {
    fn from(damage: Damage) -> Self {
        Self::new(io::ErrorKind::InvalidData, damage)
    }
}
