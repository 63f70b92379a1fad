//! What a run prints.

use crate::case::Case;

/// The cases so far, and which are wanted.
pub(crate) struct Report {
    prefix: String,
    cases: Vec<Case>,
}

impl Report {
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            cases: Vec::new(),
        }
    }

    /// Whether the case `name` is to run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        name.starts_with(&self.prefix)
    }

    /// Prints the line of a finished case, and keeps it for the table.
    pub(crate) fn add(&mut self, case: Case) {
        println!("{}", case.to_json());
        self.cases.push(case);
    }

    pub(crate) fn print_table(&self) {
        println!(
            "\n{:24} {:>12} {:>10} {:>10} {:>8}  of",
            "case", "ops/s", "p50 us", "p99 us", "ratio"
        );
        for case in &self.cases {
            println!(
                "{:24} {:>12.1} {:>10.1} {:>10.1} {:>8.3}  {}{}{}",
                case.name,
                case.ops_per_s,
                case.latency.quantile_us(0.50),
                case.latency.quantile_us(0.99),
                case.ratio,
                case.of,
                case.target
                    .map(|target| format!(", target {target}"))
                    .unwrap_or_default(),
                case.note,
            );
        }
    }
}
