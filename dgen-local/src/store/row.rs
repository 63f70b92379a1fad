//! A row that was found and not copied yet.

use bytes::Bytes;

type Guard<'a> = redb::AccessGuard<'a, &'static [u8]>;

/// Rows in the order of a read.
pub(super) type Rows<'a> = Box<dyn Iterator<Item = Result<Row<'a>, redb::Error>> + 'a>;

/// A key and its value, where they lie.
pub(super) enum Row<'a> {
    /// In memory.
    Kept(&'a Bytes, &'a Bytes),
    /// In a page of the tree.
    Stored(Guard<'a>, Guard<'a>),
}

impl<'a> Row<'a> {
    pub(super) fn stored(
        found: Result<(Guard<'a>, Guard<'a>), redb::StorageError>,
    ) -> Result<Self, redb::Error> {
        let (key, value) = found?;
        Ok(Self::Stored(key, value))
    }

    pub(super) fn key(&self) -> &[u8] {
        match self {
            Self::Kept(key, _) => key,
            Self::Stored(key, _) => key.value(),
        }
    }

    /// Of key and value.
    pub(super) fn size_bytes(&self) -> usize {
        match self {
            Self::Kept(key, value) => key.len() + value.len(),
            Self::Stored(key, value) => key.value().len() + value.value().len(),
        }
    }

    pub(super) fn to_pair(&self) -> (Bytes, Bytes) {
        match self {
            Self::Kept(key, value) => (Bytes::clone(key), Bytes::clone(value)),
            Self::Stored(key, value) => (
                Bytes::copy_from_slice(key.value()),
                Bytes::copy_from_slice(value.value()),
            ),
        }
    }
}
