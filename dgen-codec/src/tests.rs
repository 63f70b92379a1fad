//! Trees against a plain in-memory model of keys.

mod edits;
mod large_lists;
mod merging;
mod model;
mod shapes;
mod stored_bytes;
mod touched;
pub(crate) mod value;
