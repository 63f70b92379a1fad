//! Many worlds, one seed after the other, and what is told of one that fails.

use std::{fmt, ops::Range, panic};

use crate::{
    scene::Stumbled,
    shrink::{Shrunk, kind, shrink},
    stage::Verdict,
    world::World,
};

/// What came of many worlds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many there were.
    pub seeds: u64,
    /// Those that failed.
    pub failed: Vec<u64>,
    /// How many messages were sent in all of them.
    pub messages: usize,
    /// How many turns tasks had.
    pub turns: u64,
}

/// Plays the worlds of all of `seeds`; `note` is told each that fails.
pub fn run(seeds: Range<u64>, mut note: impl FnMut(&World, &Verdict)) -> Summary {
    let mut summary = Summary::default();
    for seed in seeds {
        let world = World::random(seed);
        let verdict = world.play();
        summary.seeds += 1;
        summary.messages += verdict.messages;
        summary.turns += verdict.turns;
        if !verdict.violations.is_empty() {
            summary.failed.push(seed);
            note(&world, &verdict);
        }
    }
    summary
}

/// All that is to know of a world that failed: it is played again, and made small.
#[must_use]
pub fn explain(world: &World, verdict: &Verdict) -> String {
    let seed = world.seed;
    let mut text = format!("seed {seed} failed; replay it with `cargo xtask sim --seed {seed}`\n");
    for violation in &verdict.violations {
        text += &format!("  {violation}\n");
    }
    let again = world.play();
    if again.trace_hash != verdict.trace_hash {
        text +=
            "  and it was not the same when it was played again: something is not of the seed\n";
        return text;
    }
    text += &format!("  trace {:016x}, twice\n", verdict.trace_hash);
    let Shrunk { world, without } = shrink(world, |world| {
        let violations = world.play().violations;
        !violations.is_empty() && kind(&violations) == kind(&verdict.violations)
    });
    let parts: Vec<_> = without.iter().map(ToString::to_string).collect();
    let small = world.play();
    text += &format!(
        "made small: `cargo xtask sim --seed {seed} --without {}`\n",
        parts.join(",")
    );
    text += &format!("{world}\n");
    text + &story(&small)
}

/// What clients saw, and what did not hold.
#[must_use]
pub fn story(verdict: &Verdict) -> String {
    let mut text = String::new();
    for record in &verdict.records {
        text += &format!(
            "  {:?} to {:?}: c{} to s{}: {} {:?}: {:?}\n",
            record.sent_at,
            record.ended_at,
            record.client,
            record.server,
            record.op,
            record.order,
            record.outcome,
        );
    }
    for violation in &verdict.violations {
        text += &format!("  FAILED: {violation}\n");
    }
    text + &format!("  trace {:016x}", verdict.trace_hash)
}

/// Panics of handlers that are asked for are not printed from now on.
pub fn hush() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<Stumbled>() {
            usual(info);
        }
    }));
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sim: {} seeds, {} failed", self.seeds, self.failed.len())?;
        let seeds: Vec<_> = self.failed.iter().map(u64::to_string).collect();
        if !seeds.is_empty() {
            write!(f, ": seeds {}", seeds.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_what_failed() {
        let summary = |failed: Vec<u64>| Summary {
            seeds: 9,
            failed,
            ..Summary::default()
        };
        assert_eq!(summary(Vec::new()).to_string(), "sim: 9 seeds, 0 failed");
        let failed = summary(vec![3, 8]).to_string();
        assert_eq!(failed, "sim: 9 seeds, 2 failed: seeds 3, 8");
    }
}
