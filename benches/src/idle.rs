//! What a server takes of memory: one that is started and idle, and one that only exists. It is counted
//! by an allocator, in a program of its own: counting would slow the other cases down.

use std::process::{Command, Stdio};

use crate::{
    Outcome, case::Case, options::Options, report::Report, scratch::Scratch, target::Target,
};

const STARTED: &str = "idle/started";
const STORED: &str = "idle/stored";

/// What the program is called.
const PROGRAM: &str = "dgen-bench-memory";

/// Runs the cases.
pub(crate) fn run(scratch: &Scratch, options: &Options, report: &mut Report) -> Outcome {
    if !report.wants_any(&[STARTED, STORED]) {
        return Ok(());
    }
    let program = std::env::current_exe()?.with_file_name(PROGRAM);
    let servers = options.servers();
    let output = Command::new(program)
        .arg(scratch.folder("idle")?)
        .arg(servers.to_string())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{PROGRAM}: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [stored, started] = figures[..] else {
        return Err(format!("{PROGRAM} printed {text:?}").into());
    };
    let note = format!("of {servers}, live bytes of the allocator");
    // None, but for what the store itself takes to open a larger file.
    let stored = Case::figure(STORED, stored, "bytes").target(Target::AtMost(1.0));
    report.add(stored.note(note.clone()));
    let started = Case::figure(STARTED, started, "bytes").target(Target::AtMost(2_048.0));
    report.add(started.note(note));
    Ok(())
}
