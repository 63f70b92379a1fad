//! What a call is answered with.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::CallError;

/// A handler's answer, encoded.
#[derive(Debug, Clone)]
#[must_use = "the caller waits for it"]
pub struct Reply(Result<Answer, String>);

/// An answer as it is stored and sent: one byte that says which, then the MessagePack of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What the handler returned.
    Ok(Bytes),
    /// The handler's error. The state stayed as it was.
    Err(Bytes),
}

const TAG_OK: u8 = 0;
const TAG_ERR: u8 = 1;

impl Reply {
    /// The call succeeded with `value`.
    pub fn ok<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(encode(value).map(Answer::Ok))
    }

    /// The call failed with `error`. The state stays as it was before the handler.
    pub fn err<E: Serialize + ?Sized>(error: &E) -> Self {
        Self(encode(error).map(Answer::Err))
    }

    /// The answer, or why it could not be encoded.
    pub(crate) fn into_answer(self) -> Result<Answer, String> {
        self.0
    }
}

impl Answer {
    /// The answer as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (tag, body) = match self {
            Self::Ok(body) => (TAG_OK, body),
            Self::Err(body) => (TAG_ERR, body),
        };
        let mut bytes = Vec::with_capacity(body.len() + 1);
        bytes.push(tag);
        bytes.extend_from_slice(body);
        bytes
    }

    /// The answer of `bytes`, if that is what they are.
    pub(crate) fn from_bytes(bytes: &Bytes) -> Option<Self> {
        let body = bytes.get(1..).map(|_| bytes.slice(1..))?;
        match bytes[0] {
            TAG_OK => Some(Self::Ok(body)),
            TAG_ERR => Some(Self::Err(body)),
            _ => None,
        }
    }

    /// What the caller gets.
    pub(crate) fn decode<T, E>(&self) -> Result<T, CallError<E>>
    where
        T: DeserializeOwned,
        E: DeserializeOwned,
    {
        let decoded = match self {
            Self::Ok(body) => rmp_serde::from_slice(body).map(Ok),
            Self::Err(body) => rmp_serde::from_slice(body).map(Err),
        };
        match decoded {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(CallError::Handler(error)),
            Err(error) => Err(CallError::Decode {
                what: error.to_string(),
            }),
        }
    }
}

fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, String> {
    rmp_serde::to_vec_named(value)
        .map(Bytes::from)
        .map_err(|error| error.to_string())
}
