//! What clients saw of a register is linearizable: there is one order of all messages, in which each
//! comes between its sending and its answer, and each answer is right.
//!
//! The search is that of Wing and Gong, as Lowe extended it, in crate `todc-utils`. A cast counts from
//! when it is accepted, since nothing that is sent later comes before it; but not where messages skip
//! the queue, or become dead letters: there it has time until the end. So has a call whose outcome
//! nobody knows. Where the state keeps what changed it, that order is the one that is looked at, and
//! only reads are searched a place for.

use std::collections::BTreeMap;

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

/// More messages that may have happened at any time or never are not looked at: each doubles the search.
const OPEN_MAX: usize = 8;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (server, state) in &evidence.states {
        let State::Register(register) = state else {
            continue;
        };
        let history = history(evidence, *server, register);
        let open = history.iter().filter(|timed| timed.ended.is_none());
        if open.count() <= OPEN_MAX && !is_linearizable(history) {
            wrong.push(format!("s{server}: is not linearizable"));
        }
    }
    wrong
}

/// All that happened to a register; at the end it is read.
fn history(evidence: &Evidence, server: usize, register: &Register) -> Vec<Timed> {
    let last = evidence.records.iter().map(|record| record.ended).max();
    let last = last.unwrap_or(0) + 1;
    let is_killed = evidence.is_killed(server);
    let has_priority = matches!(
        evidence.world.kind(server),
        Some(Kind::Register {
            has_priority: true,
            ..
        })
    );
    let mut history = Vec::new();
    let mut effects = BTreeMap::new();
    for record in evidence.sent_to(server).filter(|record| !record.is_void()) {
        for (op, index) in record.ops().into_iter().zip(0..) {
            let mut timed = timed(record, index, has_priority);
            if is_killed || record.order == Order::Read {
                history.push(timed);
            } else if register.done.contains(&op) {
                // It was there before it was looked at last.
                timed.ended.get_or_insert(last);
                effects.insert(op, timed);
            }
        }
    }
    let effects = register.done.iter().filter_map(|op| effects.get(op));
    history.extend(in_order(effects.copied().collect()));
    for (killed, sent, ended) in &evidence.kills {
        if *killed == server {
            history.push(Timed {
                sent: *sent,
                ended: *ended,
                message: Message::Kill,
            });
        }
    }
    history.push(Timed {
        sent: last + 1,
        ended: Some(last + 2),
        message: Message::Read(Some(register.value)),
    });
    history
}

/// The state tells in which order these happened, so each happened behind the sending of all before it,
/// and before all behind it had ended. That makes the search short.
fn in_order(mut effects: Vec<Timed>) -> Vec<Timed> {
    let mut sent = 0;
    for effect in &mut effects {
        sent = sent.max(effect.sent);
        effect.sent = sent;
    }
    let mut ended = u64::MAX;
    for effect in effects.iter_mut().rev() {
        ended = ended.min(effect.ended.unwrap_or(u64::MAX));
        effect.ended = Some(ended);
    }
    effects
}

fn timed(record: &Record, index: usize, has_priority: bool) -> Timed {
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
    let ended = is_exact.then_some(record.ended);
    let sent = record.sent;
    Timed {
        sent,
        ended,
        message,
    }
}

fn is_linearizable(history: Vec<Timed>) -> bool {
    let mut actions = Vec::new();
    for (number, timed) in history.into_iter().enumerate() {
        // What happened perhaps may have happened behind all else, which is never.
        let ended = timed.ended.unwrap_or(u64::MAX);
        if ended < timed.sent {
            return false;
        }
        actions.push(((timed.sent, 0), (number, Action::Call(timed.message))));
        actions.push(((ended, 1), (number, Action::Response(timed.message))));
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
    fn an_order_that_time_forbids_is_found() {
        let in_time = vec![
            perhaps(0, Message::Add(1, None)),
            at(2, 3, Message::Add(1, None)),
        ];
        assert!(is_linearizable(in_order(in_time)));
        let late = vec![
            at(4, 5, Message::Add(1, None)),
            at(2, 3, Message::Add(1, None)),
        ];
        assert!(!is_linearizable(in_order(late)));
    }
}
