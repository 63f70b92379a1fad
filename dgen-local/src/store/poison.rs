//! The latch that an error closes for good.
//!
//! After a failed flush nobody knows what is on the disk, and a flush that succeeds later proves
//! nothing. So the first error is kept, and every later call is told about it.

use std::sync::{Mutex, OnceLock};

use super::store_error::StoreError;
use crate::block_file::BlockFile;

#[derive(Debug, Default)]
pub(super) struct Poison {
    reason: OnceLock<String>,
    /// Stopped together with the store, so that redb writes nothing more.
    blocks: Mutex<Option<BlockFile>>,
}

impl Poison {
    pub(super) fn new(blocks: Option<BlockFile>) -> Self {
        Self {
            reason: OnceLock::new(),
            blocks: Mutex::new(blocks),
        }
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.reason.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Closed {
                reason: reason.clone(),
            }),
        }
    }

    /// Passes the result on, and closes the store if it is an error.
    pub(super) fn latch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.close(&error.to_string());
        }
        result
    }

    /// Closes the store for `reason`, unless it is closed already.
    pub(super) fn close(&self, reason: &str) {
        self.reason.get_or_init(|| reason.to_owned());
        let blocks = self
            .blocks
            .lock()
            .expect("no code panics holding this lock");
        if let Some(blocks) = &*blocks {
            blocks.stop();
        }
    }
}
