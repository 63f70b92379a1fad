//! What callers were told is what happened: each answer follows from the effects before it.

use std::collections::BTreeMap;

use super::Evidence;
use crate::{
    history::{Op, Outcome},
    servers::{Alarm, Desk, Register, State, Worker},
    world::Order,
};

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let states = evidence.lasting();
    states
        .flat_map(|(server, state)| of_server(evidence, server, state))
        .collect()
}

fn of_server(evidence: &Evidence, server: usize, state: &State) -> Vec<String> {
    let mut wrong = Vec::new();
    let expected = match state {
        State::Register(register) => of_register(evidence, server, register, &mut wrong),
        State::Worker(worker) => of_worker(worker, &mut wrong),
        State::Alarm(alarm) => of_alarm(alarm),
        State::Desk(desk) => of_desk(desk, &mut wrong),
        State::Account(_) => BTreeMap::new(),
    };
    for record in evidence.sent_to(server) {
        if let Outcome::Answered(answer) = record.outcome
            && let Some(expected) = expected.get(&record.op)
            && answer != *expected
        {
            let (op, order) = (record.op, &record.order);
            wrong.push(format!(
                "s{server}: {op} ({order:?}) was answered {answer} and not {expected}"
            ));
        }
    }
    wrong
}

fn of_register(
    evidence: &Evidence,
    server: usize,
    register: &Register,
    wrong: &mut Vec<String>,
) -> BTreeMap<Op, i64> {
    let mut orders = BTreeMap::new();
    for record in evidence.sent_to(server) {
        for (op, index) in record.ops().into_iter().zip(0..) {
            orders.insert(op, (&record.order, index));
        }
    }
    let mut value = 0;
    let mut expected = BTreeMap::new();
    for op in &register.done {
        let answer = match orders.get(op) {
            Some((Order::Swap(to), _)) => std::mem::replace(&mut value, *to),
            Some((Order::Add(by), _)) => {
                value += by;
                value
            }
            Some((Order::Increase(by), index)) => {
                value += by.get::<usize>(*index).copied().unwrap_or(0);
                value
            }
            _ => value,
        };
        expected.insert(*op, answer);
    }
    if value != register.value {
        let found = register.value;
        wrong.push(format!(
            "s{server}: holds {found}, and its messages come to {value}"
        ));
    }
    expected
}

fn of_worker(worker: &Worker, wrong: &mut Vec<String>) -> BTreeMap<Op, i64> {
    if worker.worked != worker.done.len() as i64 {
        wrong.push(format!(
            "work was lost: {} of {:?}",
            worker.worked, worker.done
        ));
    }
    worker.done.iter().map(|(op, _)| *op).zip(1..).collect()
}

fn of_alarm(alarm: &Alarm) -> BTreeMap<Op, i64> {
    let entries = alarm.entries.iter().zip(1..);
    entries
        .filter_map(|(entry, number)| Some((entry.message()?, number)))
        .collect()
}

fn of_desk(desk: &Desk, wrong: &mut Vec<String>) -> BTreeMap<Op, i64> {
    let served: BTreeMap<Op, i64> = desk.served.iter().copied().collect();
    if served.len() != desk.served.len() {
        wrong.push(format!("somebody was answered twice: {:?}", desk.served));
    }
    served
}
