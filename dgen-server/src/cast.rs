//! Sending what is not answered.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use dgen_backend::Transaction;

use crate::{
    CastError, Failure, Handle, Server,
    address::Address,
    call::check_id,
    mailbox::{Refused, Unit},
    message::{Envelope, Message},
    outbox::bytes_of,
    urgent,
};

/// How long a cast may take to be committed, by default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// So many casts are sent at once at most: what a transaction takes easily.
const CASTS_MAX: usize = 10_000;

/// One or more casts: to be sent by awaiting this, or from a handler with
/// [`Context::send`](crate::Context::send).
///
/// Once it resolves they are committed: handled by a process next door, or in the queue.
///
/// # Errors
/// [`CastError`].
///
/// # Cancel safety
/// Dropped before it resolves, the casts may or may not have been sent.
#[must_use = "a cast is sent by awaiting it"]
pub struct Cast<'a, S: Server> {
    handle: &'a Handle<S>,
    casts: Vec<S::Cast>,
    id: Option<String>,
    is_priority: bool,
    timeout: Duration,
}

impl<'a, S: Server> Cast<'a, S> {
    pub(crate) fn new(handle: &'a Handle<S>, casts: Vec<S::Cast>) -> Self {
        Self {
            handle,
            casts,
            id: None,
            is_priority: false,
            timeout: TIMEOUT_DEFAULT,
        }
    }

    /// How long to try. Default: 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Gives the cast a name: within a window, 24 hours unless the server's
    /// [`id_window`](crate::StartOptions::id_window) says otherwise, what is sent to a server with the
    /// same id takes effect once. At most 1,000 bytes. The casts of a batch have one together.
    ///
    /// Reuse an id for the same message alone: that it is another is not noticed.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Skips the queue and ignores the lock: the cast is handled at once, in a transaction of its own,
    /// by a process here or, if there is none, by the caller. What waits in the queue is handled after
    /// it. Counts only where the cast is awaited.
    ///
    /// A handler that fails is an error for the caller then; it is not tried again.
    pub fn priority(mut self) -> Self {
        self.is_priority = true;
        self
    }

    /// Sends the casts within the caller's own transaction: they enter the server's queue with its
    /// commit, or not at all. Run it in [`Tenant::transact`](crate::Tenant::transact), of a tenant of
    /// the same database.
    ///
    /// # Errors
    /// [`CastError`]; the transaction can't be committed then.
    ///
    /// # Examples
    /// ```
    /// # use dgen_macros::dgen_server;
    /// # use dgen_server::CastError;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Default, Serialize, Deserialize)]
    /// # struct Account { cents: u64 }
    /// # #[dgen_server]
    /// # impl Account {
    /// #     #[cast]
    /// #     fn deposit(&mut self, cents: u64) { self.cents += cents; }
    /// #     #[call]
    /// #     fn cents(&self) -> u64 { self.cents }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let tenant = dgen_server::in_memory()?;
    /// let ada = &AccountHandle::start(&tenant, "ada", ()).await?;
    /// let bob = &AccountHandle::start(&tenant, "bob", ()).await?;
    /// tenant
    ///     .transact(|tx| async move {
    ///         ada.deposit(5).enqueue(&tx)?;
    ///         bob.deposit(7).enqueue(&tx)?; // both, or none
    ///         Ok::<_, CastError>(())
    ///     })
    ///     .await?;
    /// assert_eq!(bob.cents().await?, 7);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enqueue(self, tx: &Transaction) -> Result<(), CastError> {
        let items: Vec<_> = self.to_envelopes()?.iter().map(bytes_of).collect();
        let queue = self.address().keys.queue();
        queue.push_k(tx, items).map_err(Failure::Transaction)?;
        Ok(())
    }

    pub(crate) fn has_id(&self) -> bool {
        self.id.is_some()
    }

    pub(crate) fn address(&self) -> &Arc<Address> {
        self.handle.address()
    }

    /// What the queue gets.
    pub(crate) fn to_envelopes(&self) -> Result<Vec<Envelope>, Failure> {
        self.check()?;
        Envelope::casts::<S>(&self.casts, self.id.as_deref())
    }

    fn check(&self) -> Result<(), Failure> {
        if self.casts.len() > CASTS_MAX {
            return Err(Failure::TooManyCasts {
                count: self.casts.len(),
                max: CASTS_MAX,
            });
        }
        check_id(self.id.as_deref())
    }

    async fn send(self) -> Result<(), CastError> {
        if self.casts.is_empty() {
            return Ok(());
        }
        self.check()?;
        let after = self.timeout;
        let env = self.address().tenant.env().clone();
        match env.timeout(after, self.hand_over()).await {
            Ok(sent) => Ok(sent?),
            Err(_elapsed) => Err(CastError::Timeout { after }),
        }
    }

    async fn hand_over(self) -> Result<(), Failure> {
        let handle = self.handle;
        let unit = || {
            let message = Message::Casts(self.casts.clone());
            Unit::new(message, self.id.clone(), u64::MAX)
        };
        let mailbox = handle.mailbox();
        let done = match mailbox {
            Some(mailbox) if self.is_priority => mailbox.send_urgent(unit()).await,
            Some(mailbox) => mailbox.send(unit()).await,
            None => Err(Refused::NotHandled),
        };
        let done = match done {
            Err(Refused::NotHandled) if self.is_priority => {
                urgent::handle_here(handle.address(), &unit()).await
            }
            done => done,
        };
        match done {
            Ok(_) => return Ok(()),
            Err(Refused::Failed(failure)) => return Err(failure),
            Err(Refused::NotHandled) => {}
        }
        let items: Vec<_> = self.to_envelopes()?.iter().map(bytes_of).collect();
        let address = handle.address();
        let queue = address.keys.queue();
        let pushed: Result<(), dgen_backend::Error> = address
            .tenant
            .transact(|tx| std::future::ready(queue.push_k(&tx, &items)))
            .await;
        Ok(pushed?)
    }
}

impl<'a, S: Server> IntoFuture for Cast<'a, S> {
    type Output = Result<(), CastError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<S: Server> fmt::Debug for Cast<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} casts to {}", self.casts.len(), self.address())
    }
}
