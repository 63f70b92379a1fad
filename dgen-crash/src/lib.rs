//! The crash harness: a program that works on an embedded store is killed, again and again, and what
//! it leaves is checked.
//!
//! Guarantees, as far as its rounds go: what was acknowledged is there, once; what was not is there
//! once or not at all, as a whole; nothing is left behind. See docs/guarantees.md.
//!
//! How: a [`Harness`] starts [`Child`]ren on one store, one after the other. Each opens the store,
//! consumes its servers, has two dozen callers send to them in every way that there is, and prints
//! each acknowledgement once it has it. It is killed with SIGKILL at a moment that follows from
//! the seed: at an operation of its disk, after so many acknowledgements, or after some time, in the
//! middle of its opening too. Then the machine may lose power as well ([`Mode`]), and the next child begins.
//! Where a child looks at everything, and at the end of each store, all servers must agree.
//!
//! Leaves out: disks that lie, except on purpose ([`Lie`]), and several machines.

mod audit;
mod caller;
mod child;
mod desk;
mod harness;
mod history;
mod journal;
mod journaled_disk;
mod leftovers;
mod letters;
mod lie;
mod machine;
mod numbers;
mod own_key;
mod parcel;
mod plan;
mod running;
mod series;
mod world;

pub use crate::{
    child::Child,
    harness::{Harness, Summary},
    lie::Lie,
    plan::Mode,
};
