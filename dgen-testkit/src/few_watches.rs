//! A database that allows few watches, so that a test can see what becomes of those who get none.

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use dgen_backend::{
    Database, Error, Watch,
    backend::{Backend, BackendTransaction},
    directory::Directories,
    env::Env,
};

use crate::{Forward, Intercept, Intercepted};

/// When a database says that there are too many watches. The contract allows both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// When one more is asked for, as the embedded store does.
    AtOnce,
    /// When one more is awaited, as FoundationDB does.
    WhenAwaited,
}

/// The watches of a database made by [`few_watches`]. A clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Watches(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: AtomicUsize,
    refused: AtomicU64,
}

impl Watches {
    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// How many were refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    fn wait(&self, max: usize) -> Option<Waiting> {
        let waiting = &self.0.waiting;
        let add_one = |count| (count < max).then_some(count + 1);
        match waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add_one) {
            Ok(_) => Some(Waiting(self.clone())),
            Err(_) => {
                self.0.refused.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }
}

/// One that waits.
struct Waiting(Watches);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `db`, with at most `max` watches that wait through the database returned.
///
/// # Examples
/// ```
/// use dgen_testkit::{few_watches::{Refusal, few_watches}, model};
///
/// let (db, watches) = few_watches(model::in_memory(), 0, Refusal::AtOnce);
/// assert!(db.begin()?.watch(b"key").is_err());
/// assert_eq!(watches.refused(), 1);
/// # Ok::<(), dgen_backend::Error>(())
/// ```
#[must_use]
pub fn few_watches(db: Database, max: usize, refusal: Refusal) -> (Database, Watches) {
    let watches = Watches::default();
    let backend = FewWatches {
        db,
        max,
        refusal,
        watches: watches.clone(),
    };
    (Database::new(backend), watches)
}

#[derive(Debug)]
struct FewWatches {
    db: Database,
    max: usize,
    refusal: Refusal,
    watches: Watches,
}

impl Backend for FewWatches {
    fn name(&self) -> &'static str {
        "few watches"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        Ok(Box::new(Intercepted(FewWatchesTransaction {
            inner: Forward(self.db.begin()?),
            max: self.max,
            refusal: self.refusal,
            watches: self.watches.clone(),
        })))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn can_lose_commit_answer(&self) -> bool {
        self.db.can_lose_commit_answer()
    }

    fn directories(&self) -> Arc<dyn Directories> {
        self.db.directories()
    }
}

struct FewWatchesTransaction {
    inner: Forward,
    max: usize,
    refusal: Refusal,
    watches: Watches,
}

impl Intercept for FewWatchesTransaction {
    fn inner(&self) -> &Forward {
        &self.inner
    }

    fn watch(&self, key: &[u8]) -> Result<Watch, Error> {
        // Made in any case: it counts as a read.
        let watch = self.inner.watch(key)?;
        let too_many = Error::TooManyWatches { limit: self.max };
        match (self.watches.wait(self.max), self.refusal) {
            (Some(waiting), _) => Ok(Watch::new(async move {
                let fired = watch.await;
                drop(waiting);
                fired
            })),
            (None, Refusal::AtOnce) => Err(too_many),
            (None, Refusal::WhenAwaited) => Ok(Watch::new(ready(Err(too_many)))),
        }
    }
}
