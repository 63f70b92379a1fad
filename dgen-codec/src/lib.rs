//! Maps serde state to keys so that a write costs what changed.

mod chunks;
mod diff;
mod error;
mod index;
mod join;
mod keys;
mod msgpack;
mod order;
mod spacing;
mod split;
mod state;
mod stored;
mod tree;

pub use crate::{
    chunks::{clear_chunks, first_chunk_key, read_chunks, write_chunks},
    error::{Damage, IndexError, LoadError, StoreError},
    index::{FracIndex, Indices},
    state::{Loaded, Version, Written, clear, load, store, version, version_key},
    stored::Stored,
};

#[cfg(test)]
mod tests;
