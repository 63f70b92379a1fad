//! A recorder that sums counters, for a whole process.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

/// The sums, by name. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

impl Recorder {
    /// One that counts what this process does from now on.
    pub(crate) fn install() -> Self {
        let recorder = Self::default();
        metrics::set_global_recorder(recorder.clone()).expect("it is the first one");
        recorder
    }

    pub(crate) fn sum(&self, name: &str) -> u64 {
        self.of(name).load(Ordering::Relaxed)
    }

    fn of(&self, name: &str) -> Arc<AtomicU64> {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sums.entry(name.to_owned()).or_default())
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of(key.name()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
