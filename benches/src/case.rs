//! One case: what was measured, and what it is compared with.

use crate::latency::Latency;

/// A finished case.
pub(crate) struct Case {
    /// `group/what`.
    pub(crate) name: String,
    pub(crate) ops_per_s: f64,
    pub(crate) ratio: f64,
    /// What the ratio is to.
    pub(crate) of: &'static str,
    /// What the ratio is to be at least.
    pub(crate) target: Option<f64>,
    pub(crate) latency: Latency,
    /// What else a reader of the table wants to know.
    pub(crate) note: String,
}

impl Case {
    /// The case as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let target = self
            .target
            .map(|target| format!(r#", "target": {target:.3}"#))
            .unwrap_or_default();
        // By hand: names and units are ours and need no escapes, and the line's form is part of
        // what the benchmarks promise.
        format!(
            r#"{{"case": "{}", "ops_per_s": {:.1}, "ratio": {:.3}, "of": "{}", "p50_us": {:.1}, "p99_us": {:.1}{target}}}"#,
            self.name,
            self.ops_per_s,
            self.ratio,
            self.of,
            self.latency.quantile_us(0.50),
            self.latency.quantile_us(0.99),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn case(target: Option<f64>) -> Case {
        let mut latency = Latency::new();
        latency.record(Duration::from_micros(8));
        Case {
            name: "floor/1".to_owned(),
            ops_per_s: 900.04,
            ratio: 1.0,
            of: "itself",
            target,
            latency,
            note: String::new(),
        }
    }

    #[test]
    fn a_case_is_one_line_of_json() {
        assert_eq!(
            case(None).to_json(),
            r#"{"case": "floor/1", "ops_per_s": 900.0, "ratio": 1.000, "of": "itself", "p50_us": 8.0, "p99_us": 8.0}"#
        );
    }

    #[test]
    fn a_target_stands_behind_what_was_measured() {
        assert_eq!(
            case(Some(0.8)).to_json(),
            r#"{"case": "floor/1", "ops_per_s": 900.0, "ratio": 1.000, "of": "itself", "p50_us": 8.0, "p99_us": 8.0, "target": 0.800}"#
        );
    }
}
