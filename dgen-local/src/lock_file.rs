//! The `LOCK` file: one store at a time has a directory open.
//!
//! Uses the lock of the operating system, which ends with the process however it ends. The file
//! stays; its presence means nothing. The process id inside is for the message only.
//!
//! Leaves out: network file systems, on which such locks may not hold.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::open_error::OpenError;

const NAME: &str = "LOCK";
/// More than any process id takes, in bytes.
const PID_BYTES_MAX: u64 = 32;

/// Holds the lock until dropped.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Locks `directory`, which exists.
    ///
    /// # Errors
    ///
    /// `InUse` if another store has it, in this process or another.
    pub(crate) fn acquire(directory: &Path) -> Result<Self, OpenError> {
        let path = directory.join(NAME);
        let io_error = |error| OpenError::from_io(&path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    path: directory.to_owned(),
                    pid: read_pid(&file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(io_error(error)),
        }
        file.set_len(0).map_err(io_error)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
            .map_err(io_error)?;
        Ok(Self { _file: file })
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC L1: a second opener learns the path and the process, and may come back later.
    #[test]
    fn second_opener_is_told_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let lock = LockFile::acquire(directory.path()).unwrap();
        let error = LockFile::acquire(directory.path()).unwrap_err();
        assert!(
            matches!(&error, OpenError::InUse { path, pid }
                if path == directory.path() && *pid == Some(std::process::id())),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains(&directory.path().display().to_string()),
            "{text}"
        );
        drop(lock);
        LockFile::acquire(directory.path()).unwrap();
    }
}
