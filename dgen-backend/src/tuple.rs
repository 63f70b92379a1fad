//! Keys as tuples: FoundationDB's tuple layer, byte for byte, from crate `foundationdb-tuple`.
//!
//! # Examples
//! ```
//! use dgen_backend::tuple::Subspace;
//!
//! let orders = Subspace::from(("shop", "orders"));
//! let key = orders.pack(&(17, "paid"));
//! assert_eq!(orders.unpack::<(i64, String)>(&key)?, (17, "paid".to_owned()));
//! # Ok::<(), dgen_backend::tuple::PackError>(())
//! ```

pub use foundationdb_tuple::{
    Bytes as TupleBytes, Element, PackError, Subspace, TupleDepth, TuplePack, TupleUnpack,
    Versionstamp, VersionstampOffset, pack, pack_with_versionstamp, unpack,
};
