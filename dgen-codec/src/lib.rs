//! Maps serde state to keys so that a write costs what changed.

mod error;
mod index;
mod order;
mod spacing;

pub use crate::{
    error::{Damage, IndexError, LoadError, StoreError},
    index::{FracIndex, Indices},
};
