//! What can be chosen when a store is opened.

/// Sizes, and the identity of a store that is made.
#[derive(Debug, Clone)]
pub(crate) struct StoreOptions {
    /// Random; stored when the store is made, ignored when it exists.
    pub(crate) new_store_id: u64,
    /// Memory for pages of the tree. Default: 64 MiB.
    pub(crate) cache_size_bytes: usize,
    /// Size of a log segment; one that must hold a larger group is larger. A checkpoint is begun
    /// when it is full, or when the overlay takes twice that, so this also bounds what an open replays
    /// and what is kept in memory. Default: 16 MiB.
    pub(crate) segment_size_bytes: u64,
}

impl StoreOptions {
    pub(crate) fn new(new_store_id: u64) -> Self {
        Self {
            new_store_id,
            cache_size_bytes: 64 * 1024 * 1024,
            segment_size_bytes: 16 * 1024 * 1024,
        }
    }
}
