//! What a call is answered with.

use std::time::SystemTime;

use bytes::Bytes;
use dgen_codec::{from_plain, to_plain};
use serde::{Serialize, de::DeserializeOwned};

use crate::{CallError, Failure};

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
    /// There is no answer that could be stored, and why. The state stayed as it was.
    Failed(String),
}

const TAG_OK: u8 = 0;
const TAG_ERR: u8 = 1;
const TAG_FAILED: u8 = 2;
const TAG_WAITING: u8 = 3;

/// What is stored while a caller waits: until when, in milliseconds since 1970 by the caller's
/// clock, so that what a dead caller leaves has an age. Without `until` it waits for ever.
pub(crate) fn waiting(until: Option<SystemTime>) -> [u8; 9] {
    let since = until.and_then(|until| until.duration_since(SystemTime::UNIX_EPOCH).ok());
    let millis = since.and_then(|since| u64::try_from(since.as_millis()).ok());
    let mut bytes = [TAG_WAITING; 9];
    bytes[1..].copy_from_slice(&millis.unwrap_or(u64::MAX).to_le_bytes());
    bytes
}

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
    pub(crate) fn size_bytes(&self) -> usize {
        self.parts().1.len() + 1
    }

    /// The answer as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (tag, body) = self.parts();
        let mut bytes = Vec::with_capacity(body.len() + 1);
        bytes.push(tag);
        bytes.extend_from_slice(body);
        bytes
    }

    fn parts(&self) -> (u8, &[u8]) {
        match self {
            Self::Ok(body) => (TAG_OK, body),
            Self::Err(body) => (TAG_ERR, body),
            Self::Failed(reason) => (TAG_FAILED, reason.as_bytes()),
        }
    }

    /// The answer of `bytes`, or what is wrong with them; none if somebody still waits for it.
    pub(crate) fn from_bytes(bytes: &Bytes) -> Option<Result<Self, String>> {
        let body = || bytes.slice(1..);
        Some(match bytes.first()? {
            &TAG_OK => Ok(Self::Ok(body())),
            &TAG_ERR => Ok(Self::Err(body())),
            &TAG_FAILED => Ok(Self::Failed(String::from_utf8_lossy(&body()).into_owned())),
            &TAG_WAITING => return None,
            tag => Err(format!("this version knows no answer of kind {tag}")),
        })
    }

    /// What the caller gets.
    pub(crate) fn decode<T, E>(&self) -> Result<T, CallError<E>>
    where
        T: DeserializeOwned,
        E: DeserializeOwned,
    {
        let decoded = match self {
            Self::Ok(body) => from_plain(body).map(Ok),
            Self::Err(body) => from_plain(body).map(Err),
            Self::Failed(reason) => {
                return Err(CallError::Failed(Failure::Encode {
                    what: "the reply",
                    reason: reason.clone(),
                }));
            }
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
    to_plain(value)
        .map(Bytes::from)
        .map_err(|error| error.to_string())
}
