//! The newest state that transactions may read, and who reads an older one.
//!
//! A snapshot keeps the pages of its state from being used again. So a transaction holds its
//! snapshot in a slot that is emptied once the transaction is too old to read, whether anyone still
//! holds the transaction or not.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, RwLock, Weak},
    time::Instant,
};

use dgen_backend::{Error, limits::TRANSACTION_AGE_MAX};

use crate::store::{Base, BaseSnapshot as _, RedbStore};

/// The stored part of a state.
pub(crate) type Snapshot = <RedbStore as Base>::Snapshot;

/// A state of the store.
pub(crate) struct Published {
    pub(crate) snapshot: Snapshot,
}

impl Published {
    pub(crate) fn version(&self) -> u64 {
        self.snapshot.version()
    }
}

/// The newest state, or why there is none.
pub(crate) struct Current {
    newest: RwLock<Result<Arc<Published>, Error>>,
    /// The slots that hold a state, oldest first.
    taken: Mutex<VecDeque<(Instant, Weak<Slot>)>>,
}

/// Where one transaction keeps the state that it reads.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Held>);

#[derive(Default)]
enum Held {
    #[default]
    Nothing,
    State(Arc<Published>, Instant),
    TooOld,
    Closed(Error),
}

impl Current {
    pub(crate) fn new(published: Published) -> Self {
        Self {
            newest: RwLock::new(Ok(Arc::new(published))),
            taken: Mutex::default(),
        }
    }

    pub(crate) fn newest(&self) -> Result<Arc<Published>, Error> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        newest.clone()
    }

    /// Makes `published` the newest, and takes the states of transactions that are too old at
    /// `now`.
    pub(crate) fn publish(&self, published: Published, now: Instant) {
        self.refresh(published);
        self.reap(now);
    }

    /// Makes `published` the newest, unless a newer one came before; it may be the same state in another form.
    pub(crate) fn refresh(&self, published: Published) {
        let old = {
            let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
            match &mut *newest {
                Ok(newest) if newest.version() <= published.version() => {
                    Some(std::mem::replace(newest, Arc::new(published)))
                }
                Ok(_) | Err(_) => None,
            }
        };
        drop(old);
    }

    /// Ends every read with `closed`: the store is closed. The first error stays.
    pub(crate) fn close(&self, closed: &Error) {
        {
            let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
            if newest.is_ok() {
                *newest = Err(closed.clone());
            }
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, slot) in taken.drain(..) {
            if let Some(slot) = slot.upgrade() {
                slot.replace(Held::Closed(closed.clone()));
            }
        }
    }

    /// The state that the transaction of `slot` reads: the newest, at its first read.
    pub(crate) fn read(&self, slot: &Arc<Slot>, now: Instant) -> Result<Arc<Published>, Error> {
        let mut held = slot.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Held::State(state, since) => {
                if now.saturating_duration_since(*since) > TRANSACTION_AGE_MAX {
                    *held = Held::TooOld;
                    return Err(Error::TransactionTooOld);
                }
                Ok(Arc::clone(state))
            }
            Held::TooOld => Err(Error::TransactionTooOld),
            Held::Closed(error) => Err(error.clone()),
            Held::Nothing => {
                let newest = self.newest()?;
                *held = Held::State(Arc::clone(&newest), now);
                drop(held);
                self.reap(now);
                let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.push_back((now, Arc::downgrade(slot)));
                drop(taken);
                // A close in between has not seen the slot.
                if let Err(closed) = self.newest() {
                    slot.replace(Held::Closed(closed.clone()));
                    return Err(closed);
                }
                Ok(newest)
            }
        }
    }

    fn reap(&self, now: Instant) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, slot)) = taken.front() {
            let slot = slot.upgrade();
            let is_too_old = now.saturating_duration_since(*since) > TRANSACTION_AGE_MAX;
            match slot {
                Some(slot) if is_too_old => slot.replace(Held::TooOld),
                Some(_) => return,
                None => {}
            }
            taken.pop_front();
        }
    }
}

impl Slot {
    /// Lets go of the state.
    pub(crate) fn release(&self) {
        self.replace(Held::TooOld);
    }

    /// When the transaction first read, and what version; none if it read nothing.
    pub(crate) fn read_at(&self) -> Result<Option<(Instant, u64)>, Error> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Held::Nothing => Ok(None),
            Held::State(state, since) => Ok(Some((*since, state.version()))),
            Held::TooOld => Err(Error::TransactionTooOld),
            Held::Closed(error) => Err(error.clone()),
        }
    }

    fn replace(&self, held: Held) {
        let old = std::mem::replace(
            &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
            held,
        );
        drop(old);
    }
}

/// What is said after a close that somebody asked for.
pub(crate) fn closed_by_owner() -> Error {
    Error::Closed {
        reason: "it was closed by its owner".into(),
        cause: None,
    }
}

#[cfg(test)]
mod tests {
    use dgen_backend::env::Env;

    use super::*;
    use crate::store::Group;

    /// SPEC B1: two groups that are published by two threads, the later one first: nobody sees the earlier state
    /// behind the later one.
    #[test]
    fn an_older_state_takes_no_newer_ones_place() {
        let store = RedbStore::in_memory();
        let mut states = (1..=2).map(|version| {
            let writes = Vec::new();
            store.apply(&Group { version, writes }).unwrap();
            Published {
                snapshot: store.snapshot().unwrap(),
            }
        });
        let (first, second) = (states.next().unwrap(), states.next().unwrap());
        let current = Current::new(Published {
            snapshot: RedbStore::in_memory().snapshot().unwrap(),
        });
        let now = Env::system().now();
        current.publish(second, now);
        current.publish(first, now);
        assert_eq!(current.newest().unwrap().version(), 2);
    }
}
