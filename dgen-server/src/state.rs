//! A server's state, in the store and in memory.

use std::sync::Arc;

use dgen_backend::{CommitVersionstamp, Read, Transaction};
use dgen_codec::{Stored, Version};

use crate::{Server, address::Address, remedy::AttemptError};

/// A state as it was read or committed.
pub(crate) struct Cached<S> {
    pub(crate) state: S,
    pub(crate) stored: Stored,
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
                stored,
                version: versionstamp.await.ok().map(Version::new),
            }),
        }
    }
}

/// The state that `version` was read of: the cached one if it is that, else the stored one. None if
/// there is none.
pub(crate) async fn current<S: Server>(
    tx: &Transaction,
    address: &Address,
    cached: Option<&Arc<Cached<S>>>,
    version: Option<Version>,
) -> Result<Option<Arc<Cached<S>>>, AttemptError> {
    let cached = cached.filter(|cached| version.is_some() && cached.version == version);
    match cached {
        Some(cached) => {
            address.metrics().cache_hits.increment(1);
            Ok(Some(Arc::clone(cached)))
        }
        None => {
            address.metrics().cache_misses.increment(1);
            // Without a version too: a state that lost it is found, and not overwritten.
            load(tx, address).await
        }
    }
}

/// The stored state, if there is one.
pub(crate) async fn load<S: Server>(
    tx: &Transaction,
    address: &Address,
) -> Result<Option<Arc<Cached<S>>>, AttemptError> {
    let loaded = dgen_codec::load::<S>(tx, address.keys.state()).await?;
    Ok(loaded.map(|loaded| {
        Arc::new(Cached {
            state: loaded.value,
            stored: loaded.stored,
            version: Some(loaded.version),
        })
    }))
}

/// Writes what changed in the state, if anything did.
pub(crate) fn write<S: Server>(
    tx: &Transaction,
    address: &Address,
    cached: Arc<Cached<S>>,
    state: S,
) -> Result<NewState<S>, AttemptError> {
    let written = dgen_codec::store(tx, address.keys.state(), Some(&cached.stored), &state)?;
    if !written.is_changed {
        return Ok(NewState::Unchanged(cached));
    }
    Ok(NewState::Changed {
        state,
        stored: written.stored,
        versionstamp: tx.versionstamp(),
    })
}

/// Writes the first state of a server, in the place of whatever there is.
pub(crate) fn write_first<S: Server>(
    tx: &Transaction,
    address: &Address,
    state: S,
) -> Result<NewState<S>, AttemptError> {
    let written = dgen_codec::store(tx, address.keys.state(), None, &state)?;
    Ok(NewState::Changed {
        state,
        stored: written.stored,
        versionstamp: tx.versionstamp(),
    })
}
