//! The keys of a queue.
//!
//! Below the queue's subspace, as tuples:
//!
//! | key | value |
//! |---|---|
//! | `("i", stamp)` | an item of at most 100,000 bytes |
//! | `("i", stamp, size_bytes, index)` | chunk `index` of an item of `size_bytes` bytes, which is more than 100,000 |
//! | `("pushed")` | how many items were ever pushed: 8 bytes, little-endian |
//! | `("popped")` | how many were ever popped: the same |
//! | `("wake")` | the versionstamp of the last push or notify: 10 bytes |
//!
//! `stamp` is a versionstamp of 12 bytes, so items lie in the order of their commits. The first row
//! of a chunked item says in its key how much follows, so a value is nothing but the item's bytes.

use dgen_backend::{
    KeyRange,
    limits::{TRANSACTION_SIZE_MAX_BYTES, VALUE_SIZE_MAX_BYTES, VERSIONSTAMP_SIZE_BYTES},
    tuple::{Subspace, Versionstamp, unpack},
};

/// Every chunk of an item but the last has this length: 100,000 bytes.
pub(crate) const CHUNK_SIZE_BYTES: usize = VALUE_SIZE_MAX_BYTES;

/// A value that the commit replaces with its versionstamp: the bytes to replace, and their offset, 0.
pub(crate) const WAKE_TEMPLATE: [u8; VERSIONSTAMP_SIZE_BYTES + 4] =
    [0; VERSIONSTAMP_SIZE_BYTES + 4];

/// A packed versionstamp: its type code, and the bytes of the commit and of the order in it.
const STAMP_SIZE_BYTES: usize = 1 + VERSIONSTAMP_SIZE_BYTES + 2;

/// Makes and reads the keys of one queue. It keeps little: there may be very many queues.
#[derive(Debug)]
pub(crate) struct Keys {
    root: Subspace,
    items: Subspace,
}

/// A row of an item, as its key tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RowKey {
    /// The only row of its item.
    Whole(Versionstamp),
    /// One of several.
    Chunk(ChunkKey),
}

/// A row of a chunked item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChunkKey {
    pub(crate) stamp: Versionstamp,
    /// The size of the whole item.
    pub(crate) item_size_bytes: usize,
    /// The place of this chunk, from 0.
    pub(crate) index: usize,
}

impl Keys {
    pub(crate) fn new(subspace: &Subspace) -> Self {
        // The bytes alone: a subspace that is itself a template would bring a second stamp along.
        let root = Subspace::from_bytes(subspace.bytes());
        // Without the room that packing leaves behind a key.
        let items = Subspace::from_bytes(root.subspace(&"i").bytes());
        Self { root, items }
    }

    /// Everything that the queue stores.
    pub(crate) fn all(&self) -> KeyRange {
        KeyRange::subspace(&self.root)
    }

    /// Every row of every item.
    pub(crate) fn items(&self) -> KeyRange {
        KeyRange::subspace(&self.items)
    }

    pub(crate) fn pushed(&self) -> Vec<u8> {
        self.root.pack(&"pushed")
    }

    pub(crate) fn popped(&self) -> Vec<u8> {
        self.root.pack(&"popped")
    }

    pub(crate) fn wake(&self) -> Vec<u8> {
        self.root.pack(&"wake")
    }

    /// The rows of `item` as the commit will make them: templates of keys, and values.
    pub(crate) fn rows<'a>(
        &'a self,
        user_version: u16,
        item: &'a [u8],
    ) -> impl Iterator<Item = (Vec<u8>, &'a [u8])> {
        chunks(item).map(move |(index, chunk)| {
            let stamp = Versionstamp::incomplete(user_version);
            let key = if item.len() <= CHUNK_SIZE_BYTES {
                self.items.pack_with_versionstamp(&(stamp,))
            } else {
                let tuple = (stamp, item.len() as u64, index as u64);
                self.items.pack_with_versionstamp(&tuple)
            };
            (key, chunk)
        })
    }

    /// The rows of `item` in a place that it has already: keys, and values.
    pub(crate) fn rows_at<'a>(
        &'a self,
        stamp: &'a Versionstamp,
        item: &'a [u8],
    ) -> impl Iterator<Item = (Vec<u8>, &'a [u8])> {
        chunks(item).map(move |(index, chunk)| {
            let key = if item.len() <= CHUNK_SIZE_BYTES {
                self.items.pack(&(stamp,))
            } else {
                self.items.pack(&(stamp, item.len() as u64, index as u64))
            };
            (key, chunk)
        })
    }

    /// Every row of the item in that place, whatever its size.
    pub(crate) fn rows_of(&self, stamp: &Versionstamp) -> KeyRange {
        KeyRange::prefix(&self.items.pack(&(stamp,)))
    }

    /// What the row at `key` is, if a queue can have written it.
    pub(crate) fn parse_row(&self, key: &[u8]) -> Option<RowKey> {
        let tuple = key.strip_prefix(self.items.bytes())?;
        let (stamp, place) = tuple.split_at_checked(STAMP_SIZE_BYTES)?;
        let (stamp,) = unpack::<(Versionstamp,)>(stamp).ok()?;
        if place.is_empty() {
            return Some(RowKey::Whole(stamp));
        }
        let (item_size_bytes, index) = unpack::<(u64, u64)>(place).ok()?;
        let chunk = ChunkKey {
            stamp,
            item_size_bytes: usize::try_from(item_size_bytes).ok()?,
            index: usize::try_from(index).ok()?,
        };
        // A tuple can spell a number in more ways than the one that sorts right: take only that one.
        (chunk.is_possible() && self.chunk(&chunk) == key).then_some(RowKey::Chunk(chunk))
    }

    pub(crate) fn chunk(&self, chunk: &ChunkKey) -> Vec<u8> {
        let (size, index) = (chunk.item_size_bytes as u64, chunk.index as u64);
        self.items.pack(&(&chunk.stamp, size, index))
    }
}

impl ChunkKey {
    /// How many chunks the item has.
    pub(crate) fn count(&self) -> usize {
        chunk_count(self.item_size_bytes)
    }

    /// How long this chunk is.
    pub(crate) fn size_bytes(&self) -> usize {
        let begin = self.index * CHUNK_SIZE_BYTES;
        CHUNK_SIZE_BYTES.min(self.item_size_bytes - begin)
    }

    /// The chunk behind this one, if it is not the last.
    pub(crate) fn next(&self) -> Option<Self> {
        let next = Self {
            index: self.index + 1,
            ..self.clone()
        };
        next.is_possible().then_some(next)
    }

    /// Whether an item of this size is chunked, fits a transaction, and has this chunk.
    fn is_possible(&self) -> bool {
        self.item_size_bytes > CHUNK_SIZE_BYTES
            && self.item_size_bytes <= TRANSACTION_SIZE_MAX_BYTES
            && self.index < self.count()
    }
}

/// The chunks of an item, with their places.
fn chunks(item: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    // An item of no bytes has a row too, and `chunks` of nothing is nothing.
    let count = chunk_count(item.len()).max(1);
    (0..count).map(|index| {
        let begin = index * CHUNK_SIZE_BYTES;
        let end = item.len().min(begin + CHUNK_SIZE_BYTES);
        (index, &item[begin..end])
    })
}

fn chunk_count(item_size_bytes: usize) -> usize {
    item_size_bytes.div_ceil(CHUNK_SIZE_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::new(&Subspace::from("q"))
    }

    /// SPEC Q3: what is stored, byte by byte. A change here is a change of storage.
    #[test]
    fn keys_have_these_bytes() {
        let keys = keys();
        let stamp = Versionstamp::complete(*b"0123456789", 0x0102);
        let (whole, _) = keys.rows(0x0102, b"item").next().unwrap();
        assert_eq!(
            whole,
            b"\x02q\0\x02i\0\x33\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x07\0\0\0"
        );
        let chunk = ChunkKey {
            stamp,
            item_size_bytes: 250_000,
            index: 2,
        };
        assert_eq!(
            keys.chunk(&chunk),
            b"\x02q\0\x02i\0\x330123456789\x01\x02\x17\x03\xd0\x90\x15\x02"
        );
        assert_eq!(keys.pushed(), b"\x02q\0\x02pushed\0");
        assert_eq!(keys.popped(), b"\x02q\0\x02popped\0");
        assert_eq!(keys.wake(), b"\x02q\0\x02wake\0");
    }

    /// SPEC Q3.
    #[test]
    fn an_item_is_cut_at_100_000_bytes() {
        let lengths = |size_bytes: usize| -> Vec<usize> {
            let item = vec![7; size_bytes];
            keys()
                .rows(0, &item)
                .map(|(_, value)| value.len())
                .collect()
        };
        assert_eq!(lengths(0), [0]);
        assert_eq!(lengths(100_000), [100_000]);
        assert_eq!(lengths(100_001), [100_000, 1]);
        assert_eq!(lengths(200_000), [100_000, 100_000]);
    }

    proptest! {
        /// SPEC Q3: a row is read as what it was written as.
        #[test]
        fn row_keys_are_read_back(stamp: [u8; 12], item_size_bytes in 0..TRANSACTION_SIZE_MAX_BYTES) {
            let (keys, stamp) = (keys(), Versionstamp::from(stamp));
            let whole = keys.items.pack(&(&stamp,));
            let rows = keys.rows_of(&stamp);
            let is_of_item = |key: &Vec<u8>| rows.begin <= *key && *key < rows.end;
            prop_assert!(is_of_item(&whole));
            prop_assert_eq!(keys.parse_row(&whole), Some(RowKey::Whole(stamp.clone())));
            let mut chunk = Some(ChunkKey { stamp, item_size_bytes, index: 0 });
            while let Some(key) = chunk.filter(ChunkKey::is_possible) {
                prop_assert!(is_of_item(&keys.chunk(&key)));
                prop_assert_eq!(keys.parse_row(&keys.chunk(&key)), Some(RowKey::Chunk(key.clone())));
                chunk = key.next();
            }
        }

        /// SPEC S12: no stored key panics.
        #[test]
        fn any_key_can_be_parsed(tail: Vec<u8>) {
            let keys = keys();
            let mut key = keys.items.bytes().to_vec();
            key.extend_from_slice(&tail);
            let _ = keys.parse_row(&key);
            key.truncate(keys.items.bytes().len());
            key.push(0x33);
            key.extend_from_slice(&[1; 12]);
            key.extend_from_slice(&tail);
            let _ = keys.parse_row(&key);
        }
    }
}
