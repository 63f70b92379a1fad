//! Connections are cut while commits are under way: the client can't know what became of them. What
//! dgen does happens once all the same.
//!
//! `DGEN_CUTS` says how often, and `DGEN_SEED` replays when and how. Default: 10 times, and more often
//! until each kind of transaction has met it.

#[path = "support/outcomes.rs"]
mod outcomes;
#[path = "support/own_server.rs"]
mod own_server;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use dgen_backend::{Database, Error, KeyRange, Tenant, Transaction, env::Env, tuple::Subspace};
use dgen_fdb::Options;
use dgen_queue::Queue;
use dgen_server::Handle;
use dgen_testkit::Random;
use futures_util::future::{join, join_all, join3, select};
use outcomes::{Outcomes, noted};
use own_server::OwnServer;
use proxy::{Fate, LARGE_BYTES};
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
    met: Met,
}

/// How often a commit's outcome was unknown.
#[derive(Debug, Default)]
struct Met {
    /// Of a transaction that had happened, as was found out.
    applied: AtomicU64,
    /// Of one that had not.
    not_applied: AtomicU64,
    /// Of all of these kinds.
    pushing: Outcomes,
    serving: Outcomes,
    elsewhere: Outcomes,
}

impl Met {
    fn counts(&self) -> [(&'static str, u64); 5] {
        [
            (
                "transactions that had happened",
                self.applied.load(Ordering::Relaxed),
            ),
            (
                "transactions that had not",
                self.not_applied.load(Ordering::Relaxed),
            ),
            ("pushes", self.pushing.unknown()),
            ("transactions of the process", self.serving.unknown()),
            (
                "transactions of callers elsewhere",
                self.elsewhere.unknown(),
            ),
        ]
    }

    fn has_all(&self) -> bool {
        self.counts().iter().all(|(_, count)| *count > 0)
    }
}

impl World {
    /// A part of the database, as another OS process opens it.
    fn open(&self, part: &str, outcomes: &Outcomes) -> Tenant {
        Tenant::new(noted(&self.db, outcomes), Subspace::from(part))
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
    let cuts = from_variable("DGEN_CUTS").unwrap_or(10);
    for cut in 0..10 * cuts {
        if cut >= cuts && world.met.has_all() {
            break;
        }
        world.more(random.below(300) as u64).await;
        let fates = [Fate::LosesAnswers, Fate::LosesLargeRequests, Fate::IsCut];
        let fate = fates[random.below(fates.len())];
        let victims = proxy.doom(fate);
        if fate != Fate::IsCut {
            // None may be lost if the connections were just new ones.
            let (loss, more) = (pin!(proxy.loss()), pin!(world.more(200)));
            select(loss, more).await;
            // Whatever was on its way to the server or back has arrived, or is lost.
            world.server.pass_by().await;
        }
        victims.cut();
    }
    world.more(200).await;
    world.is_over.store(true, Ordering::Relaxed);
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes.try_into().expect("a sum has 8 bytes"))
}

/// Adds 1 to a sum that is shared and to one of its own, by reading and writing, and appends a row.
/// Returns how often.
async fn add(world: &World, adder: u32) -> i64 {
    let outcomes = Outcomes::default();
    let tenant = world.open("adders", &outcomes);
    let space = tenant.subspace();
    let (shared, own) = (space.pack(&"shared"), space.pack(&("own", adder)));
    let rows = space.subspace(&("rows", adder));
    let mut added = 0;
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
                // Long enough to be told from other requests.
                let mut value = [0; 2 * LARGE_BYTES];
                value[..8].copy_from_slice(&before.to_le_bytes());
                tx.set_versionstamped_key(&row, &value)?;
                Ok::<_, Error>(before + 1)
            }
        };
        let sum = tenant.transact(work).await.expect("it is committed");
        added += 1;
        assert_eq!(sum, added, "adder {adder}");
        let unknown = outcomes.unknown() - unknown_before;
        unknown_before += unknown;
        // The last one was found to have happened; the ones before were looked for, and had not.
        let applied = u64::from(outcomes.is_last_unknown());
        world.met.applied.fetch_add(applied, Ordering::Relaxed);
        let not_applied = unknown - applied;
        world
            .met
            .not_applied
            .fetch_add(not_applied, Ordering::Relaxed);
    }
    added
}

/// Reads what the adders have written.
async fn check_added(db: &Database, all: &[i64]) {
    let tenant = Tenant::new(db.clone(), Subspace::from("adders"));
    let space = tenant.subspace();
    let tx = db.begin().expect("a transaction can be begun");
    let shared = tx
        .get(&space.pack(&"shared"))
        .await
        .expect("it can be read");
    assert_eq!(number(&shared.expect("it was added to")), all.iter().sum());
    for (adder, added) in (0_u32..).zip(all) {
        let rows = space.subspace(&("rows", adder));
        let rows = KeyRange::prefix(rows.bytes());
        let rows = tx.collect_range(rows).await.expect("they can be read");
        let values = rows.iter().map(|row| number(&row.value[..8]));
        assert!(values.eq(0..*added), "adder {adder} of {added}");
    }
}

/// Pushes numbered items; returns how many.
async fn produce(world: &World, producer: u32) -> u64 {
    let tenant = world.open("queue", &world.met.pushing);
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
    pushed
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
        met: Met::default(),
    };
    let world = &world;

    let serving = world.open("servers", &world.met.serving);
    let elsewhere = world.open("servers", &world.met.elsewhere);
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
    let (added, pushed, (senders, ())) = join3(
        join_all((0..ADDERS).map(|adder| add(world, adder))),
        join_all((0..PRODUCERS).map(|producer| produce(world, producer))),
        join(
            join_all(handles.map(|(number, handle)| send(world, number, handle))),
            cut(world, seed),
        ),
    )
    .await;

    check_added(&world.db, &added).await;
    check_produced(&world.db, &pushed).await;
    let expected = senders
        .iter()
        .map(|sender| (sender.number(), sender.sent()));
    let expected: BTreeMap<_, _> = expected.collect();
    assert_eq!(read(&tally, PATIENCE).await, expected);
    let dead = tally.status().await.expect("it can be read").dead_letters;
    assert_eq!(dead, 0, "nothing is wrong with any message");
    tally.stop().await;

    println!("outcome unknown, of so many: {:?}", world.met.counts());
    assert!(world.met.has_all(), "{:?}", world.met.counts());
}
