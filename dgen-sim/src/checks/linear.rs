//! What clients saw of a register is linearizable: there is one order of all messages, in which each
//! comes between its sending and its answer, and each answer is right.
//!
//! The search is that of Wing and Gong, as Lowe extended it, in crate `todc-utils`. A cast counts from
//! when it is accepted, since nothing that is sent later comes before it; but not where messages skip
//! the queue, or become dead letters: there it has time until the end. So has a call whose outcome
//! nobody knows.

use todc_utils::{
    linearizability::{
        WGLChecker,
        history::{Action, History},
    },
    specifications::Specification,
};

use super::Evidence;
use crate::{
    history::{Outcome, Record},
    servers::{Register, State},
    world::{Kind, Order},
};

/// A register, as a sequence of messages sees it.
struct Sequential;

/// A message, and what was answered if anything is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Read(Option<i64>),
    Add(i64, Option<i64>),
    Swap(i64, Option<i64>),
    Kill,
}

impl Specification for Sequential {
    type State = i64;
    type Operation = Message;

    fn init() -> i64 {
        0
    }

    fn apply(message: &Message, value: &i64) -> (bool, i64) {
        let (answer, right, after) = match *message {
            Message::Read(answer) => (answer, *value, *value),
            Message::Add(by, answer) => (answer, value + by, value + by),
            Message::Swap(to, answer) => (answer, *value, to),
            Message::Kill => (None, 0, 0),
        };
        match answer {
            Some(answer) if answer != right => (false, *value),
            _ => (true, after),
        }
    }
}

/// A message between two moments.
#[derive(Debug, Clone, Copy)]
struct Timed {
    sent: u64,
    /// None: at any time until the end, or never.
    ended: Option<u64>,
    message: Message,
}

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let registers = evidence
        .states
        .iter()
        .filter_map(|(server, state)| match state {
            State::Register(register) => Some((*server, register)),
            _ => None,
        });
    let mut wrong = Vec::new();
    for (server, register) in registers {
        if !is_linearizable(history(evidence, server, register)) {
            wrong.push(format!("s{server}: is not linearizable"));
        }
    }
    wrong
}

/// All that happened to a register; at the end it is read.
fn history(evidence: &Evidence, server: usize, register: &Register) -> Vec<Timed> {
    let kills = evidence
        .kills
        .iter()
        .filter(|(killed, ..)| *killed == server);
    let mut history: Vec<_> = kills
        .map(|(_, sent, ended)| Timed {
            sent: *sent,
            ended: *ended,
            message: Message::Kill,
        })
        .collect();
    let is_killed = evidence.is_killed(server);
    let has_priority = matches!(
        evidence.world.kind(server),
        Some(Kind::Register {
            has_priority: true,
            ..
        })
    );
    for record in evidence.sent_to(server).filter(|record| !record.is_void()) {
        for (op, index) in record.ops().into_iter().zip(0..) {
            // Where the state tells, what had no effect is left out: it makes the search long.
            let is_there = register.done.contains(&op);
            if !is_there && !is_killed && record.order != Order::Read {
                continue;
            }
            history.push(timed(record, index, has_priority, is_there));
        }
    }
    let last = evidence.records.iter().map(|record| record.ended).max();
    let last = last.unwrap_or(0) + 1;
    history.push(Timed {
        sent: last,
        ended: Some(last + 1),
        message: Message::Read(Some(register.value)),
    });
    history
}

fn timed(record: &Record, index: usize, has_priority: bool, is_there: bool) -> Timed {
    let answer = match record.outcome {
        Outcome::Answered(answer) => Some(answer),
        _ => None,
    };
    let message = match &record.order {
        Order::Add(by) => Message::Add(*by, answer),
        Order::Swap(to) => Message::Swap(*to, answer),
        Order::Increase(by) => Message::Add(by[index], None),
        _ => Message::Read(answer),
    };
    let is_exact = match record.outcome {
        Outcome::Answered(_) => true,
        Outcome::Accepted => !has_priority && record.way.panics == 0,
        _ => false,
    };
    let ended = match is_exact {
        true => Some(record.ended),
        // It was there before it was looked at last.
        false => is_there.then_some(u64::MAX),
    };
    let sent = record.sent;
    Timed {
        sent,
        ended,
        message,
    }
}

fn is_linearizable(history: Vec<Timed>) -> bool {
    let last = history.iter().map(|timed| timed.sent).max().unwrap_or(0);
    let mut actions = Vec::new();
    for (number, timed) in history.into_iter().enumerate() {
        // What was seen in the end happened before the last look; what was not, perhaps never.
        let ended = match timed.ended {
            Some(u64::MAX) => (last, 0),
            Some(ended) => (ended, 2),
            None => (u64::MAX, 2),
        };
        let sent = (timed.sent, 1);
        actions.push((sent, (number, Action::Call(timed.message))));
        actions.push((ended, (number, Action::Response(timed.message))));
    }
    // At the same moment, whatever may come together does.
    actions.sort_by_key(|(at, _)| *at);
    let actions = actions.into_iter().map(|(_, action)| action).collect();
    WGLChecker::<Sequential>::is_linearizable(History::from_actions(actions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sent: u64, ended: u64, message: Message) -> Timed {
        let ended = Some(ended);
        Timed {
            sent,
            ended,
            message,
        }
    }

    fn perhaps(sent: u64, message: Message) -> Timed {
        let ended = None;
        Timed {
            sent,
            ended,
            message,
        }
    }

    #[test]
    fn what_follows_from_some_order_is_accepted() {
        assert!(is_linearizable(vec![
            at(0, 9, Message::Add(1, Some(3))),
            at(1, 5, Message::Add(2, Some(2))),
            at(6, 7, Message::Read(Some(2))),
            at(10, 11, Message::Read(Some(3))),
        ]));
        // Nobody knows whether it happened, and neither is wrong.
        for seen in [1, 3] {
            assert!(is_linearizable(vec![
                perhaps(0, Message::Add(2, None)),
                at(1, 2, Message::Add(1, None)),
                at(3, 4, Message::Read(Some(seen))),
            ]));
        }
        assert!(is_linearizable(vec![
            at(0, 1, Message::Add(5, Some(5))),
            at(2, 6, Message::Kill),
            at(3, 4, Message::Add(1, Some(6))),
            at(7, 8, Message::Read(Some(0))),
        ]));
    }

    #[test]
    fn a_lost_update_is_found() {
        assert!(!is_linearizable(vec![
            at(0, 3, Message::Add(1, Some(1))),
            at(1, 4, Message::Add(1, Some(1))),
            at(5, 6, Message::Read(Some(1))),
        ]));
    }

    #[test]
    fn a_double_effect_is_found() {
        assert!(!is_linearizable(vec![
            at(0, 1, Message::Add(1, Some(1))),
            at(2, 3, Message::Read(Some(2))),
        ]));
        assert!(!is_linearizable(vec![
            perhaps(0, Message::Add(1, None)),
            at(1, 2, Message::Read(Some(1))),
            at(3, 4, Message::Read(Some(2))),
        ]));
    }

    #[test]
    fn a_stale_read_is_found() {
        assert!(!is_linearizable(vec![
            at(0, 1, Message::Swap(7, Some(0))),
            at(2, 3, Message::Read(Some(0))),
        ]));
        // An effect that was seen is not gone again.
        assert!(!is_linearizable(vec![
            perhaps(0, Message::Swap(7, None)),
            at(1, 2, Message::Read(Some(7))),
            at(3, 4, Message::Read(Some(0))),
        ]));
    }

    #[test]
    fn what_was_there_in_the_end_was_there_before_the_last_look() {
        assert!(!is_linearizable(vec![
            at(0, u64::MAX, Message::Add(1, None)),
            at(5, 6, Message::Read(Some(0))),
        ]));
    }
}
