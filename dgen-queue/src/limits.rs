//! How much of a queue to read.

/// How much of a queue's head one read takes.
///
/// An item that alone is over [`size_max_bytes`](Self::size_max_bytes) is read all the same if it
/// comes first: no item is too large to leave the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// At most so many items; 0 reads nothing. Default: 1,000.
    pub items_max: usize,
    /// At most so many bytes of items. Default: 1,000,000 bytes.
    pub size_max_bytes: usize,
}

impl Limits {
    /// At most `items_max` items, with the default limit of bytes.
    #[must_use]
    pub fn items(items_max: usize) -> Self {
        Self {
            items_max,
            ..Self::default()
        }
    }

    /// At most `size_max_bytes` of items, the first of them whatever its size.
    #[must_use]
    pub fn size_max_bytes(mut self, size_max_bytes: usize) -> Self {
        self.size_max_bytes = size_max_bytes;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            items_max: 1_000,
            size_max_bytes: 1_000_000,
        }
    }
}

/// [`Limits::items`]: so many items, and the default limit of bytes.
impl From<usize> for Limits {
    fn from(items_max: usize) -> Self {
        Self::items(items_max)
    }
}
