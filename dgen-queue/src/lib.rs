//! A durable FIFO queue of opaque bytes on a transactional key-value store
