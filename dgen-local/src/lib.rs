//! The embedded backend of dgen: durable on disk, or in memory
