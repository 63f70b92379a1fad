//! Messages, as handlers get them and as the queue holds them.

use bytes::Bytes;
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
    pub(crate) fn call<S: Server>(call: &S::Call, from: From) -> Result<Bytes, EncodeError> {
        encode(Kind::Call, Some(from), call)
    }

    /// The queue's bytes for a cast.
    pub(crate) fn cast<S: Server>(cast: &S::Cast) -> Result<Bytes, EncodeError> {
        encode(Kind::Cast, None, cast)
    }

    /// The message of the queue's bytes.
    pub(crate) fn decode<S: Server>(bytes: &[u8]) -> Result<(Message<S>, Option<From>), String> {
        let envelope: Self = rmp_serde::from_slice(bytes).map_err(|error| error.to_string())?;
        let message = match envelope.kind {
            Kind::Call => rmp_serde::from_slice(&envelope.body).map(Message::Call),
            Kind::Cast => {
                rmp_serde::from_slice(&envelope.body).map(|cast| Message::Casts(vec![cast]))
            }
        };
        message
            .map(|message| (message, envelope.from))
            .map_err(|error| error.to_string())
    }
}

/// A message that serde could not encode.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct EncodeError(#[from] rmp_serde::encode::Error);

fn encode(kind: Kind, from: Option<From>, message: &impl Serialize) -> Result<Bytes, EncodeError> {
    let body = ByteBuf::from(rmp_serde::to_vec_named(message)?);
    Ok(rmp_serde::to_vec_named(&Envelope { kind, from, body })?.into())
}
