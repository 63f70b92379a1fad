//! What a transaction sends: answers, casts to other servers, timers.

use std::collections::HashSet;

use bytes::Bytes;
use dgen_backend::{
    Error, Read, Transaction,
    planted::{self, Bug},
    tuple::Versionstamp,
};
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
    pub(crate) answers: Vec<ToCaller>,
    /// What its handlers want done, in their order.
    pub(crate) effects: Vec<Effect>,
}

/// An answer to a caller of the server itself.
pub(crate) struct ToCaller {
    pub(crate) from: From,
    /// Until when it waits, if that is known without a look: this transaction pops its message, and
    /// that says so. A caller who gives up meanwhile changes the message, and makes this conflict.
    pub(crate) until_millis: Option<u64>,
    pub(crate) answer: Answer,
}

/// An answer, and whether somebody waits for it: asked for.
struct Asked {
    keys: Keys,
    from: From,
    answer: Answer,
    waiting: Read<Option<Bytes>>,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.answers.is_empty() && self.effects.is_empty()
    }

    /// Writes all of it, in order. Answers to callers in this OS process are returned instead.
    pub(crate) async fn write(
        self,
        tx: &Transaction,
        address: &Address,
    ) -> Result<LocalAnswers, AttemptError> {
        let Self { answers, effects } = self;
        let (keys, calls) = (&address.keys, &*address.calls);
        let mut local = Vec::new();
        let mut asked = Vec::new();
        let mut answered = HashSet::new();
        // All are asked for together.
        for ToCaller {
            from,
            until_millis,
            answer,
        } in answers
        {
            if !answered.insert(from) {
                continue;
            }
            match until_millis {
                Some(until_millis) => {
                    local.extend(answer_caller(tx, keys, calls, from, until_millis, answer)?);
                }
                None => asked.push(Asked::new(tx, keys.clone(), from, answer)),
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
        for asked in asked {
            local.extend(asked.write(tx, calls).await?);
        }
        Ok(local)
    }
}

impl Asked {
    fn new(tx: &Transaction, keys: Keys, from: From, answer: Answer) -> Self {
        Self {
            waiting: tx.get(&first_chunk_key(&keys.reply(&from))),
            keys,
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
        answer_caller(tx, &self.keys, calls, self.from, until_millis, self.answer)
    }
}

/// Stores the answer to a caller who waits elsewhere; returns it if the caller waits here.
fn answer_caller(
    tx: &Transaction,
    keys: &Keys,
    calls: &Calls,
    from: From,
    until_millis: u64,
    answer: Answer,
) -> Result<Option<(From, Answer)>, Error> {
    let key = keys.reply(&from);
    if calls.is_waiting_here(&from) {
        clear_chunks(tx, &key)?;
        agenda::forget_sweep_of_reply(tx, keys, &from, until_millis)?;
        return Ok(Some((from, answer)));
    }
    if !planted::is(Bug::LostReply) {
        write_chunks(tx, &key, &answer.to_bytes())?;
    }
    Ok(None)
}

/// Has callers in this OS process wait at reply keys, each until a time.
pub(crate) fn write_waiting(
    tx: &Transaction,
    keys: &Keys,
    waiting: &[(From, u64)],
) -> Result<(), Error> {
    for (from, until_millis) in waiting {
        write_chunks(tx, &keys.reply(from), &reply::waiting(*until_millis))?;
        agenda::sweep_reply(tx, keys, from, *until_millis, None)?;
    }
    Ok(())
}

/// Has the caller of the message in `place`, which this transaction pushes, wait at a reply key.
pub(crate) fn write_waiting_for(
    tx: &Transaction,
    keys: &Keys,
    (from, until_millis): (&From, u64),
    place: &Versionstamp,
) -> Result<(), Error> {
    write_chunks(tx, &keys.reply(from), &reply::waiting(until_millis))?;
    agenda::sweep_reply(tx, keys, from, until_millis, Some(place))
}

/// The queue's bytes of an envelope whose body was encoded before.
pub(crate) fn bytes_of(envelope: &Envelope) -> Bytes {
    let bytes = envelope.to_bytes();
    bytes.expect("an envelope is short texts, numbers and bytes")
}
