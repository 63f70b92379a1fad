//! What messages with an id did: so that the same id takes effect once (SPEC T3).

use std::collections::HashMap;

use bytes::Bytes;
use dgen_backend::{Error, Read, Transaction, tuple::Subspace};
use dgen_codec::{LoadError, from_plain, read_chunks, to_plain, write_chunks};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    agenda,
    keys::Keys,
    message::{From, MessageId},
    reply::Answer,
};

/// What is known of a message that took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    /// Until when it is remembered, in milliseconds since 1970.
    pub(crate) until_millis: u64,
    pub(crate) answer: FirstAnswer,
}

/// What the first message of an id was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FirstAnswer {
    /// It was a cast.
    None,
    Given(Answer),
    /// It is to come: these wait for it.
    Deferred(Vec<From>),
}

/// What is known of the ids that a transaction meets.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    known: HashMap<MessageId, Remembered>,
    /// Until when an id was remembered that is not any more, and not swept yet.
    expired: HashMap<MessageId, u64>,
}

/// What is stored. docs/wire-format.md describes it.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    until: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<ByteBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting: Option<Vec<From>>,
}

/// Ids, and the first chunk of what is known of each: asked for.
pub(crate) struct Asked(Vec<(MessageId, Subspace, Read<Option<Bytes>>)>);

impl Asked {
    /// Asks for all of them together; no ids cost nothing.
    pub(crate) fn new(tx: &Transaction, keys: &Keys, ids: impl Iterator<Item = MessageId>) -> Self {
        let ask = |id: MessageId| {
            let record = keys.remembered(&id);
            let first = tx.get(&dgen_codec::first_chunk_key(&record));
            (id, record, first)
        };
        Self(ids.map(ask).collect())
    }

    /// All of both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Memory {
    /// What is known of `ids` at `now`.
    pub(crate) async fn read(
        tx: &Transaction,
        keys: &Keys,
        ids: impl Iterator<Item = MessageId>,
        now_millis: u64,
    ) -> Result<Self, LoadError> {
        Self::of(tx, Asked::new(tx, keys, ids), now_millis).await
    }

    /// What is known of the ids that were asked for, at `now`.
    pub(crate) async fn of(
        tx: &Transaction,
        asked: Asked,
        now_millis: u64,
    ) -> Result<Self, LoadError> {
        let mut memory = Self::default();
        for (id, record, first) in asked.0 {
            // Most are not there. One that is may have more chunks.
            if first.await?.is_none() {
                continue;
            }
            if let Some(bytes) = read_chunks(tx, &record).await? {
                let remembered = Remembered::from_bytes(&bytes);
                if remembered.until_millis > now_millis {
                    memory.known.insert(id, remembered);
                } else {
                    memory.expired.insert(id, remembered.until_millis);
                }
            }
        }
        Ok(memory)
    }

    pub(crate) fn get(&self, id: &MessageId) -> Option<&Remembered> {
        self.known.get(id)
    }

    pub(crate) fn insert(&mut self, id: MessageId, remembered: Remembered) {
        self.known.insert(id, remembered);
    }

    /// Stores what is now known of `id`.
    pub(crate) fn write(&self, tx: &Transaction, keys: &Keys, id: &MessageId) -> Result<(), Error> {
        if let Some(until_millis) = self.expired.get(id) {
            // Else what is stored now would be swept with it.
            agenda::forget_sweep_of_id(tx, keys, id, *until_millis)?;
        }
        match self.known.get(id) {
            Some(remembered) => remembered.write(tx, keys, id),
            None => Ok(()),
        }
    }
}

/// The deferred reply to a call of this id is given: remembers it, and returns who else waits for it.
pub(crate) async fn settle(
    tx: &Transaction,
    keys: &Keys,
    id: MessageId,
    answer: &Answer,
) -> Result<Vec<From>, LoadError> {
    let mut memory = Memory::read(tx, keys, [id.clone()].into_iter(), 0).await?;
    let Some(known) = memory.known.get_mut(&id) else {
        return Ok(Vec::new());
    };
    let given = FirstAnswer::Given(answer.clone());
    match std::mem::replace(&mut known.answer, given) {
        FirstAnswer::Deferred(waiting) => {
            memory.write(tx, keys, &id)?;
            Ok(waiting)
        }
        // The first answer counts.
        FirstAnswer::None | FirstAnswer::Given(_) => Ok(Vec::new()),
    }
}

impl Remembered {
    fn write(&self, tx: &Transaction, keys: &Keys, id: &MessageId) -> Result<(), Error> {
        write_chunks(tx, &keys.remembered(id), &self.to_bytes())?;
        agenda::sweep_id(tx, keys, id, self.until_millis)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let (answer, waiting) = match &self.answer {
            FirstAnswer::None => (None, None),
            FirstAnswer::Given(answer) => (Some(ByteBuf::from(answer.to_bytes())), None),
            FirstAnswer::Deferred(waiting) => (None, Some(waiting.clone())),
        };
        let record = Record {
            until: self.until_millis,
            answer,
            waiting,
        };
        to_plain(&record).expect("a record is numbers and bytes")
    }

    /// A record that says nothing to this version still says that the message took effect.
    fn from_bytes(bytes: &Bytes) -> Self {
        let record = from_plain::<Record>(bytes);
        record
            .map_err(|error| error.to_string())
            .and_then(Self::of)
            .unwrap_or_else(|error| Self {
                until_millis: u64::MAX,
                answer: FirstAnswer::Given(Answer::Failed(format!(
                    "the message was handled, but what it was answered can't be read: {error}"
                ))),
            })
    }

    fn of(record: Record) -> Result<Self, String> {
        let answer = match (record.answer, record.waiting) {
            (Some(answer), _) => {
                FirstAnswer::Given(Answer::from_bytes(&Bytes::from(answer.into_vec()))?)
            }
            (None, Some(waiting)) => FirstAnswer::Deferred(waiting),
            (None, None) => FirstAnswer::None,
        };
        Ok(Self {
            until_millis: record.until,
            answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC T3: what is remembered comes back as it was stored.
    #[test]
    fn a_record_comes_back() {
        let from = From {
            process: [3; 16],
            call: 9,
        };
        for answer in [
            FirstAnswer::None,
            FirstAnswer::Given(Answer::Ok(Bytes::from_static(&[7]))),
            FirstAnswer::Given(Answer::Failed("too long".to_owned())),
            FirstAnswer::Deferred(vec![from]),
        ] {
            let remembered = Remembered {
                until_millis: 12,
                answer,
            };
            let bytes = Bytes::from(remembered.to_bytes());
            assert_eq!(Remembered::from_bytes(&bytes), remembered);
        }
        let damaged = Remembered::from_bytes(&Bytes::from_static(b"\xc1"));
        assert!(
            matches!(damaged.answer, FirstAnswer::Given(Answer::Failed(_))),
            "it is not handled again: {damaged:?}"
        );
    }
}
