//! One case: what was measured, and what it is compared with.

use crate::{latency::Latency, line::Line, target::Target};

/// The unit of a rate.
pub(crate) const PER_S: &str = "1/s";

/// A finished case.
pub(crate) struct Case {
    /// `group/what`.
    pub(crate) name: String,
    pub(crate) figure: f64,
    /// Of the figure.
    pub(crate) unit: &'static str,
    pub(crate) ratio: Option<f64>,
    /// What the ratio is to.
    pub(crate) of: &'static str,
    /// For the ratio; for the figure where there is none.
    pub(crate) target: Option<Target>,
    /// Of single operations, where they were timed.
    pub(crate) latency: Option<Latency>,
    /// What else a reader of the table wants to know.
    pub(crate) note: String,
}

impl Case {
    /// A rate that is compared with nothing.
    pub(crate) fn rate(name: impl Into<String>, ops_per_s: f64, latency: Latency) -> Self {
        Self {
            latency: Some(latency),
            ..Self::figure(name, ops_per_s, PER_S)
        }
    }

    /// A figure that is compared with nothing.
    pub(crate) fn figure(name: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            figure,
            unit,
            ratio: None,
            of: "",
            target: None,
            latency: None,
            note: String::new(),
        }
    }

    /// Compares the figure with another.
    pub(crate) fn to(mut self, reference: f64, of: &'static str) -> Self {
        self.ratio = Some(self.figure / reference);
        self.of = of;
        self
    }

    pub(crate) fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// What the target is for.
    pub(crate) fn value(&self) -> f64 {
        self.ratio.unwrap_or(self.figure)
    }

    /// What is written down of the case.
    pub(crate) fn to_line(&self) -> Line {
        let quantile = |share| self.latency.as_ref().map(|of| of.quantile_us(share));
        let (at_least, at_most) = match self.target {
            None => (None, None),
            Some(Target::AtLeast(bound)) => (Some(bound), None),
            Some(Target::AtMost(bound)) => (None, Some(bound)),
        };
        Line {
            case: self.name.clone(),
            figure: Some(self.figure),
            unit: self.unit.to_owned(),
            ratio: self.ratio,
            of: self.of.to_owned(),
            p50_us: quantile(0.50),
            p99_us: quantile(0.99),
            at_least,
            at_most,
            is_met: self.target.map(|target| target.is_met(self.value())),
            note: self.note.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn case() -> Case {
        let mut latency = Latency::new();
        latency.record(Duration::from_micros(8));
        Case::rate("floor/1", 900.0, latency)
    }

    #[test]
    fn a_case_is_one_line_of_json() {
        assert_eq!(
            case().to_line().to_json(),
            r#"{"case":"floor/1","figure":900.0,"unit":"1/s","p50_us":8.0,"p99_us":8.0}"#
        );
    }

    #[test]
    fn a_target_stands_behind_what_was_measured() {
        let case = case().to(1_000.0, "floor").target(Target::AtLeast(0.8));
        assert_eq!(
            case.to_line().to_json(),
            r#"{"case":"floor/1","figure":900.0,"unit":"1/s","ratio":0.9,"of":"floor","p50_us":8.0,"p99_us":8.0,"at_least":0.8,"is_met":true}"#
        );
    }

    #[test]
    fn a_target_without_a_ratio_is_for_the_figure() {
        let line = |bytes| {
            let case = Case::figure("idle", bytes, "bytes").target(Target::AtMost(2_048.0));
            case.to_line().is_met
        };
        assert_eq!(line(2_000.0), Some(true));
        assert_eq!(line(3_000.0), Some(false));
    }
}
