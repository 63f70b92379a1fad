//! What an operator counts: names of metrics, and where they are kept.
//!
//! Through crate `metrics`: install a recorder before the first handle is used. Without one, each
//! costs a branch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dgen_backend::Attempt;
use metrics::{Counter, Histogram};

/// The metrics of the servers of one stored name. [The crate](crate#metrics) lists them for users.
pub(crate) struct Metrics {
    messages: Counter,
    batch_size: Histogram,
    queue_length: Histogram,
    attempts: Counter,
    conflicts: Counter,
    pub(crate) cache_hits: Counter,
    pub(crate) cache_misses: Counter,
    pub(crate) failures: Counter,
    pub(crate) dead_letters: Counter,
    pub(crate) timers_fired: Counter,
    pub(crate) swept: Counter,
    pub(crate) locks_taken_over: Counter,
    pub(crate) locks_lost: Counter,
    pub(crate) watches_refused: Counter,
    lock_wait_seconds: Histogram,
    commit_seconds: Histogram,
}

/// Those of all names that are in use with a database. One for each opened database.
#[derive(Default)]
pub(crate) struct Meters(Mutex<BTreeMap<Arc<str>, Arc<Metrics>>>);

impl Meters {
    /// Those of the servers of this stored name.
    pub(crate) fn of(&self, name: &Arc<str>) -> Arc<Metrics> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = meters
            .entry(Arc::clone(name))
            .or_insert_with(|| Arc::new(Metrics::new(name)));
        Arc::clone(metrics)
    }
}

impl Metrics {
    fn new(server: &Arc<str>) -> Self {
        let server = || Arc::clone(server);
        Self {
            messages: metrics::counter!("dgen_messages_total", "server" => server()),
            batch_size: metrics::histogram!("dgen_batch_size", "server" => server()),
            queue_length: metrics::histogram!("dgen_queue_length", "server" => server()),
            attempts: metrics::counter!("dgen_attempts_total", "server" => server()),
            conflicts: metrics::counter!("dgen_conflicts_total", "server" => server()),
            cache_hits: metrics::counter!("dgen_cache_hits_total", "server" => server()),
            cache_misses: metrics::counter!("dgen_cache_misses_total", "server" => server()),
            failures: metrics::counter!("dgen_failures_total", "server" => server()),
            dead_letters: metrics::counter!("dgen_dead_letters_total", "server" => server()),
            timers_fired: metrics::counter!("dgen_timers_fired_total", "server" => server()),
            swept: metrics::counter!("dgen_swept_total", "server" => server()),
            locks_taken_over: metrics::counter!("dgen_locks_taken_over_total", "server" => server()),
            locks_lost: metrics::counter!("dgen_locks_lost_total", "server" => server()),
            watches_refused: metrics::counter!("dgen_watches_refused_total", "server" => server()),
            lock_wait_seconds: metrics::histogram!("dgen_lock_wait_seconds", "server" => server()),
            commit_seconds: metrics::histogram!("dgen_commit_seconds", "server" => server()),
        }
    }

    /// A transaction is tried.
    pub(crate) fn attempt(&self, attempt: Attempt) {
        self.attempts.increment(1);
        if attempt.number > 1 {
            self.conflicts.increment(1);
        }
    }

    /// A consumer waited so long for a lock of somebody else's.
    pub(crate) fn waited_for_lock(&self, wait: Duration) {
        self.lock_wait_seconds.record(wait.as_secs_f64());
    }

    /// So many messages shared a transaction, which took so long from its first read to the answer
    /// of its commit, attempts that conflicted included.
    pub(crate) fn committed(&self, messages: usize, took: Duration) {
        self.messages.increment(messages as u64);
        self.batch_size.record(messages as f64);
        self.commit_seconds.record(took.as_secs_f64());
    }

    /// A caller has read by itself.
    pub(crate) fn read(&self) {
        self.messages.increment(1);
        self.cache_hits.increment(1);
    }

    /// So many messages were left in a queue that was looked at.
    pub(crate) fn queue_length(&self, messages: u64) {
        self.queue_length.record(messages as f64);
    }
}
