//! Trees against a plain in-memory model of keys.

mod edits;
mod model;
mod shapes;
mod stored_bytes;
mod touched;
mod value;
