//! Two OS processes consume one busy server: one serves and the other stands by.

mod support;

use std::time::Duration;

use dgen_backend::Tenant;
use dgen_server::Handle;
use futures_util::future::join_all;
use support::{
    child::{self, Child},
    directory,
    recorder::Recorder,
    tally::{Kind, Sender, Tally, read},
};

const CALLERS: u32 = 8;
const MESSAGES_PER_CALLER: u64 = 100;

/// How long anybody waits for an answer, the death of who serves included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Not a test of its own: a process that serves, and says on request what that cost.
#[test]
fn child() {
    if child::role().is_none() {
        return;
    }
    let recorder = Recorder::install();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let _tally = runtime.block_on(async {
        let tenant = directory::open(&child::directory()).await;
        Handle::<Tally>::start(&tenant, (), ())
            .await
            .expect("it starts")
    });
    child::say("ready");
    while child::listen().is_some() {
        let [messages, attempts, conflicts] = [
            "dgen_messages_total",
            "dgen_attempts_total",
            "dgen_conflicts_total",
        ]
        .map(|name| recorder.sum(name));
        child::say(format_args!("{messages} {attempts} {conflicts}"));
    }
}

/// What a process did since it was started.
#[derive(Debug, Clone, Copy)]
struct Did {
    messages: u64,
    attempts: u64,
    conflicts: u64,
}

async fn did(child: &mut Child) -> Did {
    child.tell("what did you do?").await;
    let line = child.next().await.expect("it lives");
    let mut numbers = line
        .split(' ')
        .map(|number| number.parse().expect("a number"));
    let mut number = || numbers.next().expect("three of them");
    Did {
        messages: number(),
        attempts: number(),
        conflicts: number(),
    }
}

async fn serve(path: &dgen_backend::directory::DirectoryPath) -> Child {
    let mut child = Child::start("serve", path);
    child.until("ready").await;
    child
}

fn senders(tenant: &Tenant) -> Vec<Sender> {
    let sender = |number| Sender::new(number, Handle::client(tenant, ()), PATIENCE);
    (0..CALLERS).map(sender).collect()
}

async fn send_all(senders: &mut [Sender], kind: Kind) {
    join_all(senders.iter_mut().map(async |sender| {
        for _ in 0..MESSAGES_PER_CALLER {
            sender.send(kind).await;
        }
    }))
    .await;
}

async fn check(tenant: &Tenant, senders: &[Sender]) {
    let counts = read(&Handle::client(tenant, ()), PATIENCE).await;
    let expected = senders
        .iter()
        .map(|sender| (sender.number(), sender.sent()));
    assert_eq!(counts, expected.collect());
}

/// SPEC S11: of two processes that serve a busy server together, few attempts collide.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_stand_by_rather_than_collide() {
    let path = directory::unused("contention");
    let tenant = directory::open(&path).await;
    let mut children = [serve(&path).await, serve(&path).await];
    let mut senders = senders(&tenant);
    for kind in [Kind::Call, Kind::Cast, Kind::Call] {
        send_all(&mut senders, kind).await;
    }
    check(&tenant, &senders).await;
    let [one, other] = &mut children;
    let (one, other) = (did(one).await, did(other).await);
    println!("one: {one:?}, the other: {other:?}");
    let (attempts, conflicts) = (
        one.attempts + other.attempts,
        one.conflicts + other.conflicts,
    );
    assert!(
        conflicts * 10 <= attempts,
        "{conflicts} of {attempts} attempts collided: {one:?}, {other:?}"
    );
    for child in children {
        child.kill().await;
    }
    directory::remove(&tenant, &path).await;
}

/// SPEC S11: when the process that serves is killed, the one that stands by goes on: no call waits for
/// longer than its timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumer_that_stands_by_goes_on() {
    let path = directory::unused("standing by");
    let tenant = directory::open(&path).await;
    let mut children = vec![serve(&path).await, serve(&path).await];
    let mut senders = senders(&tenant);
    for _ in 0..3 {
        let mut served = Vec::new();
        for child in &mut children {
            served.push(did(child).await.messages);
        }
        send_all(&mut senders, Kind::Call).await;
        for (served, child) in served.iter_mut().zip(&mut children) {
            *served = did(child).await.messages - *served;
        }
        let busier = usize::from(served[1] > served[0]);
        let going_on = send_all(&mut senders, Kind::Call);
        let killing = async {
            children.remove(busier).kill().await;
            serve(&path).await
        };
        let (_, started) = futures_util::future::join(going_on, killing).await;
        children.push(started);
    }
    check(&tenant, &senders).await;
    for child in children {
        child.kill().await;
    }
    directory::remove(&tenant, &path).await;
}
