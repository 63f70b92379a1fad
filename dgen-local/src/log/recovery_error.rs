//! Why a segment of the log cannot be used.

use std::io;
use std::path::PathBuf;

use crate::store::damage::Damage;
use crate::store::store_error::StoreError;

/// Why a segment cannot be used.
#[derive(Debug)]
pub(crate) enum RecoveryError {
    Damage(Damage),
    Unknown {
        path: PathBuf,
        found: String,
    },
    Io(io::Error),
    /// What the caller's `replay` returned.
    Replay(StoreError),
}

impl From<Damage> for RecoveryError {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<io::Error> for RecoveryError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
