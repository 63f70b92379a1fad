//! A type without values.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What never happens: the error of a call that can't fail, the casts of a server that takes none.
///
/// `std::convert::Infallible` would do, if serde knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}
