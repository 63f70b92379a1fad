//! What a handler wants done beside its change of the state.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    Failure,
    address::Address,
    message::{Envelope, From, MessageId},
    reply::Answer,
    timer::Timed,
};

/// What one handler wants done. Counts as a whole or, if the handler failed, not at all.
pub(crate) struct Effects<S> {
    /// What the transaction writes, in the handler's order.
    pub(crate) writes: Vec<Effect>,
    /// What is run after the commit: of each cast of a batch apart.
    pub(crate) actions: Vec<Vec<Action<S>>>,
    /// Why the process is to stop, if it is.
    pub(crate) stop: Option<String>,
    /// Whether the message goes on as locked work.
    pub(crate) is_locking: bool,
    /// Where the reply goes that is given later.
    pub(crate) deferred: Option<From>,
    /// What the handler asked for and can't be had.
    pub(crate) failure: Option<Failure>,
}

/// One thing to write.
#[derive(Clone)]
pub(crate) enum Effect {
    /// Push to a server's queue.
    Send {
        to: Arc<Address>,
        envelopes: Vec<Envelope>,
    },
    SetTimer {
        to: Arc<Address>,
        due_millis: u64,
        key: Option<String>,
        timed: Timed,
    },
    CancelTimer {
        to: Arc<Address>,
        key: String,
    },
    /// Answer a call whose reply was deferred.
    Reply {
        /// The beginning of the called server's keys.
        server: Vec<u8>,
        from: From,
        /// The call's id, whose record gets the answer too.
        id: Option<MessageId>,
        answer: Answer,
    },
}

/// Code that runs after the commit, on the committed state.
pub(crate) type Action<S> = Box<dyn FnOnce(&S) -> ControlFlow<()> + Send>;

impl<S> Default for Effects<S> {
    fn default() -> Self {
        Self {
            writes: Vec::new(),
            actions: Vec::new(),
            stop: None,
            is_locking: false,
            deferred: None,
            failure: None,
        }
    }
}

/// What an action says about those behind it: `()` or [`ControlFlow::Continue`] goes on,
/// [`ControlFlow::Break`] skips the rest of its handler's.
pub trait Flow {
    /// As a control flow.
    fn into_control_flow(self) -> ControlFlow<()>;
}

impl Flow for () {
    fn into_control_flow(self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Flow for ControlFlow<()> {
    fn into_control_flow(self) -> Self {
        self
    }
}
