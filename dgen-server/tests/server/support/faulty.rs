//! The suite's stores, with the faults of a cluster: see CONTRIBUTING.md for how to set them.

use std::{
    env::{self, VarError},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    str::FromStr,
    thread,
    time::{Duration, Instant, SystemTime},
};

use dgen_backend::{
    Database,
    env::{BoxFuture, Env, Environment},
};
use dgen_testkit::faults::{FaultyBackend, Rates};

/// The share of reads, commits and watches that fail.
const SHARE: &str = "DGEN_FAULTS";

/// The share if the variable is not set: few, so that no test takes long.
const LOW: f64 = 0.01;

const SEED: &str = "DGEN_FAULTS_SEED";

/// `db` with faults of every kind. Each test has its own, the same at each run, but for a seed that
/// is set; a test that fails shows both.
pub(crate) fn faulty(db: Database) -> Database {
    let share = variable(SHARE).unwrap_or(LOW);
    let seed = variable(SEED).unwrap_or_else(seed_of_test);
    eprintln!("{SHARE}={share} {SEED}={seed} gives these faults again");
    let env = Env::new(Hasty(db.env().clone()));
    Database::new(FaultyBackend::new(db, seed, Rates::all(share)).in_env(env))
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    match env::var(name) {
        Err(VarError::NotPresent) => None,
        Ok(text) if text.parse::<T>().is_ok() => text.parse().ok(),
        value => panic!("{name} is no number: {value:?}"),
    }
}

/// A number that follows from the test's name.
fn seed_of_test() -> u64 {
    let mut hasher = DefaultHasher::new();
    thread::current().name().hash(&mut hasher);
    hasher.finish()
}

/// Tries again at once what failed: many attempts fail here, by nobody's fault, and the clock of a test
/// may stand still.
struct Hasty(Env);

impl Environment for Hasty {
    fn now(&self) -> Instant {
        self.0.now()
    }

    fn wall_clock(&self) -> SystemTime {
        self.0.wall_clock()
    }

    fn random(&self, buffer: &mut [u8]) {
        buffer.fill_with(|| u8::from_le_bytes(self.0.random()));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.0.sleep(duration)
    }

    fn back_off(&self, _duration: Duration) -> BoxFuture<()> {
        Box::pin(tokio::task::yield_now())
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        self.0.spawn(task)
    }

    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.0.spawn_thread(name, work)
    }
}
