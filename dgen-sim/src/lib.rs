//! Random worlds of dgen servers under faults, and what must hold in each. `cargo xtask sim` plays them.
//!
//! | to do | look at |
//! |---|---|
//! | see what there is in a world, and what goes wrong | [`world`] |
//! | see what its servers do | [`servers`] |
//! | see how it is played: the storm, the calm, the silence | [`stage`] |
//! | see what must hold | [`checks`], of [`history`] and [`scene`] |
//! | play many, and make small what fails | [`campaign`], [`shrink`](mod@shrink) |
//!
//! It leaves out real disks, OS processes and threads, which `dgen-crash` has, and clusters.

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
