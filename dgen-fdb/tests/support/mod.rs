//! What tests on a cluster share.
#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod child;
pub(crate) mod directory;
pub(crate) mod recorder;
pub(crate) mod tally;
