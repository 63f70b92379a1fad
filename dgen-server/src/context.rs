//! What a handler may use beside its state and its message.

use std::{fmt, marker::PhantomData, time::SystemTime};

use dgen_backend::env::Env;

use crate::{Server, Tuid};

/// The world as a handler sees it. A handler takes it as its last parameter, if it needs it.
pub struct Context<S: Server> {
    id: Tuid,
    env: Env,
    now: SystemTime,
    stop: Option<String>,
    server: PhantomData<fn() -> S>,
}

impl<S: Server> Context<S> {
    pub(crate) fn new(id: Tuid, env: Env) -> Self {
        Self {
            id,
            now: env.wall_clock(),
            env,
            stop: None,
            server: PhantomData,
        }
    }

    /// The id of this server.
    #[must_use]
    pub fn id(&self) -> &Tuid {
        &self.id
    }

    /// The calendar's time: one moment for the whole transaction.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// `N` random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.env.random()
    }

    /// Ends the process that runs this handler, once what it did is committed. The server, its
    /// state and its queue stay.
    pub fn stop(&mut self, reason: impl Into<String>) {
        self.stop = Some(reason.into());
    }

    pub(crate) fn take_stop(&mut self) -> Option<String> {
        self.stop.take()
    }
}

impl<S: Server> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("server", &S::NAME)
            .field("id", &self.id)
            .finish()
    }
}
