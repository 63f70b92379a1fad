//! Messages, as handlers get them and as the queue holds them.

use std::time::SystemTime;

use bytes::Bytes;
use dgen_codec::{PlainError, from_plain, to_plain};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{Failure, Server, clock};

/// No message in a queue is longer: what leaves a transaction room for all that goes with it.
const MESSAGE_SIZE_MAX_BYTES: usize = 9_000_000;

/// A message to a server of type `S`. Takes effect as a whole, or not at all.
#[derive(Clone)]
pub(crate) enum Message<S: Server> {
    Call(S::Call),
    /// One, or those of a batch.
    Casts(Vec<S::Cast>),
    /// Local, and never stored.
    Info(S::Info),
}

/// Whose call it is: where the reply goes, below the keys of the server that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct From {
    /// The caller's OS process.
    #[serde(with = "serde_bytes")]
    pub(crate) process: [u8; 16],
    /// Which of its calls.
    pub(crate) call: u64,
}

/// The caller's own name for a message: it takes effect once (SPEC T3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct MessageId {
    pub(crate) id: String,
    /// Which message of its batch.
    #[serde(default)]
    pub(crate) index: u32,
}

/// A message in the queue. docs/wire-format.md describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub(crate) kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<From>,
    /// Until when its caller waits, in milliseconds since 1970. A caller who gives up takes it out of
    /// the message, as long as that is in the queue: so whoever finds it there need not look whether
    /// somebody waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<MessageId>,
    /// When the timer that sent it was due, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<u64>,
    pub(crate) body: ByteBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Call,
    Cast,
}

impl Envelope {
    pub(crate) fn call<S: Server>(
        call: &S::Call,
        from: Option<From>,
        id: Option<MessageId>,
    ) -> Result<Self, Failure> {
        let body = to_plain(call).map_err(|error| failure("the call", &error))?;
        let envelope = Self::new(Kind::Call, body);
        Self {
            from,
            id,
            ..envelope
        }
        .check_size()
    }

    pub(crate) fn cast<S: Server>(cast: &S::Cast, id: Option<MessageId>) -> Result<Self, Failure> {
        let body = to_plain(cast).map_err(|error| failure("the cast", &error))?;
        let envelope = Self::new(Kind::Cast, body);
        Self { id, ..envelope }.check_size()
    }

    /// Those of a batch: each with the batch's id, and its place in it.
    pub(crate) fn casts<S: Server>(
        casts: &[S::Cast],
        id: Option<&str>,
    ) -> Result<Vec<Self>, Failure> {
        casts
            .iter()
            .zip(0..)
            .map(|(cast, index)| {
                let id = id.map(str::to_owned);
                Self::cast::<S>(cast, id.map(|id| MessageId { id, index }))
            })
            .collect()
    }

    pub(crate) fn new(kind: Kind, body: Vec<u8>) -> Self {
        Self {
            kind,
            from: None,
            until: None,
            id: None,
            due: None,
            body: ByteBuf::from(body),
        }
    }

    /// The queue's bytes.
    pub(crate) fn to_bytes(&self) -> Result<Bytes, PlainError> {
        Ok(to_plain(self)?.into())
    }

    /// The envelope of the queue's bytes, whatever its body.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, PlainError> {
        from_plain(bytes)
    }

    /// The message in it.
    pub(crate) fn message<S: Server>(&self) -> Result<Message<S>, PlainError> {
        match self.kind {
            Kind::Call => from_plain(&self.body).map(Message::Call),
            Kind::Cast => from_plain(&self.body).map(|cast| Message::Casts(vec![cast])),
        }
    }

    /// Whether the message comes back from its bytes: one that is kept must.
    pub(crate) fn check_decodes<S: Server>(self) -> Result<Self, Failure> {
        match self.message::<S>() {
            Ok(_) => Ok(self),
            Err(error) => Err(Failure::UnknownMessage {
                reason: error.to_string(),
            }),
        }
    }

    /// Whether it is small enough to be stored: in the queue, and as a dead letter with its error.
    fn check_size(self) -> Result<Self, Failure> {
        let size_bytes = self.body.len();
        if size_bytes > MESSAGE_SIZE_MAX_BYTES {
            return Err(Failure::TooLarge {
                size_bytes,
                max_bytes: MESSAGE_SIZE_MAX_BYTES,
            });
        }
        Ok(self)
    }

    pub(crate) fn due_at(&self) -> Option<SystemTime> {
        self.due.map(clock::from_millis)
    }
}

fn failure(what: &'static str, error: &PlainError) -> Failure {
    Failure::Encode {
        what,
        reason: error.to_string(),
    }
}
