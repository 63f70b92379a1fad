//! What a call is answered with.

use bytes::Bytes;
use dgen_codec::{from_plain, to_plain};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{CallError, Deferred, Failure};

/// A handler's answer, encoded.
#[derive(Debug, Clone)]
#[must_use = "the caller waits for it"]
pub struct Reply(Given);

/// What a handler gave as its answer.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Answer(Answer),
    /// It could not be encoded, and why.
    Mistaken(String),
    /// Locked work, or whoever holds the [`ReplyTo`](crate::ReplyTo), answers.
    Later,
}

/// An answer as it is stored and sent: one byte that says which, then the MessagePack of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What the handler returned.
    Ok(Bytes),
    /// The handler's error. The state stayed as it was.
    Err(Bytes),
    /// There is no answer that could be stored, and why. The state stayed as it was.
    Failed(String),
    /// The message is a dead letter. The state stayed as it was.
    DeadLettered(Death),
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Death {
    pub(crate) error: String,
    pub(crate) attempts: u32,
}

const TAG_OK: u8 = 0;
const TAG_ERR: u8 = 1;
const TAG_FAILED: u8 = 2;
const TAG_WAITING: u8 = 3;
const TAG_DEAD: u8 = 4;

/// What is stored where an answer is waited for.
#[derive(Debug)]
pub(crate) enum AtReplyKey {
    /// Somebody waits, until then, in milliseconds since 1970.
    Waiting(u64),
    Answered(Result<Answer, String>),
}

/// What is stored while a caller waits: until when, in milliseconds since 1970 by the caller's
/// clock, so that what a dead caller leaves has an age.
pub(crate) fn waiting(until_millis: u64) -> [u8; 9] {
    let mut bytes = [TAG_WAITING; 9];
    bytes[1..].copy_from_slice(&until_millis.to_le_bytes());
    bytes
}

impl AtReplyKey {
    /// What `bytes` say.
    pub(crate) fn from_bytes(bytes: &Bytes) -> Self {
        match bytes.split_first() {
            Some((&TAG_WAITING, until)) => Self::Waiting(
                // An earlier version stored no time.
                until.try_into().map_or(u64::MAX, u64::from_le_bytes),
            ),
            _ => Self::Answered(Answer::from_bytes(bytes)),
        }
    }
}

impl Reply {
    /// The call succeeded with `value`.
    pub fn ok<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(Given::encoded(value, Answer::Ok))
    }

    /// The call failed with `error`. The state stays as it was before the handler.
    pub fn err<E: Serialize + ?Sized>(error: &E) -> Self {
        Self(Given::encoded(error, Answer::Err))
    }

    /// No answer now: the [locked work](crate::Server::handle_locked) of this message gives it. A
    /// handler that returns this must have called [`Context::lock`](crate::Context::lock), else its
    /// caller gets an error.
    pub fn later() -> Self {
        Self(Given::Later)
    }

    /// No answer now: whoever holds the [`ReplyTo`](crate::ReplyTo) that came with `deferred` gives
    /// it.
    pub fn deferred<T, E>(deferred: Deferred<T, E>) -> Self {
        let Deferred { .. } = deferred;
        Self(Given::Later)
    }

    pub(crate) fn into_given(self) -> Given {
        self.0
    }
}

impl Given {
    fn encoded<T: Serialize + ?Sized>(value: &T, answer: fn(Bytes) -> Answer) -> Self {
        match to_plain(value) {
            Ok(bytes) => Self::Answer(answer(bytes.into())),
            Err(error) => Self::Mistaken(error.to_string()),
        }
    }
}

impl Answer {
    /// The answer that is `value`.
    pub(crate) fn ok<T: Serialize + ?Sized>(value: &T) -> Result<Self, String> {
        match to_plain(value) {
            Ok(bytes) => Ok(Self::Ok(bytes.into())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The answer that is the handler's error.
    pub(crate) fn err<E: Serialize + ?Sized>(error: &E) -> Result<Self, String> {
        match to_plain(error) {
            Ok(bytes) => Ok(Self::Err(bytes.into())),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Ok(body) | Self::Err(body) => body.len() + 1,
            Self::Failed(reason) => reason.len() + 1,
            Self::DeadLettered(death) => death.error.len() + 32,
        }
    }

    /// The answer as bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let dead;
        let (tag, body) = match self {
            Self::Ok(body) => (TAG_OK, &body[..]),
            Self::Err(body) => (TAG_ERR, &body[..]),
            Self::Failed(reason) => (TAG_FAILED, reason.as_bytes()),
            Self::DeadLettered(death) => {
                dead = to_plain(death).expect("a text and a number can be encoded");
                (TAG_DEAD, &dead[..])
            }
        };
        let mut bytes = Vec::with_capacity(body.len() + 1);
        bytes.push(tag);
        bytes.extend_from_slice(body);
        bytes
    }

    /// The answer of `bytes`, or what is wrong with them.
    pub(crate) fn from_bytes(bytes: &Bytes) -> Result<Self, String> {
        let body = || bytes.slice(1..);
        match bytes.first() {
            Some(&TAG_OK) => Ok(Self::Ok(body())),
            Some(&TAG_ERR) => Ok(Self::Err(body())),
            Some(&TAG_FAILED) => Ok(Self::Failed(String::from_utf8_lossy(&body()).into_owned())),
            Some(&TAG_DEAD) => from_plain(&body())
                .map(Self::DeadLettered)
                .map_err(|error| error.to_string()),
            Some(tag) => Err(format!("this version knows no answer of kind {tag}")),
            None => Err("an answer of no bytes".to_owned()),
        }
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
            Self::DeadLettered(Death { error, attempts }) => {
                return Err(CallError::Failed(Failure::DeadLettered {
                    error: error.clone(),
                    attempts: *attempts,
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
