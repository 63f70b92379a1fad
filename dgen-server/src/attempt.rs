//! One transactional attempt: the heart of a server.
//!
//! 1. Read the state's version and the head of the queue, in one round trip; the state itself only
//!    if the cached one is not of that version.
//! 2. Decide: handle the messages of the queue in order, then, if none is left behind, those that
//!    came without the queue.
//! 3. Write: the state's difference, the replies to callers elsewhere, the removal from the queue.
//!
//! The caller commits, and only then acts on what is returned: so all of it happens, or nothing.
//! An attempt that is run again decides anew.

use std::sync::Arc;

use dgen_backend::{CommitVersionstamp, Read, Transaction};
use dgen_codec::{Stored, Version};
use dgen_queue::{Head, Item, Limits};

use crate::{
    Context, Failure, Server,
    address::Address,
    handling::Trial,
    mailbox::{Done, Unit},
    message::{Envelope, From},
    reply::Answer,
};

/// A state as it was read or committed.
pub(crate) struct Cached<S> {
    pub(crate) state: S,
    pub(crate) stored: Stored,
    pub(crate) version: Version,
}

/// What an attempt works on.
pub(crate) struct Attempt<'a, S: Server> {
    pub(crate) address: &'a Address,
    /// The state of a server that has none.
    pub(crate) initial: &'a S,
    pub(crate) cached: Option<Arc<Cached<S>>>,
    pub(crate) units: &'a [Unit<S>],
}

/// What an attempt did, if it is committed.
pub(crate) struct Attempted<S: Server> {
    pub(crate) state: NewState<S>,
    /// For each unit what became of it; none if the queue was not empty behind what was taken.
    pub(crate) units: Vec<Done>,
    /// Answers to callers in this OS process.
    pub(crate) local_answers: Vec<(From, Answer)>,
    /// Whether the queue may hold more.
    pub(crate) has_more: bool,
    /// Why the first message left in the queue can't be handled, if it can't.
    pub(crate) stuck: Option<Failure>,
    /// Why the process is to stop, if a handler said so.
    pub(crate) stop: Option<String>,
}

/// The state once the commit has happened.
pub(crate) enum NewState<S> {
    /// The one that was read.
    Unchanged(Option<Arc<Cached<S>>>),
    /// A new one, whose version is the commit's versionstamp.
    Changed {
        state: S,
        stored: Stored,
        versionstamp: Read<CommitVersionstamp>,
    },
}

impl<S> NewState<S> {
    /// The state to keep for the next attempt. Called after the commit.
    pub(crate) async fn into_cached(self) -> Option<Arc<Cached<S>>> {
        match self {
            Self::Unchanged(cached) => cached,
            Self::Changed {
                state,
                stored,
                versionstamp,
            } => {
                // Not known if the commit's answer was lost: then the next attempt reads the state.
                let version = Version::new(versionstamp.await.ok()?);
                Some(Arc::new(Cached {
                    state,
                    stored,
                    version,
                }))
            }
        }
    }
}

/// Why an attempt failed. The retry loop finds the transaction's error in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    #[error("transaction failed")]
    Transaction(#[from] dgen_backend::Error),
    #[error("state can't be read")]
    Load(#[from] dgen_codec::LoadError),
    #[error("state can't be written")]
    Store(#[from] dgen_codec::StoreError),
    #[error("queue can't be read")]
    Queue(#[from] dgen_queue::Error),
}

impl AttemptError {
    /// What callers are told.
    pub(crate) fn into_failure(self, address: &Address) -> Failure {
        // Whatever it is wrapped in, the transaction's own error says most.
        if let Some(error) = dgen_backend::Error::find(&self) {
            return Failure::Transaction(error.clone());
        }
        match self {
            Self::Transaction(error) => Failure::Transaction(error),
            Self::Load(source) => Failure::State {
                server: address.to_string(),
                source: Arc::new(source),
            },
            Self::Store(error) => Failure::Encode {
                what: "the state",
                reason: error.to_string(),
            },
            Self::Queue(source) => Failure::Queue {
                server: address.to_string(),
                source: Arc::new(source),
            },
        }
    }
}

/// The messages of the queue that were handled, and what is to be written for them.
#[derive(Default)]
struct Handled {
    taken: usize,
    answers: Vec<(From, Answer)>,
    stuck: Option<Failure>,
}

impl<S: Server> Attempt<'_, S> {
    pub(crate) async fn run(self, tx: &Transaction) -> Result<Attempted<S>, AttemptError> {
        let keys = &self.address.keys;
        let version = dgen_codec::version(tx, keys.state());
        let head = keys.queue().head(tx, Limits::default());
        let (version, mut head) = (version.await?, head.await?);
        let cached = self.current(tx, version).await?;

        let mut trial = Trial {
            state: cached
                .as_ref()
                .map_or(self.initial, |cached| &cached.state)
                .clone(),
            cx: Context::new(self.address.id.clone(), self.address.tenant.env().clone()),
            stop: None,
        };
        let handled = handle_queue(&mut trial, head.items());
        let is_queue_done = !head.may_have_more() && handled.taken == head.items().len();
        let units = match &handled.stuck {
            Some(stuck) => self.units.iter().map(|_| Err(stuck.clone())).collect(),
            None if is_queue_done && trial.stop.is_none() => self
                .units
                .iter()
                .map(|unit| trial.handle(&unit.messages))
                .collect(),
            None => Vec::new(),
        };

        let has_more = !is_queue_done && handled.stuck.is_none();
        let local_answers = self.write_queue(tx, &mut head, &handled).await?;
        let state = write_state(tx, self.address, cached, trial.state)?;
        Ok(Attempted {
            state,
            units,
            local_answers,
            has_more,
            stuck: handled.stuck,
            stop: trial.stop,
        })
    }

    /// The cached state if it is of `version`, else the stored one; none if there is none.
    async fn current(
        &self,
        tx: &Transaction,
        version: Option<Version>,
    ) -> Result<Option<Arc<Cached<S>>>, AttemptError> {
        let Some(version) = version else {
            return Ok(None);
        };
        if let Some(cached) = &self.cached
            && cached.version == version
        {
            return Ok(Some(Arc::clone(cached)));
        }
        tracing::debug!(server = %self.address, "the cached state is not current: reading it");
        load(tx, self.address).await
    }

    /// Removes what was handled from the queue and stores the answers to callers elsewhere; returns
    /// the others.
    async fn write_queue(
        &self,
        tx: &Transaction,
        head: &mut Head,
        handled: &Handled,
    ) -> Result<Vec<(From, Answer)>, AttemptError> {
        head.pop(handled.taken)?;
        let waiting_keys: Vec<_> = handled
            .answers
            .iter()
            .map(|(from, _)| self.address.keys.reply(&from.process, from.call))
            .collect();
        // Asked for together.
        let waiting: Vec<_> = waiting_keys
            .iter()
            .map(|key| tx.get(&dgen_codec::first_chunk_key(key)))
            .collect();
        let mut local = Vec::new();
        for (((from, answer), key), waiting) in
            handled.answers.iter().zip(&waiting_keys).zip(waiting)
        {
            if waiting.await?.is_none() {
                // The caller gave up, and left nothing behind.
                continue;
            }
            if self.address.registry.is_waiting_here(from) {
                dgen_codec::clear_chunks(tx, key)?;
                local.push((from.clone(), answer.clone()));
            } else {
                dgen_codec::write_chunks(tx, key, &answer.to_bytes())?;
            }
        }
        Ok(local)
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
            version: loaded.version,
        })
    }))
}

/// Writes what changed in the state, if anything did.
pub(crate) fn write_state<S: Server>(
    tx: &Transaction,
    address: &Address,
    cached: Option<Arc<Cached<S>>>,
    state: S,
) -> Result<NewState<S>, AttemptError> {
    let old = cached.as_ref().map(|cached| &cached.stored);
    let written = dgen_codec::store(tx, address.keys.state(), old, &state)?;
    if !written.is_changed {
        return Ok(NewState::Unchanged(cached));
    }
    Ok(NewState::Changed {
        state,
        stored: written.stored,
        versionstamp: tx.versionstamp(),
    })
}

/// Handles the queue's messages in order, until one can't be handled or stops the process.
fn handle_queue<S: Server>(trial: &mut Trial<S>, items: &[Item]) -> Handled {
    let mut handled = Handled::default();
    for item in items {
        let stuck = |reason: String| Failure::Stuck {
            key: item.key().escape_ascii().to_string(),
            reason,
        };
        let (message, from) = match Envelope::decode::<S>(item.bytes()) {
            Ok(decoded) => decoded,
            Err(what) => {
                handled.stuck = Some(stuck(format!("the message does not decode: {what}")));
                return handled;
            }
        };
        match trial.handle(&[message]) {
            Ok(answer) => handled.answers.extend(from.zip(answer)),
            Err(failure) => {
                handled.stuck = Some(stuck(failure.to_string()));
                return handled;
            }
        }
        handled.taken += 1;
        if trial.stop.is_some() {
            return handled;
        }
    }
    handled
}
