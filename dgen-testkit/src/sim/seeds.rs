//! One world, many seeds.

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use crate::random::{SEED_VARIABLE, seed_from_env};

/// Runs `world` with each seed from 0 to below `count`; with the one in the variable `DGEN_SEED`
/// alone, if that is set.
///
/// # Panics
/// If `world` does, with the seed printed.
///
/// # Examples
/// ```
/// use dgen_testkit::sim::{Sim, for_each_seed};
///
/// for_each_seed(10, |seed| {
///     Sim::new(seed).run(async |sim| {
///         // .. start what is tested, use it, look at what came of it
///         assert_eq!(sim.seed(), seed);
///     });
/// });
/// ```
pub fn for_each_seed(count: u64, world: impl Fn(u64)) {
    if std::env::var_os(SEED_VARIABLE).is_some() {
        return world(seed_from_env());
    }
    for seed in 0..count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world(seed))) {
            eprintln!("failed with seed {seed} of {count}; replay it with {SEED_VARIABLE}={seed}");
            resume_unwind(panic);
        }
    }
}

/// The first of `seeds` with which `world` panics: to see that a bug would be found.
///
/// # Examples
/// ```
/// use dgen_testkit::sim::{Sim, failing_seed};
///
/// let first_bad = failing_seed(0..100, |seed| {
///     Sim::new(seed).run(async |sim| {
///         let shop = sim.machine("shop");
///         assert!(shop.env().wall_clock() >= sim.wall_clock(), "clocks are right");
///     });
/// });
/// assert!(first_bad.is_some(), "of a hundred clocks, one is wrong");
/// ```
#[must_use]
pub fn failing_seed(seeds: Range<u64>, world: impl Fn(u64)) -> Option<u64> {
    seeds
        .into_iter()
        .find(|seed| catch_unwind(AssertUnwindSafe(|| world(*seed))).is_err())
}
