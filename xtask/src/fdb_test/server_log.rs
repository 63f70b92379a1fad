//! The end of what a server has printed and logged, for the message that says why it doesn't work.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Lines of each of the two.
const LINES: usize = 15;

/// Where a server in `folder` prints to.
pub(super) fn output(folder: &Path) -> PathBuf {
    folder.join("fdbserver.log")
}

/// Its last lines, and its last warnings and errors from the trace files in `logs`.
pub(super) fn end(folder: &Path) -> String {
    let output = read(&output(folder));
    let mut traces: Vec<_> = fs::read_dir(folder.join("logs"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    // Their names tell when they were begun.
    traces.sort();
    let traces: String = traces.iter().map(|path| read(path)).collect();
    let warnings = traces.lines().filter(|line| is_warning(line));
    let lines: Vec<_> = last(output.lines())
        .chain(last(warnings))
        .map(|line| format!("  {line}\n"))
        .collect();
    if lines.is_empty() {
        return "  (it has printed nothing)".to_owned();
    }
    lines.concat().trim_end().to_owned()
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether a line of a trace file is at least a warning.
fn is_warning(line: &str) -> bool {
    ["30", "40"]
        .iter()
        .any(|level| line.contains(&format!("Severity=\"{level}\"")))
}

fn last<'a>(lines: impl DoubleEndedIterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let mut last: Vec<_> = lines.rev().take(LINES).collect();
    last.reverse();
    last.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_the_last_lines_and_the_last_warnings() {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (0..100).map(|line| format!("line {line}\n")).collect();
        fs::write(output(folder.path()), lines).unwrap();
        let logs = folder.path().join("logs");
        fs::create_dir(&logs).unwrap();
        let event = |severity, what| format!("<Event Severity=\"{severity}\" Type=\"{what}\" />\n");
        fs::write(
            logs.join("trace.2.xml"),
            event(40, "Second") + &event(20, "Noise"),
        )
        .unwrap();
        fs::write(logs.join("trace.1.xml"), event(30, "First")).unwrap();

        let end = end(folder.path());
        assert!(end.starts_with("  line 85\n  line 86\n"), "{end}");
        let (_, warnings) = end.split_once("line 99\n").unwrap();
        assert_eq!(
            warnings,
            "  <Event Severity=\"30\" Type=\"First\" />\n  \
             <Event Severity=\"40\" Type=\"Second\" />"
        );
    }

    #[test]
    fn a_server_that_never_said_anything_has_an_end_too() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(end(folder.path()), "  (it has printed nothing)");
    }
}
