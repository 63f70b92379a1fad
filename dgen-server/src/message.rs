//! Messages, as handlers get them and as the queue holds them.

use bytes::Bytes;
use dgen_codec::{PlainError, from_plain, to_plain};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::Server;

/// A message to a server of type `S`. Takes effect as a whole, or not at all.
#[derive(Clone)]
pub(crate) enum Message<S: Server> {
    Call(S::Call),
    /// One, or those of a batch.
    Casts(Vec<S::Cast>),
}

/// Whose call it is: where the reply goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct From {
    /// The caller's OS process.
    #[serde(with = "serde_bytes")]
    pub(crate) process: [u8; 16],
    /// Which of its calls.
    pub(crate) call: u64,
}

/// A message in the queue. docs/wire-format.md describes it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope {
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<From>,
    body: ByteBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Call,
    Cast,
}

impl Envelope {
    /// The queue's bytes for a call.
    pub(crate) fn call<S: Server>(call: &S::Call, from: From) -> Result<Bytes, PlainError> {
        encode(Kind::Call, Some(from), call)
    }

    /// The queue's bytes for a cast.
    pub(crate) fn cast<S: Server>(cast: &S::Cast) -> Result<Bytes, PlainError> {
        encode(Kind::Cast, None, cast)
    }

    /// The message of the queue's bytes.
    pub(crate) fn decode<S: Server>(bytes: &[u8]) -> Result<(Message<S>, Option<From>), String> {
        let envelope: Self = from_plain(bytes).map_err(|error| error.to_string())?;
        let message = match envelope.kind {
            Kind::Call => from_plain(&envelope.body).map(Message::Call),
            Kind::Cast => from_plain(&envelope.body).map(|cast| Message::Casts(vec![cast])),
        };
        message
            .map(|message| (message, envelope.from))
            .map_err(|error| error.to_string())
    }
}

fn encode(kind: Kind, from: Option<From>, message: &impl Serialize) -> Result<Bytes, PlainError> {
    let body = ByteBuf::from(to_plain(message)?);
    Ok(to_plain(&Envelope { kind, from, body })?.into())
}
