//! What locked work may use.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::SystemTime,
};

use crate::{Context, Server, address::Address, context::MessageContext};

/// The world as [locked work](Server::handle_locked) sees it: a [`Context`] for work that takes as
/// long as it likes.
///
/// What it is told to do happens with the commit of the work's result, or not at all.
pub struct Locked<S: Server> {
    cx: Context<S>,
    address: Arc<Address>,
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
        let mut cx = Context::new(Arc::clone(address));
        cx.begin(message);
        Self {
            cx,
            address: Arc::clone(address),
            fence,
        }
    }

    /// The calendar's time, now.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.address.tenant.env().wall_clock()
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
    /// Its time is that of this: a delay begins when it is asked for.
    fn deref_mut(&mut self) -> &mut Context<S> {
        self.cx.renew_now();
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
