//! Random worlds of dgen servers under faults, and what must hold in each.

pub mod campaign;
pub mod checks;
pub mod history;
#[cfg(feature = "planted-bugs")]
pub mod planted;
pub mod scene;
mod sending;
pub mod servers;
pub mod shrink;
pub mod stage;
pub mod world;
