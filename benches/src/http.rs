//! `examples/service` over loopback, next to a bare server that keeps the same promise. Both are OS
//! processes of their own, flush the real disk, and get the same requests over connections that are
//! kept; what sends the requests takes its part of the processors beside either.

mod bare;
mod client;
mod process;

use std::{path::Path, sync::Arc};

use dgen_backend::env::Env;

use crate::{
    Outcome, case::Case, crowd, options::Options, pace::Pace, report::Report, scratch::Scratch,
    target::Target,
};

use self::{client::Client, process::Process};

/// Connections, keys, and what the service is to come to.
const CASES: [(usize, usize, f64); 2] = [(64, 1, 0.7), (256, 256, 0.6)];

/// Runs the cases.
pub(crate) async fn run(
    scratch: &Scratch,
    options: &Options,
    pace: &Pace,
    report: &mut Report,
) -> Outcome {
    for (connections, keys, target) in CASES {
        let name = format!("http/{connections}x{keys}");
        if !report.wants(&name) {
            continue;
        }
        let folder = scratch.folder(&format!("{name}-bare"))?;
        let bare_name = format!("http-bare/{connections}x{keys}");
        let bare = measure(Process::bare(&folder)?, pace, bare_name, connections, keys).await?;
        let reference = bare.figure;
        report.add(bare);
        let folder = scratch.folder(&name)?;
        let service = Process::service(options.service.as_deref(), &folder)?;
        let case = measure(service, pace, name, connections, keys).await?;
        let case = case.to(reference, "a bare server's calls per second");
        report.add(case.target(Target::AtLeast(target)));
    }
    Ok(())
}

/// Is the bare server, until it is killed.
pub(crate) async fn serve_bare(folder: &Path) -> Outcome {
    bare::run(folder).await
}

async fn measure(
    server: Process,
    pace: &Pace,
    name: String,
    connections: usize,
    keys: usize,
) -> Outcome<Case> {
    let mut clients = Vec::with_capacity(connections);
    let counters: Arc<[String]> = (0..keys).map(|key| format!("/c/{key}/increment")).collect();
    for number in 0..connections {
        clients.push(Client::connect(server.address(), &counters[number % keys]).await?);
    }
    let work = crowd::measure(&Env::system(), pace, clients).await?;
    let mut counted = 0;
    for counter in &*counters {
        let mut last = Client::connect(server.address(), counter).await?;
        // The value before its own increment.
        counted += last.increment().await? - 1;
    }
    if counted != work.ops {
        return Err(format!("{name}: {counted} of {} were counted", work.ops).into());
    }
    let note = "the disk's own flushes";
    Ok(Case::rate(name, work.ops_per_s, work.latency).note(note))
}
