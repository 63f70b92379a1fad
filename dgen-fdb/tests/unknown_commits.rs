//! Connections are cut while commits are under way: the client can't know what became of them. What
//! dgen does happens once all the same.
//!
//! `DGEN_CUTS` says how often, and `DGEN_SEED` replays when and how. Default: 24 times.

#[path = "support/outcomes.rs"]
mod outcomes;
#[path = "support/own_server.rs"]
mod own_server;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use dgen_backend::{Database, Error, KeyRange, Tenant, Transaction, env::Env, tuple::Subspace};
use dgen_fdb::Options;
use dgen_queue::Queue;
use dgen_server::Handle;
use dgen_testkit::Random;
use futures_util::future::{join, join_all, join3};
use outcomes::{Outcomes, noted};
use own_server::OwnServer;
use proxy::Fate;
use support::tally::{Kind, Sender, Tally, read};
use tokio::sync::watch;

const ADDERS: u32 = 6;
const PRODUCERS: u32 = 3;
/// Next door to the process, and elsewhere.
const SENDERS: u32 = 3;

/// Longer than anything takes while connections are cut.
const PATIENCE: Duration = Duration::from_secs(120);

fn from_variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// What everybody works with while connections are cut.
struct World {
    server: OwnServer,
    db: Database,
    is_over: AtomicBool,
    /// What was acknowledged, of all kinds together.
    done: watch::Sender<u64>,
}

impl World {
    /// A part of the database, as another OS process opens it.
    fn open(&self, part: &str) -> (Tenant, Outcomes) {
        let (db, outcomes) = noted(&self.db);
        (Tenant::new(db, Subspace::from(part)), outcomes)
    }

    /// Does something again and again until it is over.
    fn goes_on(&self) -> bool {
        self.done.send_modify(|done| *done += 1);
        !self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until so much more was done.
    async fn more(&self, count: u64) {
        let enough = *self.done.borrow() + count;
        let done = self
            .done
            .subscribe()
            .wait_for(|done| *done >= enough)
            .await
            .is_ok();
        assert!(done, "it goes on");
    }
}

/// Cuts connections, each time after another amount of work, and in another way.
async fn cut(world: &World, seed: u64) {
    let mut random = Random::new(seed);
    let proxy = world.server.proxy();
    for _ in 0..from_variable("DGEN_CUTS").unwrap_or(24) {
        world.more(random.below(300) as u64).await;
        let fates = [
            Fate::LosesAnswers,
            Fate::LosesAnswers,
            Fate::LosesRequests,
            Fate::IsCut,
        ];
        let fate = fates[random.below(fates.len())];
        let victims = proxy.doom(fate);
        if fate != Fate::IsCut {
            // Whatever was on its way to the server or back has arrived, or is lost.
            world.server.pass_by().await;
        }
        victims.cut();
    }
    world.more(200).await;
    world.is_over.store(true, Ordering::Relaxed);
}

/// What became of the transactions of one adder.
#[derive(Debug, Default)]
struct Added {
    transactions: i64,
    /// How often a commit's outcome was unknown, and it had happened.
    applied: u64,
    /// The same, and it had not.
    not_applied: u64,
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes.try_into().expect("a sum has 8 bytes"))
}

/// Adds 1 to a sum that is shared and to one of its own, by reading and writing, and appends a row.
async fn add(world: &World, adder: u32) -> Added {
    let (tenant, outcomes) = world.open("adders");
    let space = tenant.subspace();
    let (shared, own) = (space.pack(&"shared"), space.pack(&("own", adder)));
    let rows = space.subspace(&("rows", adder));
    let mut added = Added::default();
    let mut unknown_before = 0;
    while world.goes_on() {
        let work = |tx: Transaction| {
            let (shared, own, rows) = (&shared, &own, &rows);
            async move {
                let before = tx.get(own).await?.map_or(0, |bytes| number(&bytes));
                tx.set(own, &(before + 1).to_le_bytes())?;
                tx.add(shared, 1)?;
                let mut row = rows.bytes().to_vec();
                let offset = row.len() as u32;
                row.extend_from_slice(&[0; 10]);
                row.extend_from_slice(&offset.to_le_bytes());
                tx.set_versionstamped_key(&row, &before.to_le_bytes())?;
                Ok::<_, Error>(before + 1)
            }
        };
        let sum = tenant.transact(work).await.expect("it is committed");
        added.transactions += 1;
        assert_eq!(sum, added.transactions, "adder {adder}");
        let unknown = outcomes.unknown() - unknown_before;
        unknown_before += unknown;
        if outcomes.is_last_unknown() {
            // It was found to have happened; the ones before were looked for, and had not.
            added.applied += 1;
            added.not_applied += unknown - 1;
        } else {
            added.not_applied += unknown;
        }
    }
    added
}

/// Reads what the adders have written.
async fn check_added(db: &Database, all: &[Added]) {
    let tenant = Tenant::new(db.clone(), Subspace::from("adders"));
    let space = tenant.subspace();
    let tx = db.begin().expect("a transaction can be begun");
    let shared = tx
        .get(&space.pack(&"shared"))
        .await
        .expect("it can be read");
    let total: i64 = all.iter().map(|added| added.transactions).sum();
    assert_eq!(number(&shared.expect("it was added to")), total);
    for (adder, added) in (0_u32..).zip(all) {
        let rows = space.subspace(&("rows", adder));
        let rows = KeyRange::prefix(rows.bytes());
        let rows = tx.collect_range(rows).await.expect("they can be read");
        let values = rows.iter().map(|row| number(&row.value));
        assert!(values.eq(0..added.transactions), "adder {adder}: {rows:?}");
    }
}

/// Pushes numbered items; returns how many.
async fn produce(world: &World, producer: u32) -> (u64, Outcomes) {
    let (tenant, outcomes) = world.open("queue");
    let queue = Queue::new(tenant.subspace());
    let mut pushed = 0;
    while world.goes_on() {
        let items = [0, 1].map(|more| format!("{producer} {}", pushed + more));
        let (queue, items) = (&queue, &items);
        let push = |tx: Transaction| std::future::ready(queue.push_k(&tx, items));
        let done: Result<(), Error> = tenant.transact(push).await;
        done.expect("it is pushed");
        pushed += 2;
    }
    (pushed, outcomes)
}

/// Takes everything out of the queue.
async fn check_produced(db: &Database, pushed: &[u64]) {
    let tenant = Tenant::new(db.clone(), Subspace::from("queue"));
    let queue = &Queue::new(tenant.subspace());
    let mut found = vec![0; pushed.len()];
    loop {
        let consume = |tx: Transaction| async move { queue.consume_k(&tx, 200).await };
        let consumed = tenant.transact(consume).await.expect("it can be read");
        for item in &consumed.items {
            let text = String::from_utf8_lossy(item.bytes()).into_owned();
            let (producer, number) = text.split_once(' ').expect("two numbers");
            let next = &mut found[producer.parse::<usize>().expect("a number")];
            assert_eq!(number, next.to_string(), "of {producer}");
            *next += 1;
        }
        if consumed.found_empty {
            break;
        }
    }
    assert_eq!(found, pushed);
}

/// Sends calls and casts of all kinds.
async fn send(world: &World, number: u32, tally: Handle<Tally>) -> Sender {
    const KINDS: [Kind; 7] = [
        Kind::Call,
        Kind::Cast,
        Kind::CallWithId,
        Kind::Call,
        Kind::CastWithId,
        Kind::Cast,
        Kind::Locked,
    ];
    let mut sender = Sender::new(number, tally, PATIENCE);
    while world.goes_on() {
        sender
            .send(KINDS[sender.sent() as usize % KINDS.len()])
            .await;
    }
    sender
}

/// SPEC B5, Q4, S2, S3, S7, T3: whatever became of the commits whose answers were lost, each
/// transaction of `transact` takes effect once, each push is there once, and so is each call and
/// cast, with an id or without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_lose_and_repeat_nothing() {
    let seed = from_variable("DGEN_SEED");
    let seed = seed.unwrap_or_else(|| u64::from_le_bytes(Env::system().random()));
    println!("DGEN_SEED={seed}");
    let server = OwnServer::start().await;
    let options = Options::default().cluster_file(server.cluster_file());
    let db = options.database().expect("there is a cluster file");
    let world = World {
        server,
        db,
        is_over: AtomicBool::new(false),
        done: watch::Sender::new(0),
    };
    let world = &world;

    let (serving, served) = world.open("servers");
    let (elsewhere, sent) = world.open("servers");
    let tally = Handle::<Tally>::start(&serving, (), ())
        .await
        .expect("it starts");
    let handles = (0..2 * SENDERS).map(|number| {
        let is_next_door = number < SENDERS;
        (
            number,
            if is_next_door {
                tally.clone()
            } else {
                Handle::client(&elsewhere, ())
            },
        )
    });
    let (added, produced, (senders, ())) = join3(
        join_all((0..ADDERS).map(|adder| add(world, adder))),
        join_all((0..PRODUCERS).map(|producer| produce(world, producer))),
        join(
            join_all(handles.map(|(number, handle)| send(world, number, handle))),
            cut(world, seed),
        ),
    )
    .await;

    check_added(&world.db, &added).await;
    let pushed: Vec<_> = produced.iter().map(|(pushed, _)| *pushed).collect();
    check_produced(&world.db, &pushed).await;
    let expected = senders
        .iter()
        .map(|sender| (sender.number(), sender.sent()));
    let expected: BTreeMap<_, _> = expected.collect();
    assert_eq!(read(&tally, PATIENCE).await, expected);
    let dead = tally.status().await.expect("it can be read").dead_letters;
    assert_eq!(dead, 0, "nothing is wrong with any message");
    tally.stop().await;

    let applied: u64 = added.iter().map(|added| added.applied).sum();
    let not_applied: u64 = added.iter().map(|added| added.not_applied).sum();
    let of_pushes: u64 = produced
        .iter()
        .map(|(_, outcomes)| outcomes.unknown())
        .sum();
    println!(
        "commits with unknown outcome: {applied} of transactions had happened, {not_applied} had not; \
         {of_pushes} of pushes, {} of the process and {} of callers elsewhere",
        served.unknown(),
        sent.unknown()
    );
    assert!(applied > 0, "no commit had happened whose answer was lost");
    assert!(
        not_applied > 0,
        "every commit had happened whose answer was lost"
    );
    assert!(of_pushes > 0 && served.unknown() > 0 && sent.unknown() > 0);
}
