//! What a run prints.

use std::{fs, path::Path};

use crate::{Outcome, case::Case, line, line::Line, options::Options, plot, target::Target};

/// The cases so far, and which are wanted.
pub(crate) struct Report {
    prefix: String,
    cases: Vec<Case>,
    /// Of an earlier run, if one was named.
    earlier: Option<Vec<Line>>,
}

impl Report {
    pub(crate) fn new(options: &Options) -> Outcome<Self> {
        Ok(Self {
            prefix: options.case.clone(),
            cases: Vec::new(),
            earlier: options.compare.as_deref().map(line::read).transpose()?,
        })
    }

    /// Whether the case `name` is to run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.prefix)
    }

    /// Whether one of the cases is to run.
    pub(crate) fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    /// Whether the case `name` was asked for by its whole name.
    pub(crate) fn is_only(&self, name: &str) -> bool {
        self.prefix == name
    }

    /// Prints the line of a finished case, and keeps it for the table.
    pub(crate) fn add(&mut self, case: Case) {
        println!("{}", case.to_line().to_json());
        self.cases.push(case);
    }

    /// Prints the table, and draws what was asked for.
    pub(crate) fn finish(&self, options: &Options) -> Outcome {
        self.print_table();
        match &options.plot {
            Some(path) => self.plot(path),
            None => Ok(()),
        }
    }

    fn print_table(&self) {
        let earlier_title = self.earlier.as_ref().map(|_| format!("{:>9}", "earlier"));
        println!(
            "\n{:20} {:>12} {:6} {:>9} {:>9} {:>9}{}  {:20} of",
            "case",
            "figure",
            "unit",
            "p50 us",
            "p99 us",
            "ratio",
            earlier_title.unwrap_or_default(),
            "target",
        );
        for case in &self.cases {
            let quantile = |share| {
                let latency = case.latency.as_ref();
                latency.map_or_else(String::new, |of| format!("{:.1}", of.quantile_us(share)))
            };
            let row = format!(
                "{:20} {:>12.1} {:6} {:>9} {:>9} {:>9}{}  {:20} {}{}",
                case.name,
                case.figure,
                case.unit,
                quantile(0.50),
                quantile(0.99),
                case.ratio
                    .map_or_else(String::new, |ratio| format!("{ratio:.3}")),
                self.since_earlier(case),
                target(case),
                case.of,
                match &*case.note {
                    "" => String::new(),
                    note => format!("; {note}"),
                },
            );
            println!("{}", row.trim_end());
        }
    }

    /// Writes the plot of the cases that have a target.
    fn plot(&self, path: &Path) -> Outcome {
        let bars = self.cases.iter().filter_map(|case| {
            let target = case.target?;
            Some(plot::Bar {
                name: &case.name,
                margin: target.margin(case.value()),
                legend: format!(
                    "{:.3} {}, {}",
                    case.value(),
                    unit_of(case),
                    target_text(target)
                ),
            })
        });
        let svg = plot::svg(&bars.collect::<Vec<_>>());
        fs::write(path, svg).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(())
    }

    /// The column of the earlier run: this figure to that one's.
    fn since_earlier(&self, case: &Case) -> String {
        let Some(earlier) = &self.earlier else {
            return String::new();
        };
        let line = earlier.iter().find(|line| line.case == case.name);
        let figure = line.and_then(|line| line.figure.filter(|_| line.unit == case.unit));
        let text = figure.map(|earlier| format!("x{:.2}", case.figure / earlier));
        format!(" {:>8}", text.unwrap_or_default())
    }
}

/// What the target is for: a ratio has no unit.
fn unit_of(case: &Case) -> &str {
    match case.ratio {
        Some(_) => "to its reference",
        None => case.unit,
    }
}

fn target(case: &Case) -> String {
    case.target.map_or_else(String::new, |target| {
        let verdict = match target.is_met(case.value()) {
            true => "met",
            false => "missed",
        };
        format!("{}: {verdict}", target_text(target))
    })
}

fn target_text(target: Target) -> String {
    match target {
        Target::AtLeast(bound) => format!("at least {bound}"),
        Target::AtMost(bound) => format!("at most {bound}"),
    }
}
