//! What a test sees of handlers while they run, and how it holds them up.

use std::{
    collections::{HashMap, HashSet},
    pin::pin,
    sync::{
        Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

static PROBES: LazyLock<Mutex<HashMap<u64, Probe>>> = LazyLock::new(Mutex::default);
static PROBES_MADE: AtomicU64 = AtomicU64::new(1);

/// Notes that handlers leave, and gates at which they wait. A clone is the same.
#[derive(Clone)]
pub(crate) struct Probe {
    pub(crate) number: u64,
    inner: Arc<Inner>,
}

/// Opens a gate when it is dropped.
pub(crate) struct OpenAtLast(Probe, &'static str);

impl Drop for OpenAtLast {
    fn drop(&mut self) {
        self.0.open(self.1);
    }
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
    changed_for_threads: Condvar,
}

#[derive(Default)]
struct State {
    notes: Vec<String>,
    open: HashSet<String>,
}

impl Probe {
    pub(crate) fn new() -> Self {
        let probe = Self {
            number: PROBES_MADE.fetch_add(1, Ordering::Relaxed),
            inner: Arc::default(),
        };
        probes().insert(probe.number, probe.clone());
        probe
    }

    /// The probe whose number a state holds.
    pub(crate) fn of(number: u64) -> Self {
        probes().get(&number).expect("the test made it").clone()
    }

    pub(crate) fn note(&self, note: impl Into<String>) {
        self.lock().notes.push(note.into());
        self.wake();
    }

    /// All notes, in their order.
    pub(crate) fn notes(&self) -> Vec<String> {
        self.lock().notes.clone()
    }

    pub(crate) fn count(&self, note: &str) -> usize {
        let state = self.lock();
        state.notes.iter().filter(|noted| *noted == note).count()
    }

    /// What follows `name` in the notes that begin with it.
    pub(crate) fn numbers(&self, name: &str) -> Vec<u64> {
        let of = |note: &String| note.strip_prefix(name)?.trim().parse().ok();
        self.lock().notes.iter().filter_map(of).collect()
    }

    /// Waits until there is such a note.
    pub(crate) async fn noted(&self, note: &str) {
        self.noted_times(note, 1).await;
    }

    pub(crate) async fn noted_times(&self, note: &str, times: usize) {
        self.until(|state| state.notes.iter().filter(|noted| *noted == note).count() >= times)
            .await;
    }

    /// Lets whoever comes to that gate pass.
    pub(crate) fn open(&self, gate: &str) {
        self.lock().open.insert(gate.to_owned());
        self.wake();
    }

    /// Opens `gate` when it is dropped: a test that fails is not to wait for who waits there.
    pub(crate) fn open_at_last(&self, gate: &'static str) -> OpenAtLast {
        OpenAtLast(self.clone(), gate)
    }

    pub(crate) fn is_open(&self, gate: &str) -> bool {
        self.lock().open.contains(gate)
    }

    pub(crate) async fn passed(&self, gate: &str) {
        self.until(|state| state.open.contains(gate)).await;
    }

    /// The same, and blocks the thread until then.
    pub(crate) fn passed_blocking(&self, gate: &str) {
        let changed = &self.inner.changed_for_threads;
        let passed = changed.wait_while(self.lock(), |state| !state.open.contains(gate));
        drop(passed.unwrap_or_else(PoisonError::into_inner));
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        loop {
            let mut changed = pin!(self.inner.changed.notified());
            changed.as_mut().enable();
            if holds(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn wake(&self) {
        self.inner.changed.notify_waiters();
        self.inner.changed_for_threads.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

fn probes() -> MutexGuard<'static, HashMap<u64, Probe>> {
    PROBES.lock().unwrap_or_else(PoisonError::into_inner)
}
