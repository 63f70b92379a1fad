//! Plain bytes of any size under one prefix, in chunks that fit a value.
//!
//! Replies are stored this way: the first chunk's key is always there, so that a caller can watch
//! it.

use bytes::{Bytes, BytesMut};
use dgen_backend::{Error, KeyPreview, KeyRange, Transaction, tuple::Subspace};

use crate::{
    diff::CHUNK_SIZE_MAX_BYTES,
    error::{Damage, LoadError},
    keys::{self, Part},
};

/// Writes `bytes` below `base`, in place of what was there: at `(base, "t", 0)` and so on, 100,000
/// bytes in each, and at least one.
///
/// # Errors
/// Those of the transaction.
///
/// # Examples
/// ```
/// # use dgen_backend::{Transaction, tuple::Subspace};
/// # async fn f(tx: Transaction) -> Result<(), Box<dyn std::error::Error>> {
/// let base = Subspace::from(("reply", 7));
/// dgen_codec::write_chunks(&tx, &base, b"pong")?;
/// assert_eq!(dgen_codec::read_chunks(&tx, &base).await?.as_deref(), Some(&b"pong"[..]));
/// # Ok(()) }
/// ```
pub fn write_chunks(tx: &Transaction, base: &Subspace, bytes: &[u8]) -> Result<(), Error> {
    clear_chunks(tx, base)?;
    tx.set(
        &chunk_key(base, 0),
        &bytes[..bytes.len().min(CHUNK_SIZE_MAX_BYTES)],
    )?;
    for (number, chunk) in (0..).zip(bytes.chunks(CHUNK_SIZE_MAX_BYTES)).skip(1) {
        tx.set(&chunk_key(base, number), chunk)?;
    }
    Ok(())
}

/// The bytes below `base`, if there are any.
///
/// # Errors
/// [`LoadError::Backend`], and [`LoadError::Damaged`] if a chunk is missing.
///
/// # Cancel safety
/// Safe: it only reads.
pub async fn read_chunks(tx: &Transaction, base: &Subspace) -> Result<Option<Bytes>, LoadError> {
    let chunks = chunks(base);
    let rows = tx.collect_range(KeyRange::subspace(&chunks)).await?;
    for (expected, row) in (0..).zip(&rows) {
        if keys::part(&row.key, chunks.bytes().len()) != Some((Part::Int(expected), row.key.len()))
        {
            return Err(LoadError::Damaged {
                base: KeyPreview::new(base.bytes()).to_string(),
                path: keys::describe(&[]),
                damage: Damage::MissingChunk { expected },
            });
        }
    }
    Ok(match &rows[..] {
        [] => None,
        [row] => Some(row.value.clone()),
        rows => {
            let mut bytes = BytesMut::with_capacity(rows.iter().map(|row| row.value.len()).sum());
            rows.iter()
                .for_each(|row| bytes.extend_from_slice(&row.value));
            Some(bytes.freeze())
        }
    })
}

/// Removes the bytes below `base`.
///
/// # Errors
/// Those of the transaction.
pub fn clear_chunks(tx: &Transaction, base: &Subspace) -> Result<(), Error> {
    tx.clear_range(&KeyRange::subspace(&chunks(base)))
}

/// The key of the first chunk below `base`: the one to watch. Every [`write_chunks`] sets it.
#[must_use]
pub fn first_chunk_key(base: &Subspace) -> Vec<u8> {
    chunk_key(base, 0)
}

fn chunks(base: &Subspace) -> Subspace {
    base.subspace(&[keys::TERM].as_slice())
}

fn chunk_key(base: &Subspace, number: u64) -> Vec<u8> {
    chunks(base).pack(&number)
}
