//! What the examples share.

pub mod load;
pub mod store;
