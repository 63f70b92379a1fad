//! Several OS processes serve one server and many, and one after the other is killed with SIGKILL.
//!
//! `DGEN_KILLS` says how many; there is one each second. Default: 12.

mod support;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use dgen_backend::{Tenant, directory::DirectoryPath, env::Env};
use dgen_server::{Handle, StartOptions};
use futures_util::future::{join, join_all};
use support::{
    child::{self, Child},
    directory,
    tally::{Kind, Sender, Tally, read},
};

const PROCESSES: usize = 4;
const CALLERS: u32 = 8;

/// Server 0 is the one that all callers send to; each caller sends to one of the others too.
const SERVERS: u32 = 17;

const LEASE: Duration = Duration::from_secs(2);

/// Nobody waits longer for an answer: the lease of a process that was killed, and a few seconds. Each
/// call and cast has it as its timeout.
const PATIENCE: Duration = LEASE.saturating_add(Duration::from_secs(10));

/// The number of the first sender that is in a process which is killed.
const FIRST_MORTAL: u32 = 1_000;

const MORTAL: &str = "DGEN_TEST_SENDER";

fn kills() -> usize {
    let kills = std::env::var("DGEN_KILLS").ok();
    kills.map_or(12, |kills| kills.parse().expect("DGEN_KILLS is a number"))
}

fn options() -> StartOptions {
    StartOptions::default().lock_lease(LEASE)
}

async fn start_all(tenant: &Tenant) -> Vec<Handle<Tally>> {
    let started = (0..SERVERS).map(|id| Handle::start_with(tenant, id, (), options()));
    let started: Result<_, _> = join_all(started).await.into_iter().collect();
    started.expect("they start")
}

/// Not a test of its own: a process that serves all servers, and sends to two of them, until it is
/// killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    if child::role().is_none() {
        return;
    }
    let number: u32 = std::env::var(MORTAL)
        .ok()
        .and_then(|number| number.parse().ok())
        .expect("its parent numbers it");
    let tenant = directory::open(&child::directory()).await;
    let tallies = start_all(&tenant).await;
    child::say("ready");
    let own = 1 + number % (SERVERS - 1);
    join_all([0, own].map(|server| {
        let tally = tallies[server as usize].clone();
        let mut sender = Sender::new(number, tally, PATIENCE);
        async move {
            loop {
                // Next door to a process that serves, so most are never queued.
                let kind = [Kind::Call, Kind::Call, Kind::Cast, Kind::CallWithId];
                sender.send(kind[sender.sent() as usize % kind.len()]).await;
                child::say(format_args!("{server} {}", sender.sent()));
            }
        }
    }))
    .await;
}

/// What senders that were killed were told last, by server and sender.
type Acknowledged = BTreeMap<(u32, u32), u64>;

/// A child, and its sender's number.
struct Mortal {
    child: Child,
    number: u32,
}

impl Mortal {
    fn start(number: u32, path: &DirectoryPath) -> Self {
        let mut command = child::command("serve", path);
        let child = Child::spawn(command.env(MORTAL, number.to_string()));
        Self { child, number }
    }

    /// Kills it, and adds what it was told.
    async fn kill(self, acknowledged: &mut Acknowledged) {
        for line in self.child.kill().await {
            // The last line may have been cut.
            let Some((server, count)) = line.split_once(' ') else {
                continue;
            };
            if let (Ok(server), Ok(count)) = (server.parse(), count.parse()) {
                acknowledged.insert((server, self.number), count);
            }
        }
    }
}

/// Starts the processes, kills one each second and starts another in its place, and kills them all in
/// the end. Returns what their senders were told.
async fn kill_one_by_one(path: &DirectoryPath, is_over: &AtomicBool) -> Acknowledged {
    let mut acknowledged = Acknowledged::new();
    let mut numbers = FIRST_MORTAL..;
    let mut next = || Mortal::start(numbers.next().expect("there are enough"), path);
    let mut mortals: Vec<_> = (0..PROCESSES).map(|_| next()).collect();
    for mortal in &mut mortals {
        mortal.child.until("ready").await;
    }
    for kill in 0..kills() {
        Env::system().sleep(Duration::from_secs(1)).await;
        let slot = kill % PROCESSES;
        let victim = std::mem::replace(&mut mortals[slot], next());
        victim.kill(&mut acknowledged).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for mortal in mortals {
        mortal.kill(&mut acknowledged).await;
    }
    acknowledged
}

/// Sends until the killing is over, to the server of all and to one of the others. How often to each.
async fn send_on(tenant: &Tenant, number: u32, is_over: &AtomicBool) -> Vec<(u32, Sender)> {
    const KINDS: [Kind; 8] = [
        Kind::Call,
        Kind::Cast,
        Kind::CallWithId,
        Kind::Call,
        Kind::Locked,
        Kind::CastWithId,
        Kind::Call,
        Kind::Cast,
    ];
    let own = 1 + number % (SERVERS - 1);
    let mut senders = [0, own].map(|server| {
        let tally = Handle::client_with(tenant, server, options());
        (server, Sender::new(number, tally, PATIENCE))
    });
    while !is_over.load(Ordering::Relaxed) {
        for (server, sender) in &mut senders {
            let kind = KINDS[sender.sent() as usize % KINDS.len()];
            // On the server of all, a tenth of that: while a holder's lease lasts, nobody goes on.
            let is_rare = *server == 0 && !(sender.sent() / 8).is_multiple_of(10);
            let kind = if kind == Kind::Locked && is_rare {
                Kind::Call
            } else {
                kind
            };
            sender.send(kind).await;
        }
    }
    senders.into()
}

/// SPEC S2, S7, S11, T3: processes that serve are killed each second; every message that was
/// acknowledged took effect once, nobody waited much longer than the lease, and counts are exact.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_and_repeat_nothing() {
    let path = directory::unused("failover");
    let tenant = directory::open(&path).await;
    let is_over = AtomicBool::new(false);
    let callers = join_all((0..CALLERS).map(|number| send_on(&tenant, number, &is_over)));
    // The first calls wait for the first process; nobody is alive to answer the last ones but those
    // that are started here.
    let (killed, sent) = join(
        async {
            let acknowledged = kill_one_by_one(&path, &is_over).await;
            (acknowledged, start_all(&tenant).await)
        },
        callers,
    )
    .await;
    let (acknowledged, tallies) = killed;

    let mut expected = vec![BTreeMap::new(); SERVERS as usize];
    let mut total = 0;
    for (server, sender) in sent.iter().flatten() {
        expected[*server as usize].insert(sender.number(), sender.sent());
        total += sender.sent();
    }
    for (server, tally) in (0_u32..).zip(&tallies) {
        let counts = read(tally, PATIENCE).await;
        let (mortal, immortal): (BTreeMap<_, _>, BTreeMap<_, _>) = counts
            .into_iter()
            .partition(|(number, _)| *number >= FIRST_MORTAL);
        assert_eq!(immortal, expected[server as usize], "server {server}");
        for (number, count) in mortal {
            let told = acknowledged
                .get(&(server, number))
                .copied()
                .unwrap_or_default();
            // One message was under way when it was killed.
            assert!(
                count == told || count == told + 1,
                "server {server}, sender {number} was told {told} and sent {count}"
            );
        }
    }
    for ((server, number), told) in &acknowledged {
        assert!(*told > 0, "server {server}, sender {number}");
    }
    let told: u64 = acknowledged.values().sum();
    println!(
        "{} processes killed; {total} messages from elsewhere and {told} from next door, all once",
        kills() + PROCESSES
    );
    join_all(tallies.iter().map(Handle::stop)).await;
    directory::remove(&tenant, &path).await;
}
