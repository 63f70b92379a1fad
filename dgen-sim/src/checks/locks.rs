//! Fences grow, and nobody takes over a lock whose lease has not ended.
//!
//! When a lock was taken nobody sees, only when its work begins: at once, where no machine is cut off and
//! the store answers. So the lease is looked at in such worlds alone.

use super::Evidence;
use crate::{
    scene::{End, Run},
    servers::State,
    world::What,
};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (server, state) in &evidence.states {
        let State::Worker(worker) = state else {
            continue;
        };
        let fences: Vec<_> = worker.done.iter().filter_map(|(_, fence)| *fence).collect();
        if fences.windows(2).any(|pair| pair[0] >= pair[1]) {
            wrong.push(format!("s{server}: fences went back: {:?}", worker.done));
        }
        if is_held_up(evidence) {
            continue;
        }
        let runs: Vec<_> = evidence
            .runs
            .iter()
            .filter(|run| run.server == *server)
            .collect();
        for pair in runs.windows(2) {
            if is_too_early(evidence, pair[0], pair[1]) {
                wrong.push(format!("s{server}: taken over too early: {pair:?}"));
            }
        }
    }
    wrong
}

/// Whether the lease of the first cannot have ended when the next began.
fn is_too_early(evidence: &Evidence, first: &Run, next: &Run) -> bool {
    let is_over = match first.ended {
        Some((at, End::Done | End::Panicked)) => at <= next.begun,
        // Who stops lets go.
        Some((at, End::Dropped)) => at <= next.begun && has_stops(evidence, first.server),
        None => false,
    };
    // Clocks may be a little fast.
    !is_over && next.begun - first.begun < evidence.lease * 4 / 5
}

/// Whether work may begin long after its lock was taken.
fn is_held_up(evidence: &Evidence) -> bool {
    let rates = evidence.world.rates;
    let mut troubles = evidence.world.troubles();
    rates.commit_unknown + rates.commit_late + rates.delay > 0.0
        || evidence.world.hazards.freeze + evidence.world.hazards.cut_off > 0.0
        || troubles.any(|(_, trouble)| matches!(trouble.what, What::Freeze(..) | What::CutOff(..)))
}

fn has_stops(evidence: &Evidence, server: usize) -> bool {
    let mut troubles = evidence.world.troubles();
    troubles.any(|(_, trouble)| match trouble.what {
        What::Stop(_, of) => of == server,
        What::Shutdown(..) => true,
        _ => false,
    })
}
