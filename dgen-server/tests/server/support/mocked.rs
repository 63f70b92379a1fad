//! Stores on a clock that stands still until the test moves it.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use dgen_backend::{
    Database, KeyRange,
    env::{BoxFuture, Env, Environment},
    tuple::{Element, Subspace, unpack},
};
use dgen_server::{StartOptions, Tenant};
use dgen_testkit::MockClock;

use super::{
    elsewhere::elsewhere,
    faulty::faulty,
    patience::{coming, yield_times},
};

/// A conflict is waited out by itself; whatever is longer waits for the test.
const AUTO_ADVANCE_MAX: Duration = Duration::from_millis(40);

/// How long a store with faults stands still before its clock moves by itself, and by how much.
const YIELDS_OF_STANDSTILL: usize = 50_000;
const STANDSTILL: Duration = Duration::from_millis(100);

/// A store to test on, its clock, and what keeps it alive.
pub(crate) struct Mocked {
    pub(crate) tenant: Tenant,
    pub(crate) clock: MockClock,
    /// How far the calendar is ahead of the clock, in milliseconds.
    ahead_millis: Arc<AtomicI64>,
    /// How many commits settle what is under way.
    settling_commits: usize,
    folder: Option<tempfile::TempDir>,
}

impl Mocked {
    pub(crate) fn in_memory() -> Self {
        Self::new(None)
    }

    pub(crate) fn on_disk() -> Self {
        Self::new(Some(tempfile::tempdir().expect("a folder can be made")))
    }

    /// In memory, where reads, commits and watches fail now and then. What failed is tried again at
    /// once, so the clock stays where the test has put it. It moves by itself only if nothing goes on
    /// without: who seems to have lost the queue to another consumer stands by for a while.
    pub(crate) fn faulty() -> Self {
        let clock = MockClock::new(1);
        let ahead_millis = Arc::default();
        let env = env(&clock, &ahead_millis);
        let moved = clock.clone();
        let keep_moving = async move {
            loop {
                yield_times(YIELDS_OF_STANDSTILL).await;
                moved.advance(STANDSTILL);
            }
        };
        env.spawn(keep_moving).expect("a test has a runtime");
        let plain = open(None, &env);
        let db = faulty(plain.database().clone());
        Self {
            tenant: Tenant::new(db, plain.subspace().clone()),
            clock,
            ahead_millis,
            // Whoever is woken may have to try again.
            settling_commits: 16,
            folder: None,
        }
    }

    dgen_testkit::on_cluster! {
        pub(crate) fn on_cluster() -> Self {
            let clock = MockClock::new(1).auto_advance_max(AUTO_ADVANCE_MAX);
            let ahead_millis = Arc::default();
            let db = dgen_testkit::cluster::database(env(&clock, &ahead_millis));
            Self {
                tenant: Tenant::new(db, Subspace::from("dgen")),
                clock,
                ahead_millis,
                // A consumer that is woken there reads and commits across the network.
                settling_commits: 16,
                folder: None,
            }
        }
    }

    fn new(folder: Option<tempfile::TempDir>) -> Self {
        let clock = MockClock::new(1).auto_advance_max(AUTO_ADVANCE_MAX);
        let ahead_millis = Arc::default();
        let path = folder.as_ref().map(tempfile::TempDir::path);
        Self {
            tenant: open(path, &env(&clock, &ahead_millis)),
            clock,
            ahead_millis,
            settling_commits: 4,
            folder,
        }
    }

    /// Closes the store and opens it again, if it is on disk. Its processes have to be stopped.
    pub(crate) fn reopen(self) -> Self {
        let Some(folder) = self.folder else {
            return self;
        };
        drop(self.tenant);
        Self {
            tenant: open(Some(folder.path()), &env(&self.clock, &self.ahead_millis)),
            folder: Some(folder),
            ..self
        }
    }

    /// The store as another OS process would have it: with calls and mailboxes of its own.
    pub(crate) fn elsewhere(&self) -> Tenant {
        elsewhere(&self.tenant)
    }

    /// Moves the clock, once all that is under way has settled.
    pub(crate) async fn advance(&self, duration: Duration) {
        self.settle().await;
        self.clock.advance(duration);
        self.settle().await;
    }

    /// Moves the clock step by step until `condition` holds.
    pub(crate) async fn advance_until(
        &self,
        what: &str,
        step: Duration,
        condition: impl AsyncFn() -> bool,
    ) {
        let advancing = async {
            while !condition().await {
                self.advance(step).await;
            }
        };
        coming(what, advancing).await;
    }

    /// Lets other tasks run, and what they commit reach the disk: the clock is not to move while they
    /// wait for that.
    async fn settle(&self) {
        for _ in 0..self.settling_commits {
            yield_times(50).await;
            // Behind all commits that wait for the same thread, and in nobody's tenant.
            let db = self.tenant.database();
            let committed = db.transact(async |tx| tx.set(b"settled", b"")).await;
            committed.expect("the store writes");
        }
    }

    /// Puts the calendar back, and lets the clock for durations go on.
    pub(crate) fn put_calendar_back(&self, by: Duration) {
        self.ahead_millis.fetch_sub(millis(by), Ordering::Relaxed);
    }

    /// Puts the calendar forward, and lets the clock for durations go on.
    pub(crate) fn put_calendar_forward(&self, by: Duration) {
        self.ahead_millis.fetch_add(millis(by), Ordering::Relaxed);
    }

    /// All keys but commit markers, as tuples below the tenant.
    pub(crate) async fn keys(&self) -> Vec<Vec<Element<'static>>> {
        let prefix = self.tenant.subspace().bytes();
        let db = self.tenant.database();
        let rows = db.transact(async |tx| tx.collect_range(KeyRange::prefix(prefix)).await);
        let rows = rows.await.expect("the store reads");
        rows.iter()
            .map(|row| {
                let key: Vec<Element<'_>> = unpack(&row.key[prefix.len()..]).expect("a tuple");
                key.into_iter().map(Element::into_owned).collect()
            })
            .filter(|key: &Vec<_>| key.first() != Some(&Element::Int(0)))
            .collect()
    }

    /// The keys of one kind, of all servers: `"r"` for calls that wait, `"i"` for remembered ids.
    pub(crate) async fn keys_of(&self, kind: &str) -> Vec<Vec<Element<'static>>> {
        let mut keys = self.keys().await;
        keys.retain(|key| key.get(2).and_then(Element::as_str) == Some(kind));
        keys
    }

    /// Those of calls that wait for an answer, or have not taken it away.
    pub(crate) async fn waiting_calls(&self) -> Vec<Vec<Element<'static>>> {
        self.keys_of("r").await
    }
}

/// Options of a consumer that looks again only when it is woken.
pub(crate) fn woken_only() -> StartOptions {
    StartOptions::default().poll_interval(Duration::from_secs(1_000_000))
}

fn open(path: Option<&Path>, env: &Env) -> Tenant {
    let options = dgen_local::Options::default()
        .env(env.clone())
        .segment_size_bytes(1 << 20);
    let db: Database = match path {
        Some(path) => options.open(path),
        None => options.in_memory(),
    }
    .expect("the store opens");
    Tenant::new(db, Subspace::from("dgen"))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("a test's duration")
}

/// The clock's environment, with a calendar that can be wrong.
fn env(clock: &MockClock, ahead_millis: &Arc<AtomicI64>) -> Env {
    Env::new(Calendar {
        clock: clock.clone(),
        ahead_millis: Arc::clone(ahead_millis),
    })
}

struct Calendar {
    clock: MockClock,
    ahead_millis: Arc<AtomicI64>,
}

impl Environment for Calendar {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn wall_clock(&self) -> SystemTime {
        let ahead = self.ahead_millis.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 {
            self.clock.wall_clock() - by
        } else {
            self.clock.wall_clock() + by
        }
    }

    fn random(&self, buffer: &mut [u8]) {
        self.clock.random(buffer);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.clock.sleep(duration)
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        Environment::spawn(&self.clock, task)
    }

    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.clock.spawn_thread(name, work)
    }
}

/// Runs each test on disk, in memory, in memory with faults, and on a cluster where there is one, on
/// a clock that the test moves. `faultless = "why"` leaves the faults out.
macro_rules! on_each_mocked_store {
    ($($(#[$attribute:meta])* async fn $name:ident(
        $store:ident: Mocked $(, faultless = $reason:literal)?
    ) $body:block)*) => {
        mod with_faults {
            #[allow(unused_imports, reason = "a file may have no test with faults")]
            use super::*;
            $($crate::support::unless! { [$($reason)?]
                $(#[$attribute])* #[tokio::test] async fn $name() {
                    let $store = Mocked::faulty();
                    $body
                }
            })*
        }
        mod in_memory {
            use super::*;
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                let $store = Mocked::in_memory();
                $body
            })*
        }
        mod on_disk {
            use super::*;
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                let $store = Mocked::on_disk();
                $body
            })*
        }
        dgen_testkit::on_cluster! {
            mod on_cluster {
                use super::*;
                $($(#[$attribute])* #[tokio::test] async fn $name() {
                    let $store = Mocked::on_cluster();
                    $body
                })*
            }
        }
    };
}

pub(crate) use on_each_mocked_store;
