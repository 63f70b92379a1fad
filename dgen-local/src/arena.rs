//! Copies of keys and small values, side by side in few allocations.
//!
//! A transaction makes many, in its caller's thread, and a committer lets go of them: each alone would be two
//! allocations that one thread makes and another frees, which allocators are slow at. So does a group of
//! transactions, of what only its commit can tell.

use bytes::{Bytes, BytesMut};

/// What is longer gets an allocation of its own: so that what is kept of a transaction, a key or two, keeps little else
/// in memory.
const SHARED_SIZE_MAX_BYTES: usize = 128;

/// How much is allocated at once.
const CHUNK_SIZE_BYTES: usize = 256;

/// The copies of one transaction, or of one group. What they share goes with the last of them.
#[derive(Debug, Default)]
pub(crate) struct Arena(BytesMut);

impl Arena {
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> Bytes {
        self.concat([bytes])
    }

    /// A copy of all `parts`, one behind the other.
    pub(crate) fn concat<const COUNT: usize>(&mut self, parts: [&[u8]; COUNT]) -> Bytes {
        let size_bytes = parts.iter().map(|part| part.len()).sum();
        if size_bytes > SHARED_SIZE_MAX_BYTES {
            return parts.concat().into();
        }
        if self.0.capacity() < size_bytes {
            self.0 = BytesMut::with_capacity(CHUNK_SIZE_BYTES);
        }
        for part in parts {
            self.0.extend_from_slice(part);
        }
        self.0.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Each copy is what was copied, however many follow it, and whichever are dropped.
        #[test]
        fn copies_are_what_was_copied(
            all in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>()), 0..60),
        ) {
            let mut arena = Arena::default();
            let mut copies = Vec::new();
            for (bytes, is_dropped) in &all {
                let (one, other) = bytes.split_at(bytes.len() / 2);
                let copy = match is_dropped {
                    true => arena.copy(bytes),
                    false => arena.concat([one, other]),
                };
                if !is_dropped {
                    copies.push(copy);
                }
            }
            drop(arena);
            let kept = all.iter().filter(|(_, is_dropped)| !is_dropped);
            for (copy, (bytes, _)) in copies.iter().zip(kept) {
                prop_assert_eq!(&copy[..], &bytes[..]);
            }
        }
    }
}
