//! A case as it is written down: one line of JSON, of this run or of an earlier one.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) case: String,
    /// None if nothing came of it.
    pub(crate) figure: Option<f64>,
    pub(crate) unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// What the ratio is to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) of: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p50_us: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_us: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at_most: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) is_met: Option<bool>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

impl Line {
    pub(crate) fn to_json(&self) -> String {
        let mut rounded = self.clone();
        let round = |figure: f64, digits: f64| (figure * digits).round() / digits;
        rounded.figure = self.figure.map(|figure| round(figure, 1e4));
        rounded.ratio = self.ratio.map(|ratio| round(ratio, 1e4));
        rounded.p50_us = self.p50_us.map(|us| round(us, 10.0));
        rounded.p99_us = self.p99_us.map(|us| round(us, 10.0));
        serde_json::to_string(&rounded).expect("texts and numbers have a JSON")
    }
}

/// The lines of an earlier run's output. What else it printed is skipped.
pub(crate) fn read(path: &Path) -> Outcome<Vec<Line>> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    match lines.is_empty() {
        true => Err(format!("{}: no line of it is a case", path.display()).into()),
        false => Ok(lines),
    }
}

fn parse(text: &str) -> serde_json::Result<Vec<Line>> {
    (text.lines().filter(|line| line.starts_with('{')))
        .map(serde_json::from_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_a_run_is_read_again() {
        let text = "each flush takes 1 ms\n\
            {\"case\":\"idle\",\"figure\":900.0,\"unit\":\"bytes\"}\n\
            \n\
            case figure\n";
        let lines = parse(text).expect("it is a run's output");
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].case, "idle");
        assert_eq!(lines[0].ratio, None);
        let nothing = Line {
            figure: Some(f64::NAN),
            ..lines[0].clone()
        };
        let lines = parse(&nothing.to_json()).expect("it is a line of ours");
        assert_eq!(lines[0].figure, None);
        assert!(parse("{\"case\":").is_err());
    }
}
