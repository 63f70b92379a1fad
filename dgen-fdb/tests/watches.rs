//! More who wait than there may be watches.

mod support;

use std::{collections::BTreeMap, time::Duration};

use dgen_backend::{Tenant, directory::DirectoryPath, env::Env};
use dgen_fdb::Options;
use dgen_server::{Handle, StartOptions};
use futures_util::future::{join, join_all};
use support::{
    child::{self, Child},
    directory,
    tally::{Kind, Sender, Tally, read},
};

const WATCHES: u32 = 3;
const CALLERS: u32 = 20;

/// A call that waits so long waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is not watched is looked at so often.
fn options() -> StartOptions {
    StartOptions::default().poll_interval(Duration::from_millis(200))
}

async fn open_with_few(path: &DirectoryPath) -> Tenant {
    let options = Options::default().watches_max(WATCHES);
    options
        .open(path.clone())
        .await
        .expect("there is a cluster")
}

fn client(tenant: &Tenant, id: u32) -> Handle<Tally> {
    Handle::client_with(tenant, id, options())
}

/// Not a test of its own: a process that serves.
#[tokio::test]
async fn child() {
    let Some(role) = child::role() else {
        return;
    };
    let path = child::directory();
    let (tenant, servers) = match role.as_str() {
        "serve one" => (directory::open(&path).await, 1),
        "serve many with few watches" => (open_with_few(&path).await, CALLERS),
        other => panic!("no role {other}"),
    };
    let started = (0..servers).map(|id| Handle::<Tally>::start_with(&tenant, id, (), options()));
    let started: Result<Vec<_>, _> = join_all(started).await.into_iter().collect();
    let _started = started.expect("they start");
    child::say("ready");
    // Until it is killed.
    std::future::pending::<()>().await;
}

/// Waits until so many messages are in the queue.
async fn queued(tally: &Handle<Tally>, count: u32) {
    while tally.queue_len().await.expect("it can be read") < u64::from(count) {
        Env::system().sleep(Duration::from_millis(5)).await;
    }
}

/// SPEC B4, F1: callers that find no watch left look now and then, and all get their answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_without_a_watch_are_answered() {
    let path = directory::unused("watches of callers");
    let tenant = open_with_few(&path).await;
    let calls = join_all((0..CALLERS).map(|number| {
        let mut sender = Sender::new(number, client(&tenant, 0), PATIENCE);
        async move { sender.send(Kind::Call).await }
    }));
    let serve = async {
        // All of them wait before anybody answers.
        queued(&client(&tenant, 0), CALLERS).await;
        let mut child = Child::start("serve one", &path);
        child.until("ready").await;
        child
    };
    let (_, child) = join(calls, serve).await;
    let counts = read(&client(&tenant, 0), PATIENCE).await;
    let expected: BTreeMap<_, _> = (0..CALLERS).map(|number| (number, 1)).collect();
    assert_eq!(counts, expected);
    child.kill().await;
    directory::remove(&tenant, &path).await;
}

/// SPEC B4, F1: so do processes that wait for messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_without_a_watch_are_served() {
    let path = directory::unused("watches of servers");
    let tenant = directory::open(&path).await;
    let mut child = Child::start("serve many with few watches", &path);
    child.until("ready").await;
    for round in 0..3 {
        let calls = (0..CALLERS).map(|id| {
            let mut sender = Sender::new(round, client(&tenant, id), PATIENCE);
            async move { sender.send(Kind::Call).await }
        });
        join_all(calls).await;
    }
    child.kill().await;
    directory::remove(&tenant, &path).await;
}
