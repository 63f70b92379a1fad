//! Who waits for which key.
//!
//! A watch is registered once its transaction has committed, under the lock that firing takes, and
//! compares what the transaction saw with what is there now: a change in between fires it at once,
//! so none is lost.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use dgen_backend::Error;
use tokio::sync::oneshot;

use crate::store::Write;

/// In the order in which they were made, which is the order in which they fire. Mostly there is one.
type ByNumber = Vec<(u64, oneshot::Sender<()>)>;

/// All watches of a store.
#[derive(Debug)]
pub(crate) struct Watches {
    max: usize,
    /// Those made, registered or not.
    count: AtomicUsize,
    next_id: AtomicU64,
    by_key: Mutex<BTreeMap<Bytes, ByNumber>>,
}

/// A watch that its transaction has not committed yet.
#[derive(Debug)]
pub(crate) struct PendingWatch {
    pub(crate) key: Bytes,
    /// What the transaction saw; `None` if it could not see the value, being stamped.
    pub(crate) seen: Option<Option<Bytes>>,
    id: u64,
    fire: oneshot::Sender<()>,
}

/// The waiting end. Dropping it removes the watch.
#[derive(Debug)]
pub(crate) struct Waiter {
    watches: Arc<Watches>,
    key: Bytes,
    id: u64,
    fired: oneshot::Receiver<()>,
}

impl Watches {
    /// Room for so many.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            count: AtomicUsize::new(0),
            next_id: AtomicU64::new(0),
            by_key: Mutex::default(),
        }
    }

    /// A watch on `key`, whose value was `seen`.
    pub(crate) fn make(
        self: &Arc<Self>,
        key: Bytes,
        seen: Option<Option<Bytes>>,
    ) -> Result<(PendingWatch, Waiter), Error> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.max {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::TooManyWatches { limit: self.max });
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (fire, fired) = oneshot::channel();
        let waiter = Waiter {
            watches: Arc::clone(self),
            key: key.clone(),
            id,
            fired,
        };
        Ok((
            PendingWatch {
                key,
                seen,
                id,
                fire,
            },
            waiter,
        ))
    }

    /// Arms `watches`, or fires those whose key has another value by now: `current` reads it, and
    /// sees at least every group whose firing has begun.
    pub(crate) fn arm(
        &self,
        watches: Vec<PendingWatch>,
        current: impl Fn(&[u8]) -> Option<Option<Bytes>>,
    ) {
        if watches.is_empty() {
            return;
        }
        let mut changed = Vec::new();
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        for watch in watches {
            // An early answer is allowed, a lost one is not: in doubt, fire.
            if watch.seen.is_none() || watch.seen != current(&watch.key) {
                changed.push(watch.fire);
            } else if !watch.fire.is_closed() {
                let waiting = by_key
                    .entry(watch.key)
                    .or_insert_with(|| Vec::with_capacity(1));
                let place = waiting.partition_point(|(id, _)| *id < watch.id);
                waiting.insert(place, (watch.id, watch.fire));
            }
        }
        // Whoever is woken may drop a watch, which takes the lock.
        drop(by_key);
        for fire in changed {
            // Whoever waited may be gone.
            let _ = fire.send(());
        }
    }

    /// Fires every watch on what was written.
    pub(crate) fn fire(&self, written: &[Write]) {
        let mut fired: Vec<ByNumber> = Vec::new();
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.is_empty() {
            return;
        }
        for write in written {
            match write {
                Write::Set { key, .. } | Write::Clear { key } => fired.extend(by_key.remove(key)),
                Write::ClearRange { begin, end } if begin < end => {
                    let inside = by_key.range(begin.clone()..end.clone());
                    let keys: Vec<Bytes> = inside.map(|(key, _)| key.clone()).collect();
                    fired.extend(keys.iter().filter_map(|key| by_key.remove(key)));
                }
                Write::ClearRange { .. } => {}
            }
        }
        // Whoever is woken may drop a watch, which takes the lock.
        drop(by_key);
        for (_, fire) in fired.into_iter().flatten() {
            // Whoever waited may be gone.
            let _ = fire.send(());
        }
    }

    /// Ends every watch without an answer: the store is closed.
    pub(crate) fn close(&self) {
        let all = {
            let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *by_key)
        };
        drop(all);
    }
}

impl Waiter {
    /// Ready once the watch fires; `Err` if it never will.
    pub(crate) fn poll_fired(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), oneshot::error::RecvError>> {
        Pin::new(&mut self.fired).poll(cx)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // First, so that one that is being armed now sees that nobody waits.
        self.fired.close();
        self.watches.count.fetch_sub(1, Ordering::Relaxed);
        let mut by_key = self
            .watches
            .by_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(watches) = by_key.get_mut(&self.key) {
            watches.retain(|(id, _)| *id != self.id);
            if watches.is_empty() {
                by_key.remove(&self.key);
            }
        }
    }
}
