//! One transactional attempt: the heart of a server.
//!
//! 1. Read the state's version and the head of the queue, in one round trip; the state itself only
//!    if the cached one is not of that version.
//! 2. [Decide](crate::decision): handle messages, on a copy of the state.
//! 3. Write: the state's difference, the replies to callers elsewhere, the removal from the queue.
//!
//! The caller commits, and only then acts on what is returned: so all of it happens, or nothing.
//! An attempt that is run again decides anew.

use std::sync::Arc;

use dgen_backend::{CommitVersionstamp, Read, Transaction};
use dgen_codec::{Stored, Version};
use dgen_queue::{Head, Limits};

use crate::{
    Context, Failure, Server,
    address::Address,
    decision::{Decision, Work},
    handling::Trial,
    mailbox::{Done, Unit},
    message::From,
    progress::Progress,
    reply::Answer,
};

/// So often an attempt is run before the process looks at why.
const ATTEMPTS_MAX: u32 = 8;

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
    /// At most so many messages.
    pub(crate) batch_max: usize,
    /// Answers that are stored are no longer than this.
    pub(crate) answer_size_max_bytes: usize,
    pub(crate) progress: &'a Progress,
}

/// What an attempt did, if it is committed.
pub(crate) struct Attempted<S: Server> {
    pub(crate) state: NewState<S>,
    /// What became of the units, from the first; the rest was not come to.
    pub(crate) units: Vec<Done>,
    /// Answers to callers in this OS process.
    pub(crate) local_answers: Vec<(From, Answer)>,
    /// Whether the queue may hold more.
    pub(crate) has_more: bool,
    /// The version at which the queue was looked at.
    pub(crate) version: u64,
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
    /// It was run again so often that somebody should look at why.
    #[error("the transaction conflicts, or its handlers take longer than it may be old")]
    GivenUp,
    /// Code of the user's panicked outside of a handler: clone, serialize, deserialize.
    #[error("{0}")]
    Panicked(Failure),
}

/// What may help against an [`AttemptError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The attempt may have been committed: nothing of it may be done again.
    Unknown,
    /// Others were faster: the same again.
    Again,
    /// It was too much for one transaction.
    Fewer,
    /// One of its messages is to blame: each alone.
    Single,
    /// Nothing.
    None,
}

impl AttemptError {
    pub(crate) fn remedy(&self) -> Remedy {
        use dgen_backend::Error;
        let cause = match Error::find(self) {
            Some(error) if error.maybe_executed() => return Remedy::Unknown,
            Some(Error::DeadlineExceeded { last, .. }) => last.as_deref(),
            cause => cause,
        };
        match (cause, self) {
            (Some(Error::Conflict), _) | (None, Self::GivenUp) => Remedy::Again,
            (Some(Error::TransactionTooOld | Error::TransactionTooLarge { .. }), _) => {
                Remedy::Fewer
            }
            (None, Self::Store(_) | Self::Panicked(_)) => Remedy::Single,
            _ => Remedy::None,
        }
    }

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
            Self::GivenUp => Failure::Transaction(dgen_backend::Error::TransactionTooOld),
            Self::Panicked(failure) => failure,
        }
    }
}

impl<S: Server> Attempt<'_, S> {
    pub(crate) async fn run(self, tx: &Transaction) -> Result<Attempted<S>, AttemptError> {
        let Address {
            keys,
            tenant,
            registry,
            id,
            ..
        } = self.address;
        let attempt = tx.attempt();
        let is_hopeless = attempt.number > ATTEMPTS_MAX || self.progress.is_too_slow();
        // While an earlier one may have happened, only going on finds out.
        if is_hopeless && !attempt.maybe_executed {
            return Err(AttemptError::GivenUp);
        }
        self.progress.begin(attempt.maybe_executed);
        let read_version = tx.read_version();
        let version = dgen_codec::version(tx, keys.state());
        let head = keys.queue().head(tx, Limits::items(self.batch_max));
        let (read_version, version) = (read_version.await?, version.await?);
        let mut head = head.await?;
        let first = head.items().first();
        self.progress
            .set_head(first.map(|item| item.key().escape_ascii().to_string()));
        let cached = self.current(tx, version).await?;

        let mut trial = Trial {
            state: cached
                .as_ref()
                .map_or(self.initial, |cached| &cached.state)
                .clone(),
            cx: Context::new(id.clone(), tenant.env().clone()),
            stop: None,
        };
        let work = Work {
            items: head.items(),
            may_have_more: head.may_have_more(),
            units: self.units,
            batch_max: self.batch_max,
            answer_size_max_bytes: self.answer_size_max_bytes,
            env: tenant.env(),
            registry,
        };
        let begun = tenant.env().now();
        let decision = work.decide(&mut trial);
        self.progress.decided(&decision, tenant.env().now() - begun);
        let has_more = head.may_have_more() || decision.taken < head.items().len();
        let is_idle = decision.taken == 0 && decision.handled_units == 0;
        let local_answers = self.write_queue(tx, &mut head, &decision).await?;
        let state = if is_idle {
            NewState::Unchanged(cached)
        } else {
            write_state(tx, self.address, cached, trial.state)?
        };
        Ok(Attempted {
            state,
            units: decision.units,
            local_answers,
            has_more,
            version: read_version,
            stuck: decision.stuck,
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
            // No state, or one that lost its version: that is found, and not overwritten.
            return load(tx, self.address).await;
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
        decision: &Decision,
    ) -> Result<Vec<(From, Answer)>, AttemptError> {
        head.pop(decision.taken)?;
        let waiting_keys: Vec<_> = decision
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
            decision.answers.iter().zip(&waiting_keys).zip(waiting)
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

#[cfg(test)]
mod tests {
    use dgen_backend::Error;

    use super::*;

    /// SPEC S2: an attempt that may have been committed is never run again, whatever else is said
    /// of it: its messages would take effect twice.
    #[test]
    fn an_attempt_that_may_have_happened_is_not_repeated() {
        let last = || Box::new(Error::Conflict);
        let given_up = |maybe_executed| Error::DeadlineExceeded {
            after: std::time::Duration::from_secs(30),
            attempts: 2,
            last: Some(last()),
            maybe_executed,
        };
        let remedy = |error| AttemptError::Transaction(error).remedy();
        assert_eq!(remedy(given_up(true)), Remedy::Unknown);
        assert_eq!(
            remedy(Error::OutcomeUnknown { last: last() }),
            Remedy::Unknown
        );
        assert_eq!(remedy(given_up(false)), Remedy::Again);
        assert_eq!(remedy(Error::TransactionTooOld), Remedy::Fewer);
        assert_eq!(remedy(Error::NotCommitted), Remedy::None);
    }
}
