//! The store and the clock of a test.

use std::{future::Future, sync::mpsc, time::Duration};

use dgen_backend::{Database, KeyRange, env::Env, tuple::Subspace};
use dgen_server::{Handle, HeldBy, Server, StartOptions, Status, Tenant, Tuid};
use dgen_testkit::{
    MockClock,
    faults::{Faults, FaultyBackend, Rates},
};

use crate::{
    faulty::faulty,
    probe::Probe,
    script::{Actor, Step},
};

/// Backoffs move the clock by themselves; leases, polls and timeouts wait for the test.
const AUTO_ADVANCE_MAX: Duration = Duration::from_secs(1);

/// A test that takes longer than this hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// The lease that consumers have by default.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// Longer than any test moves its clock.
pub(crate) const PATIENT: Duration = Duration::from_secs(3_600);

pub(crate) struct World {
    pub(crate) tenant: Tenant,
    pub(crate) clock: MockClock,
    pub(crate) probe: Probe,
    _folder: Option<tempfile::TempDir>,
}

impl World {
    pub(crate) fn in_memory() -> Self {
        Self::new(None)
    }

    pub(crate) fn on_disk() -> Self {
        Self::new(Some(tempfile::tempdir().expect("a folder can be made")))
    }

    /// In memory, where reads, commits and watches fail now and then.
    pub(crate) fn with_faults() -> Self {
        let clock = MockClock::new(1).auto_advance_max(AUTO_ADVANCE_MAX);
        let options = dgen_local::Options::default().env(clock.env());
        let db = options.in_memory().expect("the store opens");
        Self::on(faulty(db), clock, None)
    }

    dgen_testkit::on_cluster! {
        pub(crate) fn on_cluster() -> Self {
            let clock = MockClock::new(1).auto_advance_max(AUTO_ADVANCE_MAX);
            let db = dgen_testkit::cluster::database(clock.env());
            Self::on(db, clock, None)
        }
    }

    fn new(folder: Option<tempfile::TempDir>) -> Self {
        let clock = MockClock::new(1).auto_advance_max(AUTO_ADVANCE_MAX);
        let options = dgen_local::Options::default().env(clock.env());
        let db = match &folder {
            Some(folder) => options.open(folder.path()),
            None => options.in_memory(),
        };
        Self::on(db.expect("the store opens"), clock, folder)
    }

    fn on(db: Database, clock: MockClock, folder: Option<tempfile::TempDir>) -> Self {
        Self {
            tenant: Tenant::new(db, Subspace::from("dgen")),
            clock,
            probe: Probe::new(),
            _folder: folder,
        }
    }

    /// Starts a consumer of actor `id`.
    pub(crate) async fn start(&self, id: &str) -> Handle<Actor> {
        self.start_at(&self.tenant, id).await
    }

    /// Starts one as another OS process would.
    pub(crate) async fn start_elsewhere(&self, id: &str) -> Handle<Actor> {
        self.start_at(&elsewhere(&self.tenant), id).await
    }

    pub(crate) async fn start_at(&self, tenant: &Tenant, id: &str) -> Handle<Actor> {
        let started = Handle::start(tenant, id, self.probe.number).await;
        started.expect("the actor starts")
    }

    pub(crate) async fn start_with(&self, id: &str, options: StartOptions) -> Handle<Actor> {
        let started = Handle::start_with(&self.tenant, id, self.probe.number, options).await;
        started.expect("the actor starts")
    }

    /// Starts a consumer elsewhere, on a runtime and a thread of its own: that one can freeze, or die.
    pub(crate) async fn start_on_thread(&self, id: &'static str) {
        self.start_on_thread_at::<Actor>(elsewhere(&self.tenant), id)
            .await;
    }

    /// Starts one of any server, wherever `tenant` is opened.
    pub(crate) async fn start_on_thread_at<S: Server<Args = u64>>(
        &self,
        tenant: Tenant,
        id: &'static str,
    ) {
        let probe = self.probe.clone();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime can be made");
            runtime.block_on(async {
                let server = Handle::<S>::start(&tenant, id, probe.number).await;
                probe.note("started on a thread");
                probe.passed("end").await;
                if !probe.is_open("die") {
                    server.expect("the server starts").stop().await;
                }
            });
            // What still runs on it is dropped wherever it is.
            drop(runtime);
            probe.note("ended");
        };
        let env = self.clock.env();
        env.spawn_thread("holder", work).expect("a thread starts");
        self.probe.noted("started on a thread").await;
    }

    /// Stops the thread's consumer, once it is not frozen.
    pub(crate) async fn stop_thread(&self) {
        self.probe.open("end");
        self.probe.noted("ended").await;
    }

    /// Ends the thread's consumer as if its OS process died.
    pub(crate) async fn kill_thread(&self) {
        self.probe.open("die");
        self.stop_thread().await;
    }

    /// Moves the clock on, in small steps, until `holds`.
    pub(crate) async fn pass_time_until(&self, mut holds: impl AsyncFnMut() -> bool) {
        while !holds().await {
            self.clock.advance(LEASE / 50);
            self.settle().await;
        }
    }

    /// Lets others run for so long that they would have done what they can: also what waits for a
    /// commit, since this waits for one itself. So the clock does not run ahead of a slow disk.
    pub(crate) async fn settle(&self) {
        for _ in 0..2 {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            let db = self.tenant.database();
            let settled = db.transact(async |tx| tx.add(b"settled", 1));
            settled.await.expect("the store writes");
        }
    }

    /// Whether that comes about while others do what they can.
    pub(crate) async fn settles_into(&self, mut holds: impl AsyncFnMut() -> bool) -> bool {
        for _ in 0..10 {
            if holds().await {
                return true;
            }
            self.settle().await;
        }
        false
    }

    /// Lets others run, and what they commit reach the store, for so long that they would have done what
    /// they can.
    pub(crate) async fn settle_commits(&self) {
        for _ in 0..10 {
            self.settle().await;
            // Behind all that is being committed, and in nobody's tenant.
            let db = self.tenant.database();
            let settled = db.transact(async |tx| tx.set(b"settled", b""));
            settled.await.expect("the store writes");
        }
    }

    /// A handle that starts nothing.
    pub(crate) fn client(&self, id: &str) -> Handle<Actor> {
        Handle::client(&self.tenant, id)
    }

    pub(crate) fn client_elsewhere(&self, id: &str) -> Handle<Actor> {
        Handle::client(&elsewhere(&self.tenant), id)
    }

    /// This store, with faults.
    pub(crate) fn faulty(&self, rates: Rates) -> (Tenant, Faults) {
        let faulty = FaultyBackend::new(self.tenant.database().clone(), 1, rates);
        let faults = faulty.faults();
        let subspace = self.tenant.subspace().clone();
        (Tenant::new(Database::new(faulty), subspace), faults)
    }

    /// All keys of the tenant.
    pub(crate) async fn keys(&self) -> Vec<Vec<u8>> {
        let tenant = self.tenant.subspace();
        let mut keys = self.keys_in(KeyRange::prefix(tenant.bytes())).await;
        let marker = tenant.pack(&0);
        keys.retain(|key| !key.starts_with(&marker));
        keys
    }

    /// The keys of all actors.
    pub(crate) async fn actors_keys(&self) -> Vec<Vec<u8>> {
        let actors = self.tenant.subspace().subspace(&Actor::NAME);
        self.keys_in(KeyRange::subspace(&actors)).await
    }

    async fn keys_in(&self, range: KeyRange) -> Vec<Vec<u8>> {
        let db = self.tenant.database();
        let rows = db.transact(async |tx| tx.snapshot().collect_range(range.clone()).await);
        let rows = rows.await.expect("the store reads");
        rows.into_iter().map(|row| row.key.to_vec()).collect()
    }
}

/// The same store as another OS process would have it open: with calls and mailboxes of its own.
pub(crate) fn elsewhere(here: &Tenant) -> Tenant {
    let faulty = FaultyBackend::new(here.database().clone(), 0, Rates::default());
    Tenant::new(Database::new(faulty), here.subspace().clone())
}

/// The actor's state, read past queue and lock.
pub(crate) async fn state(actor: &Handle<Actor>) -> Actor {
    let read = actor.call::<Actor, String>(vec![Step::Read]);
    read.priority().await.expect("the state can be read")
}

/// Reads the value of the actor that is stored, when it is called: on a thread of its own, as another
/// OS process would.
pub(crate) fn look_from_outside(tenant: &Tenant, id: Tuid) -> impl FnOnce() -> i64 + use<> {
    let tenant = elsewhere(tenant);
    move || {
        let (found, finds) = mpsc::channel();
        let env = tenant.env().clone();
        let look = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.expect("a runtime can be made");
            let value = runtime.block_on(async { state(&Handle::client(&tenant, id)).await.value });
            found.send(value).expect("the action waits");
        };
        env.spawn_thread("look", look).expect("a thread starts");
        finds.recv().expect("the state can be read")
    }
}

pub(crate) async fn status(actor: &Handle<Actor>) -> Status {
    actor.status().await.unwrap()
}

/// How often the lock was taken over from a holder that was gone, and how often it was renewed.
pub(crate) async fn takeovers_and_renewals(world: &World) -> (u32, u64) {
    match status(&world.client("a")).await.hold {
        Some(HeldBy::Lock {
            takeovers,
            renewals,
            ..
        }) => (takeovers, renewals),
        hold => panic!("it is not locked: {hold:?}"),
    }
}

/// Waits until so many messages are in the queue.
pub(crate) async fn queued(actor: &Handle<Actor>, count: u64) {
    until(async || actor.queue_len().await.unwrap() == count).await;
}

/// Waits until `holds`, letting others run.
pub(crate) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    while !holds().await {
        tokio::task::yield_now().await;
    }
}

/// Fails the test if it hangs: the test's own clock may stand still for ever.
pub(crate) async fn guarded(test: impl Future<Output = ()>) {
    let env = Env::system();
    let guarded = env.timeout(HANGS_AFTER, test).await;
    guarded.expect("the test does not hang");
}

/// Runs each test on disk, in memory, in memory with faults, and on a cluster where there is one.
/// `faultless = "why"` leaves the faults out.
macro_rules! on_each_store {
    ($($(#[$attribute:meta])* async fn $name:ident(
        $world:ident: World $(, faultless = $reason:literal)?
    ) $body:block)*) => {
        mod with_faults {
            #[allow(unused_imports, reason = "a file may have no test with faults")]
            use super::*;
            $($crate::world::unless! { [$($reason)?]
                $(#[$attribute])* #[tokio::test] async fn $name() {
                    let $world = World::with_faults();
                    guarded(async $body).await;
                }
            })*
        }
        mod in_memory {
            use super::*;
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                let $world = World::in_memory();
                guarded(async $body).await;
            })*
        }
        mod on_disk {
            use super::*;
            $($(#[$attribute])* #[tokio::test] async fn $name() {
                let $world = World::on_disk();
                guarded(async $body).await;
            })*
        }
        dgen_testkit::on_cluster! {
            mod on_cluster {
                use super::*;
                $($(#[$attribute])* #[tokio::test] async fn $name() {
                    let $world = World::on_cluster();
                    guarded(async $body).await;
                })*
            }
        }
    };
}

/// The item, unless there is a reason against it.
macro_rules! unless {
    ([] $item:item) => {
        $item
    };
    ([$reason:literal] $item:item) => {};
}

pub(crate) use on_each_store;
pub(crate) use unless;
