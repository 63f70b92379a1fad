//! What locked work may use.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use crate::{Context, Server, address::Address, context::MessageContext};

/// The world as [locked work](Server::handle_locked) sees it: a [`Context`] for work that takes as
/// long as it likes.
///
/// What it is told to do happens with the commit of the work's result, or not at all.
///
/// Clients of other services are not part of a state. Keep them where the whole OS process finds them:
/// in a `static`, or in `cx.tenant().database().extension::<Clients>()`, which is one `Clients` for each
/// opened database. Code that blocks its thread belongs into `tokio::task::spawn_blocking`. A call to
/// this very server waits until the lock is gone, unless it has
/// [priority](crate::Call::priority): so await none here.
pub struct Locked<S: Server> {
    cx: Context<S>,
    fence: u64,
}

/// A message whose handler called [`Context::lock`].
pub enum LockedWork<S: Server> {
    /// A call: the work's reply is its answer.
    Call(S::Call),
    /// A cast.
    Cast(S::Cast),
}

impl<S: Server> Locked<S> {
    pub(crate) fn new(address: &Arc<Address>, fence: u64, message: MessageContext) -> Self {
        Self {
            cx: Context::outside(Arc::clone(address), message),
            fence,
        }
    }

    /// A number that is greater each time this server is locked, or its lock is taken over. Give it
    /// to services that refuse what comes with a smaller one: then a process that lost its lock
    /// without noticing can do no harm there either.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence
    }
}

impl<S: Server> Deref for Locked<S> {
    type Target = Context<S>;

    fn deref(&self) -> &Context<S> {
        &self.cx
    }
}

impl<S: Server> DerefMut for Locked<S> {
    fn deref_mut(&mut self) -> &mut Context<S> {
        &mut self.cx
    }
}

impl<S: Server> Clone for LockedWork<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Call(call) => Self::Call(call.clone()),
            Self::Cast(cast) => Self::Cast(cast.clone()),
        }
    }
}

impl<S: Server> fmt::Debug for Locked<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked")
            .field("server", &S::NAME)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}

impl<S: Server> fmt::Debug for LockedWork<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Call",
            Self::Cast(_) => "Cast",
        })
    }
}
