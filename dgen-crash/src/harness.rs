//! Many stores, one after the other.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use dgen_testkit::Random;

use crate::{
    lie::Lie,
    plan::Mode,
    series::{Failure, Series},
};

/// At most so many programs are killed on one store.
const ROUNDS_MAX: usize = 12;

/// After so many failures nothing new is learnt.
const FAILURES_MAX: usize = 5;

/// What is run.
#[derive(Debug, Clone)]
pub struct Harness {
    program: PathBuf,
    modes: Vec<Mode>,
    lie: Option<Lie>,
}

/// What came of it.
#[derive(Debug, Default)]
#[must_use = "something may be lost"]
pub struct Summary {
    /// How many programs were killed, by mode.
    pub kills: BTreeMap<Mode, u64>,
    /// How many of them had not opened their store yet.
    pub kills_in_opening: u64,
    /// How many of them left a store half made.
    pub kills_in_making: u64,
    /// How many of them left two log segments, the one about to replace the other.
    pub kills_in_switch: u64,
    /// How many messages they had acknowledged.
    pub acknowledgements: u64,
    /// The longest that a program said nothing, those with real flushes aside: a wake-up that was lost
    /// would show here.
    pub silence: Duration,
    /// How often everything was looked at.
    pub audits: u64,
    /// How many programs waited for another's end to have its store.
    pub waits: u64,
    /// The failures, to read.
    pub failures: Vec<String>,
    seeds: Vec<u64>,
}

impl Harness {
    /// Kills children of `program`, which is this crate's.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            modes: Mode::ALL.to_vec(),
            lie: None,
        }
    }

    /// In these modes alone.
    #[must_use]
    pub fn in_modes(mut self, modes: &[Mode]) -> Self {
        self.modes = modes.to_vec();
        self
    }

    /// With a fault planted.
    #[must_use]
    pub fn with_lie(mut self, lie: Lie) -> Self {
        self.lie = Some(lie);
        self
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn modes(&self) -> &[Mode] {
        &self.modes
    }

    pub(crate) fn lie(&self) -> Option<Lie> {
        self.lie
    }

    /// Kills `rounds` programs, those of the first store as `seed` says; `tell` is told of each
    /// failure, and of how far it is.
    ///
    /// # Errors
    /// Those of the system: no program, no room.
    pub fn run(&self, seed: u64, rounds: u64, mut tell: impl FnMut(&str)) -> io::Result<Summary> {
        let mut summary = Summary::default();
        let mut left = rounds;
        let mut seed = seed;
        while left > 0 && summary.failures.len() < FAILURES_MAX {
            let count = left.min(rounds_of_store(seed));
            self.run_store(seed, count, &mut summary, &mut tell)?;
            left -= count;
            seed = seed.wrapping_add(1);
        }
        Ok(summary)
    }

    fn run_store(
        &self,
        seed: u64,
        rounds: u64,
        summary: &mut Summary,
        tell: &mut impl FnMut(&str),
    ) -> io::Result<()> {
        let folder = tempfile::Builder::new().prefix("dgen-crash-").tempdir()?;
        let report = Series::new(self, folder.path(), seed).run(rounds)?;
        for (mode, count) in report.kills {
            *summary.kills.entry(mode).or_default() += count;
        }
        summary.kills_in_opening += report.kills_in_opening;
        summary.kills_in_making += report.kills_in_making;
        summary.kills_in_switch += report.kills_in_switch;
        summary.acknowledgements += report.acknowledgements;
        summary.silence = summary.silence.max(report.silence);
        summary.audits += report.audits;
        summary.waits += report.waits;
        if let Some(Failure { round, life, what }) = report.failure {
            let mut text = format!(
                "lost: {what}\n  seed {seed}, round {round} of {rounds}: {life}\n  again: cargo xtask crash --seed {seed} --rounds {rounds}"
            );
            // What was planted needs no looking at.
            if self.lie.is_none() {
                text.push_str(&format!("\n  kept: {}", folder.keep().display()));
            }
            tell(&text);
            summary.failures.push(text);
            summary.seeds.push(seed);
        }
        Ok(())
    }
}

/// So many programs are killed on the store of this seed.
fn rounds_of_store(seed: u64) -> u64 {
    1 + Random::new(seed).below(ROUNDS_MAX) as u64
}

impl Summary {
    /// How many programs were killed.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.kills.values().sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<_> = self
            .kills
            .iter()
            .map(|(mode, count)| format!("{count} {mode}"))
            .collect();
        writeln!(f, "killed: {}", kills.join(", "))?;
        writeln!(
            f,
            "of those {} while opening, {} while making a store, {} while switching segments",
            self.kills_in_opening, self.kills_in_making, self.kills_in_switch
        )?;
        writeln!(
            f,
            "{} messages acknowledged, {} audits, {} programs waited for the store, {:.1?} the longest silence",
            self.acknowledgements, self.audits, self.waits, self.silence
        )?;
        write!(
            f,
            "crash: {} rounds, {} lost",
            self.rounds(),
            self.failures.len()
        )?;
        let seeds: Vec<_> = self.seeds.iter().map(u64::to_string).collect();
        if !seeds.is_empty() {
            write!(f, ": seed {}", seeds.join(", "))?;
        }
        Ok(())
    }
}
