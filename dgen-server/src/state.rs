//! A server's state, in the store and in memory.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dgen_backend::{
    CommitVersionstamp, Read, Transaction,
    planted::{self, Bug},
};
use dgen_codec::{LoadError, Loaded, Stored, Version};

use crate::{Server, address::Address, changes, remedy::AttemptError};

/// A state as it was read or committed.
pub(crate) struct Cached<S> {
    pub(crate) state: S,
    /// What the state is compared with: the keys of this version, as they were read, or as they were
    /// encoded last, which a `List` knows again.
    stored: Mutex<Stored>,
    /// Not known if the answer to the commit that wrote it was lost.
    pub(crate) version: Option<Version>,
}

/// The state once the commit has happened.
pub(crate) enum NewState<S> {
    /// The one that was read.
    Unchanged(Arc<Cached<S>>),
    /// A new one, whose version is the commit's versionstamp.
    Changed {
        state: S,
        stored: Stored,
        versionstamp: Read<CommitVersionstamp>,
    },
}

impl<S> NewState<S> {
    /// Whether it is written, and counted as a change.
    pub(crate) fn is_changed(&self) -> bool {
        matches!(self, Self::Changed { .. })
    }

    /// The committed state, to keep for the next attempt. Called after the commit.
    pub(crate) async fn committed(self) -> Arc<Cached<S>> {
        match self {
            Self::Unchanged(cached) => cached,
            Self::Changed {
                state,
                stored,
                versionstamp,
            } => Arc::new(Cached {
                state,
                stored: Mutex::new(stored),
                version: versionstamp.await.ok().map(Version::new),
            }),
        }
    }
}

/// What a transaction asks for to know the state: the version that a cached one has to have, or the
/// state itself. The read is under way when this is made.
pub(crate) enum Asked<'a, S> {
    /// The cached one is the current one.
    Nothing(&'a Arc<Cached<S>>),
    Version(&'a Arc<Cached<S>>, Read<Option<Version>>),
    State(Loading<S>),
}

type Loading<S> = Pin<Box<dyn Future<Output = Result<Option<Loaded<S>>, LoadError>> + Send>>;

impl<'a, S: Server> Asked<'a, S> {
    pub(crate) fn new(
        tx: &Transaction,
        address: &Address,
        cached: Option<&'a Arc<Cached<S>>>,
    ) -> Self {
        let base = address.keys.state();
        match cached {
            Some(cached) => Self::Version(cached, dgen_codec::version(tx, base)),
            None => Self::State(Box::pin(dgen_codec::load(tx, base))),
        }
    }

    /// The cached state if it has the stored version, else the stored one. None if there is none.
    pub(crate) async fn current(
        self,
        tx: &Transaction,
        address: &Address,
    ) -> Result<Option<Arc<Cached<S>>>, AttemptError> {
        let loaded = match self {
            Self::Nothing(cached) => {
                address.metrics().cache_hits.increment(1);
                return Ok(Some(Arc::clone(cached)));
            }
            Self::Version(cached, version) => {
                let version = version.await?;
                let is_current = version.is_some() && cached.version == version;
                if is_current || planted::is(Bug::StateWithoutVersion) {
                    address.metrics().cache_hits.increment(1);
                    return Ok(Some(Arc::clone(cached)));
                }
                // Without a version too: a state that lost it is found, and not overwritten.
                dgen_codec::load(tx, address.keys.state()).await?
            }
            Self::State(loading) => loading.await?,
        };
        address.metrics().cache_misses.increment(1);
        Ok(loaded.map(Cached::new))
    }
}

/// The stored state, if there is one.
pub(crate) async fn load<S: Server>(
    tx: &Transaction,
    address: &Address,
) -> Result<Option<Arc<Cached<S>>>, AttemptError> {
    let loaded = dgen_codec::load::<S>(tx, address.keys.state()).await?;
    Ok(loaded.map(Cached::new))
}

impl<S> Cached<S> {
    fn stored(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new(loaded: Loaded<S>) -> Arc<Self> {
        Arc::new(Self {
            state: loaded.value,
            stored: Mutex::new(loaded.stored),
            version: Some(loaded.version),
        })
    }
}

/// Writes what changed in the state, if anything did.
pub(crate) fn write<S: Server>(
    tx: &Transaction,
    address: &Address,
    cached: Arc<Cached<S>>,
    state: S,
) -> Result<NewState<S>, AttemptError> {
    let mut stored = cached.stored();
    let written = dgen_codec::store(tx, address.keys.state(), Some(&stored), &state)?;
    if !written.is_changed {
        *stored = written.stored;
        drop(stored);
        return Ok(NewState::Unchanged(cached));
    }
    drop(stored);
    changes::count(tx, &address.keys)?;
    Ok(NewState::Changed {
        state,
        stored: written.stored,
        versionstamp: tx.versionstamp(),
    })
}

/// Writes the first state of a server, in the place of whatever there is.
pub(crate) async fn write_first<S: Server>(
    tx: &Transaction,
    address: &Address,
    state: S,
) -> Result<NewState<S>, AttemptError> {
    changes::begin(tx, &address.keys, tx.read_version().await?)?;
    let written = dgen_codec::store(tx, address.keys.state(), None, &state)?;
    Ok(NewState::Changed {
        state,
        stored: written.stored,
        versionstamp: tx.versionstamp(),
    })
}
