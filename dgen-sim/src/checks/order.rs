//! Messages take effect in the order in which they were sent: what was sent after another was
//! accepted or answered comes after it, whoever sent the two.

use std::collections::BTreeMap;

use super::Evidence;
use crate::{
    history::{Op, Record},
    servers::State,
};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let states = evidence.states.iter();
    states
        .flat_map(|(server, state)| of_server(evidence, *server, state))
        .collect()
}

fn of_server(evidence: &Evidence, server: usize, state: &State) -> Vec<String> {
    let places: BTreeMap<Op, usize> = state.done().into_iter().zip(0..).collect();
    // One that panics may come later, from the dead letters; priority keeps no order.
    let is_ordered =
        |record: &&Record| record.is_sure() && record.way.panics == 0 && !record.way.is_priority;
    let records: Vec<_> = evidence.sent_to(server).filter(is_ordered).collect();
    let mut wrong = Vec::new();
    for record in &records {
        let batch: Vec<_> = record
            .ops()
            .iter()
            .filter_map(|op| places.get(op).copied())
            .collect();
        if batch.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            wrong.push(format!(
                "s{server}: batch {} was torn: {batch:?}",
                record.op
            ));
        }
    }
    for earlier in &records {
        let last = earlier
            .ops()
            .iter()
            .filter_map(|op| places.get(op))
            .max()
            .copied();
        for later in records.iter().filter(|later| later.sent > earlier.ended) {
            let first = later
                .ops()
                .iter()
                .filter_map(|op| places.get(op))
                .min()
                .copied();
            if let (Some(last), Some(first)) = (last, first)
                && last > first
            {
                let (earlier, later) = (earlier.op, later.op);
                wrong.push(format!(
                    "s{server}: {later} came before {earlier}, and was sent after it"
                ));
            }
        }
    }
    wrong
}
