//! What can be done with a server of any kind.

use std::{sync::Arc, time::Duration};

use dgen_backend::Tenant;
use dgen_server::{CallError, Failure, Handle, Never, Server, StartOptions, Status, StopReason};

use super::{
    Account, AccountHandle, Alarm, AlarmHandle, Desk, DeskHandle, Register, RegisterHandle, State,
    Worker, WorkerHandle,
};
use crate::world::Kind;

type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A handle of a server, whatever its kind.
pub trait AnyHandle: Send + Sync {
    /// Stops the process that it started.
    fn stop(&self) -> BoxFuture<'_, ()>;
    /// Waits for the end of that process.
    fn stopped(&self) -> BoxFuture<'_, StopReason>;
    /// Deletes the server.
    fn kill(&self) -> BoxFuture<'_, Result<(), Failure>>;
    /// How it is.
    fn status(&self) -> BoxFuture<'_, Result<Status, Failure>>;
    /// Puts all its dead letters into the queue again, and says how many there were.
    fn replay_all(&self) -> BoxFuture<'_, Result<usize, Failure>>;
}

impl<S: Server> AnyHandle for Handle<S> {
    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.stop())
    }

    fn stopped(&self) -> BoxFuture<'_, StopReason> {
        Box::pin(self.stopped())
    }

    fn kill(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.kill())
    }

    fn status(&self) -> BoxFuture<'_, Result<Status, Failure>> {
        Box::pin(self.status())
    }

    fn replay_all(&self) -> BoxFuture<'_, Result<usize, Failure>> {
        Box::pin(async move {
            let letters = self.dead_letters().await?;
            for letter in &letters {
                self.replay(letter.number).await?;
            }
            Ok(letters.len())
        })
    }
}

/// The id of the server at that place of a world.
#[must_use]
pub fn id(server: usize) -> u64 {
    server as u64
}

/// How long a lock lasts that is not renewed: shorter than by default, so that more happens.
pub const LEASE: Duration = Duration::from_secs(2);

/// How long ids are remembered: longer than anybody tries, and shorter than the silence.
pub const ID_WINDOW: Duration = Duration::from_secs(900);

/// What whoever handles messages has to agree on: processes, and clients whose messages skip the queue.
#[must_use]
pub fn options() -> StartOptions {
    StartOptions::default()
        .lock_lease(LEASE)
        .id_window(ID_WINDOW)
}

/// A handle that starts nothing.
#[must_use]
pub fn client(kind: Kind, tenant: &Tenant, server: usize) -> Arc<dyn AnyHandle> {
    let id = id(server);
    match kind {
        Kind::Register { .. } => Arc::new(Handle::<Register>::client(tenant, id)),
        Kind::Account => Arc::new(Handle::<Account>::client(tenant, id)),
        Kind::Worker => Arc::new(Handle::<Worker>::client(tenant, id)),
        Kind::Alarm => Arc::new(Handle::<Alarm>::client(tenant, id)),
        Kind::Desk => Arc::new(Handle::<Desk>::client(tenant, id)),
    }
}

/// Starts a process.
///
/// # Errors
/// The store's, in words.
pub async fn start(
    kind: Kind,
    tenant: &Tenant,
    server: usize,
    options: StartOptions,
) -> Result<Arc<dyn AnyHandle>, String> {
    match kind {
        Kind::Register { .. } => start_a::<Register>(tenant, server, options).await,
        Kind::Account => start_a::<Account>(tenant, server, options).await,
        Kind::Worker => start_a::<Worker>(tenant, server, options).await,
        Kind::Alarm => start_a::<Alarm>(tenant, server, options).await,
        Kind::Desk => start_a::<Desk>(tenant, server, options).await,
    }
}

async fn start_a<S: Server<Args = ()>>(
    tenant: &Tenant,
    server: usize,
    options: StartOptions,
) -> Result<Arc<dyn AnyHandle>, String> {
    let started = Handle::<S>::start_with(tenant, id(server), (), options).await;
    match started {
        Ok(handle) => Ok(Arc::new(handle)),
        Err(error) => Err(error.to_string()),
    }
}

/// What is stored of it.
///
/// # Errors
/// Those of a call by priority.
pub async fn state(kind: Kind, tenant: &Tenant, server: usize) -> Result<State, CallError<Never>> {
    let id = id(server);
    Ok(match kind {
        Kind::Register { .. } => State::Register(
            RegisterHandle::client(tenant, id)
                .state()
                .priority()
                .await?,
        ),
        Kind::Account => {
            State::Account(AccountHandle::client(tenant, id).state().priority().await?)
        }
        Kind::Worker => State::Worker(WorkerHandle::client(tenant, id).state().priority().await?),
        Kind::Alarm => State::Alarm(AlarmHandle::client(tenant, id).state().priority().await?),
        Kind::Desk => State::Desk(DeskHandle::client(tenant, id).state().priority().await?),
    })
}
