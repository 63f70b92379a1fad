//! A recorder that keeps every value, for one thread.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, LocalRecorderGuard, Metadata,
    SharedString, Unit,
};

/// The values by name and server. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<HashMap<(String, String), Values>>>);

/// What was counted or recorded, in its order. A clone is the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(Arc<Mutex<Vec<f64>>>);

impl Recorder {
    /// One that counts what this thread does, until the guard is dropped.
    pub(crate) fn install() -> (Self, LocalRecorderGuard<'static>) {
        let recorder = Self::default();
        // Of a test's length.
        let kept: &'static Self = Box::leak(Box::new(recorder.clone()));
        (recorder, metrics::set_default_local_recorder(kept))
    }

    pub(crate) fn of(&self, name: &str, server: &str) -> Values {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values
            .entry((name.to_owned(), server.to_owned()))
            .or_default()
            .clone()
    }

    fn of_key(&self, key: &Key) -> Arc<Values> {
        let server = key.labels().find(|label| label.key() == "server");
        let server = server.map_or("", |label| label.value());
        Arc::new(self.of(key.name(), server))
    }
}

impl Values {
    pub(crate) fn values(&self) -> Vec<f64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn sum(&self) -> f64 {
        self.values().into_iter().sum()
    }

    pub(crate) fn len(&self) -> usize {
        self.values().len()
    }

    fn push(&self, value: f64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(value);
    }
}

impl CounterFn for Values {
    fn increment(&self, value: u64) {
        if value > 0 {
            self.push(value as f64);
        }
    }

    fn absolute(&self, _value: u64) {}
}

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.push(value);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.of_key(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.of_key(key))
    }
}
