//! What a caller holds.

use std::{fmt, marker::PhantomData, sync::Arc};

use dgen_backend::Tenant;

use crate::{
    Call, Cast, Server, StartError, StartOptions, StopReason, Tuid, address::Address,
    control::Remote, start,
};

/// A handle of a server of type `S`: sends messages to it, wherever it is consumed. Cloning it is
/// cheap.
///
/// Dropping the last handle does not stop the process.
pub struct Handle<S: Server> {
    address: Arc<Address>,
    options: Arc<StartOptions>,
    /// The process that this handle started, if it started one.
    remote: Option<Remote>,
    server: PhantomData<fn() -> S>,
}

impl<S: Server> Handle<S> {
    /// Starts a process that consumes the messages of server `id`; its state begins as
    /// [`Server::init`] says, unless there is one.
    ///
    /// Several processes may consume one server, here and on other machines.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the state may have been stored; no process runs.
    ///
    /// # Examples
    /// See [`Server`].
    pub async fn start(
        tenant: &Tenant,
        id: impl Into<Tuid>,
        args: S::Args,
    ) -> Result<Self, StartError<S::InitError>> {
        Self::start_with(tenant, id, args, StartOptions::default()).await
    }

    /// [`start`](Self::start) with options.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Cancel safety
    /// As [`start`](Self::start).
    pub async fn start_with(
        tenant: &Tenant,
        id: impl Into<Tuid>,
        args: S::Args,
        options: StartOptions,
    ) -> Result<Self, StartError<S::InitError>> {
        let mut id = id.into();
        if id.is_empty() {
            id = S::id(&args);
        }
        let address = Arc::new(Address::new::<S>(tenant, options.name.as_deref(), id));
        let remote = start::start::<S>(&address, args, &options).await?;
        Ok(Self {
            address,
            options: Arc::new(options),
            remote,
            server: PhantomData,
        })
    }

    /// A handle that sends and starts nothing. The server need not exist yet: its messages wait in
    /// its queue.
    #[must_use]
    pub fn client(tenant: &Tenant, id: impl Into<Tuid>) -> Self {
        Self::client_with(tenant, id, StartOptions::default())
    }

    /// [`client`](Self::client) with options: the name and the poll interval count.
    #[must_use]
    pub fn client_with(tenant: &Tenant, id: impl Into<Tuid>, options: StartOptions) -> Self {
        let address = Address::new::<S>(tenant, options.name.as_deref(), id.into());
        Self {
            address: Arc::new(address),
            options: Arc::new(options),
            remote: None,
            server: PhantomData,
        }
    }

    /// Sends `call` and, once awaited, waits for its answer: `T`, or the handler's error `E`.
    pub fn call<T, E>(&self, call: S::Call) -> Call<'_, S, T, E> {
        Call::new(self, call)
    }

    /// Sends `cast`; once awaited, it is committed: in the queue, or handled.
    pub fn cast(&self, cast: S::Cast) -> Cast<'_, S> {
        self.cast_all(vec![cast])
    }

    /// Sends all of `casts`, at most 10,000, next to each other and in their order, or none of them.
    pub fn cast_all(&self, casts: Vec<S::Cast>) -> Cast<'_, S> {
        Cast::new(self, casts)
    }

    /// Ends the process that this handle, or the one it was cloned from, started, and waits until it
    /// has ended: what it was working on is committed. The server stays, with its state and its
    /// queue. A client's handle has no process to stop, and returns at once.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the process stops all the same.
    pub async fn stop(&self) {
        if let Some(remote) = &self.remote {
            remote.request_stop();
            remote.ended().await;
        }
    }

    /// Waits until the process that this handle started has ended, and says why. A client's handle
    /// waits for ever.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn stopped(&self) -> StopReason {
        match &self.remote {
            Some(remote) => remote.ended().await,
            None => std::future::pending().await,
        }
    }

    /// How many messages wait in the queue.
    ///
    /// # Errors
    /// Those of the store.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn queue_len(&self) -> Result<u64, dgen_queue::Error> {
        let queue = self.address.keys.queue();
        self.address
            .tenant
            .transact(|tx| {
                let queue = queue.clone();
                async move { queue.len(&tx).await }
            })
            .await
    }

    /// The server's id.
    #[must_use]
    pub fn id(&self) -> &Tuid {
        &self.address.id
    }

    /// The server's stored name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.address.name
    }

    pub(crate) fn address(&self) -> &Arc<Address> {
        &self.address
    }

    pub(crate) fn options(&self) -> &StartOptions {
        &self.options
    }
}

impl<S: Server> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            address: Arc::clone(&self.address),
            options: Arc::clone(&self.options),
            remote: self.remote.clone(),
            server: PhantomData,
        }
    }
}

impl<S: Server> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.address)
    }
}
