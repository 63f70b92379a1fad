//! What the examples share.

pub mod load;
