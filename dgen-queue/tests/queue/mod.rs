//! What a queue promises, clause by clause, on whatever store `crate::database` makes.

mod conflicts;
mod damage;
mod fifo;
pub(crate) mod fixture;
mod places;
mod retries;
mod sizes;
mod waking;
