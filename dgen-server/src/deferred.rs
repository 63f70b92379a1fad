//! Replies that are given later than the handler returns.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{
    Never,
    message::{From, MessageId},
};

/// Whom to reply to, later: with a value `T`, or with the handler's error `E`.
///
/// It is kept in the state, or sent to another server of the same database, and used up by
/// [`Context::reply`](crate::Context::reply). Erlang calls it `From`; in Rust that is a trait.
///
/// # Examples
/// ```
/// use dgen_macros::dgen_server;
/// use dgen_server::{Context, Deferred, ReplyTo};
/// use serde::{Deserialize, Serialize};
///
/// /// Holds its callers back until it is opened.
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Gate { waiting: Vec<ReplyTo<u32>> }
///
/// #[dgen_server]
/// impl Gate {
///     #[call]
///     fn enter(&mut self, cx: &mut Context<Self>) -> Deferred<u32> {
///         let (to, deferred) = cx.defer();
///         self.waiting.push(to);
///         deferred
///     }
///
///     #[cast]
///     fn open(&mut self, cx: &mut Context<Self>) {
///         for (place, to) in (1..).zip(self.waiting.drain(..)) {
///             cx.reply(to, &place);
///         }
///     }
/// }
/// # fn main() {}
/// ```
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ReplyTo<T, E = Never> {
    /// The beginning of the called server's keys.
    server: ByteBuf,
    from: From,
    /// The caller's name for the call: those who repeat it get the same reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<MessageId>,
    #[serde(skip)]
    answer: PhantomData<fn(T, E)>,
}

/// What a handler returns whose reply is given later; [`Context::defer`](crate::Context::defer)
/// alone makes one.
#[must_use = "return it: it says that somebody replies later"]
pub struct Deferred<T, E = Never> {
    answer: PhantomData<fn(T, E)>,
}

impl<T, E> ReplyTo<T, E> {
    pub(crate) fn new(server: &[u8], from: From, id: Option<MessageId>) -> Self {
        Self {
            server: ByteBuf::from(server),
            from,
            id,
            answer: PhantomData,
        }
    }

    pub(crate) fn server(&self) -> &[u8] {
        &self.server
    }

    pub(crate) fn from(&self) -> From {
        self.from
    }

    pub(crate) fn id(&self) -> Option<&MessageId> {
        self.id.as_ref()
    }
}

impl<T, E> Deferred<T, E> {
    pub(crate) fn new() -> Self {
        Self {
            answer: PhantomData,
        }
    }
}

impl<T, E> Clone for ReplyTo<T, E> {
    fn clone(&self) -> Self {
        Self {
            server: self.server.clone(),
            from: self.from,
            id: self.id.clone(),
            answer: PhantomData,
        }
    }
}

impl<T, E> PartialEq for ReplyTo<T, E> {
    fn eq(&self, other: &Self) -> bool {
        self.server == other.server && self.from == other.from
    }
}

impl<T, E> Eq for ReplyTo<T, E> {}

impl<T, E> fmt::Debug for ReplyTo<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let process = u128::from_be_bytes(self.from.process);
        write!(f, "ReplyTo({process:032x}, {})", self.from.call)
    }
}

impl<T, E> fmt::Debug for Deferred<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deferred")
    }
}
