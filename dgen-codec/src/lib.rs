//! Maps serde state to keys so that a write costs what changed.
//!
//! A state is any serde type. It is encoded as MessagePack with named fields, and then taken apart:
//!
//! | a value that is | is stored |
//! |---|---|
//! | a struct, or a map with string keys | each entry under its own key |
//! | a list of structs with an `id` that is a string or bytes, no two alike | each item under its own keys, ordered by a [fractional index](FracIndex) |
//! | anything else | as MessagePack, in chunks of 100,000 bytes |
//!
//! and so on inside each. A [`store`] compares with what was stored before and writes the keys that
//! differ, and a new [`Version`]; if nothing differs it writes nothing. It reads nothing either: the
//! tree of keys, a [`Stored`], is kept beside the state.
//!
//! # Examples
//! ```
//! use dgen_backend::tuple::Subspace;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! struct Cart { owner: String, lines: Vec<Line> }
//!
//! #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
//! struct Line { id: String, count: u32 }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let db = dgen_local::in_memory()?;
//! let base = &Subspace::from(("Cart", "demo", "state"));
//! let line = |id: &str| Line { id: id.to_owned(), count: 1 };
//! let cart = Cart { owner: "Ada".to_owned(), lines: vec![line("tea"), line("jam")] };
//! let tx = db.begin()?;
//! dgen_codec::store(&tx, base, None, &cart)?;
//! tx.commit().await?;
//!
//! // Later: only the keys of the new line are written, and the version.
//! let tx = db.begin()?;
//! let loaded = dgen_codec::load::<Cart>(&tx, base).await?.expect("it was stored");
//! let mut cart = loaded.value;
//! cart.lines.insert(1, line("bread"));
//! let written = dgen_codec::store(&tx, base, Some(&loaded.stored), &cart)?;
//! tx.commit().await?;
//! assert!(written.is_changed);
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Large lists
//! The keys that a change writes are those that differ, however large the state is. But to find them, a state is
//! encoded and compared: all of it, as serde knows no other way. A [`List`] in the place of a `Vec` keeps
//! with its items what they were encoded to, so that the work is that of the change too. It is stored as the
//! `Vec` would be.
//!
//! # What a type must bear
//! What is read equals what was written for every type that comes back from named MessagePack with
//! its maps in another order. That leaves out little:
//!
//! - MessagePack has one nil: `Some(None)` and `Some(())` come back as `None`.
//! - A map comes back sorted by key, so a type that is a map and gives its order a meaning loses
//!   the order. (An adjacently tagged enum, whose tag serde wants first, keeps its tag first.)
//! - Nothing nested deeper than [`NESTING_MAX`] is written: it could not be read again.
//! - A type that contains itself by options and newtypes alone, such as `struct A(Option<Box<A>>)`,
//!   has no value but nil, and MessagePack spends no byte on its levels: reading anything else as one
//!   would never end. Do not store one.
//! - Types that serde must buffer (`untagged`, `flatten`, internally tagged) have the limits there
//!   that they have in any binary format: no 128-bit integers, and types with a text form of their
//!   own, such as `IpAddr`, may not come back.
//!
//! Changing a type is serde's matter: `#[serde(default)]`, `alias`, options. A state that the new
//! type does not read is a [`LoadError::Decode`] that names the place, and stays as it is.

mod canonical;
mod chunks;
mod diff;
mod encoding;
mod error;
mod index;
mod interleave;
mod join;
mod keys;
mod list;
mod merge;
mod msgpack;
mod order;
mod outline;
mod parts;
mod plain;
mod spacing;
mod split;
mod state;
mod stored;
mod stretches;
mod text;
mod tree;

#[cfg(test)]
mod tests;

pub use crate::{
    chunks::{clear_chunks, first_chunk_key, read_chunks, write_chunks},
    error::{Damage, IndexError, LoadError, MergeError, MergeInput, StoreError},
    index::{FracIndex, Indices},
    list::{List, ListIter},
    merge::merge,
    plain::{NESTING_MAX, PlainError, from_plain, to_plain},
    state::{Loaded, Version, Written, clear, load, store, version, version_key},
    stored::Stored,
    text::to_text,
};
