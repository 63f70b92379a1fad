//! Each check finds what it is for, and nothing in a world in which all is right.

use dgen_testkit::{faults::Rates, sim::Hazards};

use super::*;
use crate::{
    history::{Op, Outcome},
    scene::End,
    servers::{Account, Desk, Payment, Register, Worker},
    world::{Order, Store, Trouble, Way},
};

const REGISTER: Kind = Kind::Register {
    has_priority: false,
    is_killed: false,
};

const WAY: Way = Way {
    has_id: false,
    is_priority: false,
    is_enqueued: false,
    timeout: Duration::from_secs(1),
    tries: 1,
    panics: 0,
};

/// What is known of a world of such servers, in which nothing happened.
fn evidence(servers: Vec<(Kind, State)>) -> Evidence {
    let (kinds, states): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
    Evidence {
        world: World {
            seed: 0,
            servers: kinds.into_iter().map(Some).collect(),
            machines: Vec::new(),
            clients: Vec::new(),
            troubles: Vec::new(),
            rates: Rates::default(),
            hazards: Hazards::default(),
            store: Store::Model,
            has_cache: true,
            skew_max: Duration::ZERO,
        },
        records: Vec::new(),
        kills: Vec::new(),
        states: states.into_iter().enumerate().collect(),
        runs: Vec::new(),
        lease: Duration::from_secs(2),
        begun: Duration::ZERO,
        keys: (b"t".to_vec(), Vec::new()),
    }
}

fn register(value: i64, done: &[Op]) -> (Kind, State) {
    let done = done.to_vec();
    (REGISTER, State::Register(Register { value, done }))
}

/// A message between two moments, to server 0.
fn record(op: Op, (sent, ended): (u64, u64), order: Order, outcome: Outcome) -> Record {
    Record {
        op,
        client: 0,
        server: 0,
        order,
        way: WAY,
        sent,
        ended,
        sent_at: Duration::ZERO,
        ended_at: Duration::ZERO,
        outcome,
    }
}

fn unknown() -> Outcome {
    Outcome::Unknown("timed out".to_owned())
}

#[track_caller]
fn finds(check: fn(&Evidence) -> Vec<String>, evidence: &Evidence, what: &str) {
    let found = check(evidence);
    assert!(
        found.iter().any(|found| found.contains(what)),
        "{found:?} has no `{what}`"
    );
}

#[track_caller]
fn is_right(evidence: &Evidence) {
    assert_eq!(evidence.violations(), Vec::<String>::new());
}

#[test]
fn effects_that_are_lost_doubled_or_of_nobody_are_found() {
    let add = |outcome| record(1, (0, 1), Order::Add(5), outcome);
    let with = |value, done: &[Op], outcome| {
        let mut evidence = evidence(vec![register(value, done)]);
        evidence.records.push(add(outcome));
        evidence
    };
    is_right(&with(5, &[1], Outcome::Answered(5)));
    is_right(&with(5, &[1], unknown()));
    is_right(&with(0, &[], unknown()));
    is_right(&with(0, &[], Outcome::NotExecuted("refused".to_owned())));

    finds(
        once::check,
        &with(0, &[], Outcome::Answered(5)),
        "had no effect",
    );
    finds(
        once::check,
        &with(10, &[1, 1], unknown()),
        "took effect 2 times",
    );
    let not_executed = Outcome::NotExecuted("refused".to_owned());
    finds(
        once::check,
        &with(5, &[1], not_executed),
        "took effect: NotExecuted",
    );
    finds(
        once::check,
        &with(5, &[1, 7], Outcome::Answered(5)),
        "nobody sent it",
    );
}

#[test]
fn messages_out_of_order_and_torn_batches_are_found() {
    let with = |value, done: &[Op]| {
        let mut evidence = evidence(vec![register(value, done)]);
        let batch = Order::Increase(vec![1, 1]);
        evidence
            .records
            .push(record(1, (0, 1), batch, Outcome::Accepted));
        evidence.records.push(record(
            5,
            (2, 3),
            Order::Increase(vec![1]),
            Outcome::Accepted,
        ));
        evidence
    };
    is_right(&with(3, &[1, 2, 5]));
    finds(order::check, &with(3, &[5, 1, 2]), "5 came before 1");
    finds(order::check, &with(3, &[1, 5, 2]), "was torn");
    finds(order::check, &with(3, &[2, 1, 5]), "was torn");
}

#[test]
fn wrong_answers_and_states_are_found() {
    let with = |value, answer| {
        let mut evidence = evidence(vec![register(value, &[1])]);
        let answered = Outcome::Answered(answer);
        evidence
            .records
            .push(record(1, (0, 1), Order::Add(5), answered));
        evidence
    };
    is_right(&with(5, 5));
    finds(answers::check, &with(5, 6), "was answered 6 and not 5");
    finds(answers::check, &with(6, 5), "holds 6");
    finds(linear::check, &with(6, 5), "not linearizable");

    let desk = Desk {
        done: vec![1],
        waiting: Vec::new(),
        served: vec![(1, 1), (1, 2)],
    };
    let twice = evidence(vec![(Kind::Desk, State::Desk(desk))]);
    finds(answers::check, &twice, "answered twice");
}

#[test]
fn money_that_is_lost_or_made_is_found() {
    let payment = |op| Payment {
        op,
        from: 0,
        to: 1,
        amount: 10,
        panics: 0,
    };
    let with = |sent: &[Op], received: &[Op]| {
        let payments = |ops: &[Op]| ops.iter().map(|op| payment(*op)).collect::<Vec<_>>();
        let account = |sent: Vec<Payment>, received: Vec<Payment>| {
            let balance = Account::INITIAL + 10 * (received.len() as i64 - sent.len() as i64);
            let account = Account {
                balance,
                sent,
                received,
            };
            (Kind::Account, State::Account(account))
        };
        let mut evidence = evidence(vec![
            account(payments(sent), Vec::new()),
            account(Vec::new(), payments(received)),
        ]);
        for op in sent {
            let transfer = Order::Transfer { to: 1, amount: 10 };
            evidence
                .records
                .push(record(*op, (0, 9), transfer, unknown()));
        }
        evidence
    };
    is_right(&with(&[1, 2], &[1, 2]));
    finds(money::check, &with(&[1], &[]), "there are 190");
    finds(money::check, &with(&[1], &[1, 1]), "there are 210");
    finds(money::check, &with(&[1, 2], &[2, 1]), "from s0 to s1");
}

#[test]
fn locks_taken_too_early_and_fences_that_go_back_are_found() {
    let second = Duration::from_secs(1);
    let run = |fence, begun: u32, ended: Option<(u32, End)>| Run {
        server: 0,
        op: 1,
        fence,
        begun: begun * second,
        ended: ended.map(|(at, how)| (at * second, how)),
    };
    let with = |runs, fences: &[u64]| {
        let done = fences.iter().map(|fence| (*fence as Op, Some(*fence)));
        let worker = Worker {
            worked: fences.len() as i64,
            done: done.collect(),
            ..Worker::default()
        };
        let mut evidence = evidence(vec![(Kind::Worker, State::Worker(worker))]);
        for fence in fences {
            let work = Order::Work(second);
            evidence
                .records
                .push(record(*fence as Op, (0, 9), work, unknown()));
        }
        evidence.runs = runs;
        evidence
    };
    is_right(&with(vec![run(1, 0, None), run(2, 3, None)], &[1, 2]));
    is_right(&with(
        vec![run(1, 0, Some((1, End::Done))), run(2, 1, None)],
        &[],
    ));
    let early = vec![run(1, 0, None), run(2, 1, None)];
    finds(
        locks::check,
        &with(early.clone(), &[]),
        "taken over too early",
    );
    let dropped = vec![run(1, 0, Some((1, End::Dropped))), run(2, 1, None)];
    finds(
        locks::check,
        &with(dropped.clone(), &[]),
        "taken over too early",
    );
    // Who is stopped lets go.
    let mut stopped = with(dropped, &[]);
    let (at, what) = (second, What::Stop(0, 0));
    stopped.world.troubles.push(Some(Trouble { at, what }));
    is_right(&stopped);
    finds(locks::check, &with(Vec::new(), &[2, 1]), "fences went back");
}

#[test]
fn keys_that_are_left_behind_are_found() {
    use dgen_backend::tuple::Subspace;

    let server = Subspace::from_bytes(b"t".as_slice()).subspace(&("Register", (7,)));
    let with = |key: Vec<u8>| {
        let mut evidence = evidence(Vec::new());
        evidence.keys.1.push(key);
        evidence
    };
    for key in [
        server.pack(&("s", b"v".as_slice())),
        server.pack(&("q", "wake")),
        server.pack(&"n"),
        server.pack(&"c"),
        Subspace::from_bytes(b"t".as_slice()).pack(&(0, b"process".as_slice(), 1)),
    ] {
        is_right(&with(key));
    }
    for key in [
        server.pack(&("r", b"process".as_slice(), 1, 0)),
        server.pack(&("q", "i", b"stamp".as_slice())),
        server.pack(&"h"),
        server.pack(&("t", 5, "k")),
        server.pack(&("d", 5, 0)),
        b"t and what nobody can read".to_vec(),
    ] {
        finds(keys::check, &with(key), "left behind");
    }
}
