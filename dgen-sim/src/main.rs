//! `cargo xtask sim`: plays many random worlds, or one again.

use std::process::ExitCode;

use clap::Parser;
use dgen_sim::{
    campaign::{self, Summary},
    world::{Part, World},
};

/// Plays random worlds of dgen servers under faults, and checks what must hold in each.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim")]
struct Options {
    /// How many worlds. Default: 1,000, or 1 if a seed is given.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first one's seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Leaves parts out of the world of one seed, as a failure names them: c1,m0,c2.17,t3.
    #[arg(long, value_delimiter = ',', requires = "seed")]
    without: Vec<Part>,
    /// Failures are told, and not made small.
    #[arg(long)]
    brief: bool,
    /// Plants bugs, one after the other, and says in how many worlds each is found. With a seed, plants
    /// the first in that world, and tells what comes of it.
    #[cfg(feature = "planted-bugs")]
    #[arg(long)]
    planted: bool,
    /// Plants that bug alone.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, requires = "planted")]
    bug: Option<String>,
}

fn main() -> ExitCode {
    campaign::hush();
    let options = Options::parse();
    let first = options.seed.unwrap_or(0);
    let count = options
        .seeds
        .unwrap_or(if options.seed.is_some() { 1 } else { 1_000 });
    #[cfg(feature = "planted-bugs")]
    if options.planted {
        let bugs = bugs(options.bug.as_deref());
        let Some(bug) = bugs.first() else {
            eprintln!("error: there is no such bug; without --bug, all are named");
            return ExitCode::FAILURE;
        };
        if options.seed.is_none() || count > 1 {
            return planted(first..first.saturating_add(count), &bugs);
        }
        dgen_backend::planted::plant(Some(*bug));
    }
    if options.seed.is_some() && count == 1 {
        return one(first, &options);
    }
    let summary = campaign::run(first..first.saturating_add(count), |world, verdict| {
        if options.brief {
            let violation = verdict.violations.first().map_or("", String::as_str);
            println!("seed {} failed: {violation}", world.seed);
        } else {
            println!("{}", campaign::explain(world, verdict));
        }
    });
    println!(
        "{} messages in {} turns of tasks",
        summary.messages, summary.turns
    );
    println!("{summary}");
    exit(summary.failed.is_empty())
}

/// Plays one world, and tells all of it.
fn one(seed: u64, options: &Options) -> ExitCode {
    let mut world = World::random(seed);
    for part in &options.without {
        match world.without(*part) {
            Some(smaller) => world = smaller,
            None => {
                eprintln!("error: the world of seed {seed} can't do without {part}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{world}");
    let verdict = world.play();
    println!("{}", campaign::story(&verdict));
    let is_right = verdict.violations.is_empty();
    if !is_right && options.without.is_empty() && !options.brief {
        println!("{}", campaign::explain(&world, &verdict));
    }
    let summary = Summary {
        seeds: 1,
        failed: (!is_right).then_some(seed).into_iter().collect(),
        ..Summary::default()
    };
    println!("{summary}");
    exit(is_right)
}

/// Looks for each planted bug in all of these worlds.
#[cfg(feature = "planted-bugs")]
fn planted(seeds: std::ops::Range<u64>, bugs: &[dgen_backend::planted::Bug]) -> ExitCode {
    use dgen_sim::planted::look_for;

    let mut missed = Vec::new();
    for &bug in bugs {
        let found = look_for(bug, seeds.clone(), false);
        println!("{found}");
        if found.seeds.is_empty() {
            missed.push(bug);
        }
    }
    println!("sim: {} planted bugs, {} missed", bugs.len(), missed.len());
    exit(missed.is_empty())
}

/// The planted bugs, or the one of that name.
#[cfg(feature = "planted-bugs")]
fn bugs(only: Option<&str>) -> Vec<dgen_backend::planted::Bug> {
    let bugs = dgen_backend::planted::Bug::ALL.into_iter();
    bugs.filter(|bug| only.is_none_or(|only| format!("{bug:?}") == only))
        .collect()
}

fn exit(is_right: bool) -> ExitCode {
    match is_right {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
