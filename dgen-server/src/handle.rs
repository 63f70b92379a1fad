//! What a caller holds.

use std::{fmt, marker::PhantomData, sync::Arc};

use dgen_backend::{Tenant, Transaction};

use crate::{
    Call, Cast, DeadLetter, Failure, InfoError, Server, StartError, StartOptions, Status,
    StopReason, Tuid,
    address::Address,
    control::Request,
    dead_letters::{self, Listing},
    mailbox::Mailbox,
    operator,
    remedy::AttemptError,
    start::{self, Started},
    status,
};

/// A handle of a server of type `S`: sends messages to it, wherever it is consumed. Cloning it is
/// cheap.
///
/// Dropping the last handle does not stop the process.
pub struct Handle<S: Server> {
    address: Arc<Address>,
    /// The process that this handle started, if it started one.
    started: Option<Started>,
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
        let address = Arc::new(Address::new::<S>(tenant, id, options));
        let started = start::start::<S>(&address, args).await?;
        Ok(Self {
            started,
            ..Self::of(address)
        })
    }

    /// A handle that sends and starts nothing. The server need not exist yet: its messages wait in
    /// its queue.
    #[must_use]
    pub fn client(tenant: &Tenant, id: impl Into<Tuid>) -> Self {
        Self::client_with(tenant, id, StartOptions::default())
    }

    /// [`client`](Self::client) with options: the name and the poll interval count, and for priority
    /// messages that it handles itself also the lease and the window of ids.
    #[must_use]
    pub fn client_with(tenant: &Tenant, id: impl Into<Tuid>, options: StartOptions) -> Self {
        Self::of(Arc::new(Address::new::<S>(tenant, id.into(), options)))
    }

    pub(crate) fn of(address: Arc<Address>) -> Self {
        Self {
            address,
            started: None,
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

    /// Hands `info` to a process of this server in this OS process, which handles it as soon as it
    /// can: ahead of the queue, whether the server is locked or not. It is not durable, and nobody is
    /// told what came of it.
    ///
    /// # Errors
    /// [`InfoError`].
    pub fn info(&self, info: S::Info) -> Result<(), InfoError> {
        self.mailbox().ok_or(InfoError::NotRunning)?.info(info)
    }

    /// Ends the process that this handle, or the one it was cloned from, started, and waits until it
    /// has ended: the transaction in flight is committed. Locked work is dropped and its lock let go,
    /// so that another consumer does it again; [`shutdown`](crate::shutdown) waits for it. The server
    /// stays, with its state and its queue. A client's handle has no process to stop, and returns at
    /// once.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the process stops all the same.
    pub async fn stop(&self) {
        if let Some(Started { remote, .. }) = &self.started {
            remote.request(Request::Stop);
            remote.ended().await;
        }
    }

    /// Waits until the process that this handle started has ended, and says why. A client's handle
    /// waits for ever.
    ///
    /// # Cancel safety
    /// Safe: it only waits.
    pub async fn stopped(&self) -> StopReason {
        match &self.started {
            Some(Started { remote, .. }) => remote.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Deletes all that is stored of the server: its state, queue, timers, waiting calls, remembered
    /// ids, dead letters and lock. Ends its processes with [`StopReason::Killed`]: those in this OS
    /// process before this returns, others when they look next. Whoever waits for an answer gets
    /// [`Failure::Killed`]. Started again, the server begins from `init`.
    ///
    /// A message that is sent meanwhile may be deleted, or be the first of the queue that the next
    /// start finds.
    ///
    /// # Errors
    /// [`Failure::Transaction`]; nothing was deleted then, unless it may have been executed.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the server may have been deleted or not.
    pub async fn kill(&self) -> Result<(), Failure> {
        operator::kill(&self.address).await
    }

    /// How the server is: what waits, and what holds it up.
    ///
    /// # Errors
    /// [`Failure`], if the store can't be read.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn status(&self) -> Result<Status, Failure> {
        self.transact(async |tx, address| status::status(tx, address).await)
            .await
    }

    /// Breaks the server's lock, whoever holds it, and puts the message that locked aside as a dead
    /// letter; its caller is told. Whether there was a lock. What its work does outside of the store
    /// is not undone, and may go on; its result can't be committed any more.
    ///
    /// # Errors
    /// [`Failure`], if the store can't be read or written.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the lock may have been broken or not.
    pub async fn break_lock(&self) -> Result<bool, Failure> {
        operator::break_lock(&self.address).await
    }

    /// The oldest dead letters, at most 100 and about a megabyte of messages: messages that could not be
    /// handled, and why. [`status`](Self::status) counts all. They need not be of one moment: where reading
    /// them takes longer than a transaction may, another goes on.
    ///
    /// # Errors
    /// [`Failure`], if the store can't be read.
    ///
    /// # Cancel safety
    /// Safe: it only reads.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Failure> {
        let listing = Listing::default();
        let (address, listed) = (&self.address, &listing);
        address
            .tenant
            .transact(|tx| async move { dead_letters::list(&tx, address, listed).await })
            .await
            .map_err(|error| error.into_failure(address))?;
        Ok(listing.into_letters())
    }

    /// Puts the dead letter of this number at the end of the queue, to be handled again. Whether there
    /// was one. A call's caller has been told already: its answer goes nowhere.
    ///
    /// # Errors
    /// [`Failure`], if the store can't be read or written.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the message may have been moved or not.
    pub async fn replay(&self, number: u64) -> Result<bool, Failure> {
        self.take_dead_letter(number, true).await
    }

    /// Deletes the dead letter of this number. Whether there was one.
    ///
    /// # Errors
    /// [`Failure`], if the store can't be read or written.
    ///
    /// # Cancel safety
    /// Dropped before it resolves, the message may have been deleted or not.
    pub async fn drop_dead_letter(&self, number: u64) -> Result<bool, Failure> {
        self.take_dead_letter(number, false).await
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

    /// Not by [`transact`](Self::transact): with an async closure that captures, the future is not
    /// `Send`.
    async fn take_dead_letter(&self, number: u64, is_replayed: bool) -> Result<bool, Failure> {
        let address = &self.address;
        let taken = address.tenant.transact(|tx| async move {
            dead_letters::take(&tx, address, number, is_replayed).await
        });
        taken.await.map_err(|error| error.into_failure(address))
    }

    async fn transact<T>(
        &self,
        work: impl AsyncFn(&Transaction, &Arc<Address>) -> Result<T, AttemptError>,
    ) -> Result<T, Failure> {
        let (address, work) = (&self.address, &work);
        let done = address
            .tenant
            .transact(|tx| async move { work(&tx, address).await });
        done.await.map_err(|error| error.into_failure(address))
    }

    /// The mailbox of a process here that consumes the server: of the one that this handle started,
    /// if that still runs.
    pub(crate) fn mailbox(&self) -> Option<Mailbox<S>> {
        let own = self.started.as_ref().map(|started| started.number);
        let prefix = self.address.keys.prefix();
        self.address.registry.mailbox(prefix, own)
    }
}

impl<S: Server> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            address: Arc::clone(&self.address),
            started: self.started.clone(),
            server: PhantomData,
        }
    }
}

impl<S: Server> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.address)
    }
}
