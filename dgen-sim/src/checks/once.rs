//! Every effect that was promised happened once; one that was not promised happened at most once; one
//! that was said not to have happened did not.

use std::collections::BTreeMap;

use super::Evidence;
use crate::{history::Op, servers::State, world::Order};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let states = evidence.states.iter();
    states
        .flat_map(|(server, state)| of_server(evidence, *server, state))
        .collect()
}

fn of_server(evidence: &Evidence, server: usize, state: &State) -> Vec<String> {
    let mut counts: BTreeMap<Op, u64> = BTreeMap::new();
    for op in state.done() {
        *counts.entry(op).or_default() += 1;
    }
    if let State::Worker(worker) = state {
        for (op, count) in &worker.notes {
            *counts.entry(op.parse().unwrap_or(0)).or_default() += *count as u64;
        }
    }
    let mut wrong = Vec::new();
    for record in evidence.sent_to(server) {
        for op in record.ops() {
            let count = counts.remove(&op).unwrap_or(0);
            let is_lasting = record.order != Order::Read && !evidence.is_killed(server);
            let (order, outcome) = (&record.order, &record.outcome);
            if count > 1 {
                wrong.push(format!(
                    "s{server}: {op} ({order:?}) took effect {count} times"
                ));
            } else if count == 0 && record.is_sure() && is_lasting {
                wrong.push(format!(
                    "s{server}: {op} ({order:?}) had no effect: {outcome:?}"
                ));
            } else if count == 1 && record.is_void() {
                wrong.push(format!(
                    "s{server}: {op} ({order:?}) took effect: {outcome:?}"
                ));
            }
        }
    }
    let unknown = counts.into_keys();
    wrong.extend(unknown.map(|op| format!("s{server}: {op} took effect, and nobody sent it")));
    wrong
}
