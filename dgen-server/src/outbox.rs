//! What a transaction sends: answers, casts to other servers, timers.

use std::collections::HashSet;

use bytes::Bytes;
use dgen_backend::{Error, Read, Transaction, tuple::Subspace};
use dgen_codec::{clear_chunks, first_chunk_key, write_chunks};

use crate::{
    address::Address,
    agenda,
    calls::Calls,
    effects::Effect,
    keys::Keys,
    memory,
    message::{Envelope, From},
    remedy::AttemptError,
    reply::{self, Answer, AtReplyKey},
};

/// Answers to callers in this OS process: to be handed over once the transaction is committed.
pub(crate) type LocalAnswers = Vec<(From, Answer)>;

/// What is to be written.
#[derive(Default)]
pub(crate) struct Outbox {
    /// To callers of the server itself.
    pub(crate) answers: Vec<(From, Answer)>,
    /// What its handlers want done, in their order.
    pub(crate) effects: Vec<Effect>,
}

/// An answer, and whether somebody waits for it: asked for.
struct Asked {
    keys: Keys,
    key: Subspace,
    from: From,
    answer: Answer,
    waiting: Read<Option<Bytes>>,
}

impl Outbox {
    /// Writes all of it, in order. Answers to callers in this OS process are returned instead.
    pub(crate) async fn write(
        self,
        tx: &Transaction,
        address: &Address,
    ) -> Result<LocalAnswers, AttemptError> {
        let Self { answers, effects } = self;
        let mut asked = Vec::new();
        let mut answered = HashSet::new();
        // All are asked for together.
        for (from, answer) in answers {
            if answered.insert(from) {
                asked.push(Asked::new(tx, address.keys.clone(), from, answer));
            }
        }
        for effect in effects {
            match effect {
                Effect::Send { to, envelopes } => {
                    let items = envelopes.iter().map(bytes_of);
                    to.keys.queue().push_k(tx, items.collect::<Vec<_>>())?;
                }
                Effect::SetTimer {
                    to,
                    due_millis,
                    key,
                    timed,
                } => {
                    agenda::set_timer(tx, &to.keys, due_millis, key.as_deref(), &timed).await?;
                }
                Effect::CancelTimer { to, key } => {
                    agenda::cancel_timer(tx, &to.keys, &key).await?;
                }
                Effect::Reply {
                    server,
                    from,
                    id,
                    answer,
                } => {
                    let keys = Keys::below(&server);
                    let mut callers = vec![from];
                    if let Some(id) = id {
                        callers.extend(memory::settle(tx, &keys, id, &answer).await?);
                    }
                    for from in callers {
                        if answered.insert(from) {
                            asked.push(Asked::new(tx, keys.clone(), from, answer.clone()));
                        }
                    }
                }
            }
        }
        let mut local = Vec::new();
        for asked in asked {
            local.extend(asked.write(tx, &address.calls).await?);
        }
        Ok(local)
    }
}

impl Asked {
    fn new(tx: &Transaction, keys: Keys, from: From, answer: Answer) -> Self {
        let key = keys.reply(&from);
        Self {
            waiting: tx.get(&first_chunk_key(&key)),
            keys,
            key,
            from,
            answer,
        }
    }

    /// Stores the answer if somebody waits for it elsewhere; returns it if somebody does here.
    async fn write(self, tx: &Transaction, calls: &Calls) -> Result<Option<(From, Answer)>, Error> {
        let Some(bytes) = self.waiting.await? else {
            // The caller gave up, and left nothing behind.
            return Ok(None);
        };
        let AtReplyKey::Waiting(until_millis) = AtReplyKey::from_bytes(&bytes) else {
            // The first answer counts.
            return Ok(None);
        };
        if calls.is_waiting_here(&self.from) {
            clear_chunks(tx, &self.key)?;
            agenda::forget_sweep_of_reply(tx, &self.keys, &self.from, until_millis)?;
            return Ok(Some((self.from, self.answer)));
        }
        write_chunks(tx, &self.key, &self.answer.to_bytes())?;
        Ok(None)
    }
}

/// Has callers in this OS process wait at reply keys, each until a time.
pub(crate) fn write_waiting(
    tx: &Transaction,
    keys: &Keys,
    waiting: &[(From, u64)],
) -> Result<(), Error> {
    for (from, until_millis) in waiting {
        write_chunks(tx, &keys.reply(from), &reply::waiting(*until_millis))?;
        agenda::sweep_reply(tx, keys, from, *until_millis)?;
    }
    Ok(())
}

/// The queue's bytes of an envelope whose body was encoded before.
pub(crate) fn bytes_of(envelope: &Envelope) -> Bytes {
    let bytes = envelope.to_bytes();
    bytes.expect("an envelope is short texts, numbers and bytes")
}
