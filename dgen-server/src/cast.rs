//! Sending what is not answered.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use crate::{
    CastError, Failure, Handle, Server,
    address::Address,
    mailbox::Refused,
    message::{Envelope, Message},
};

/// How long a cast may take to be committed, by default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// So many casts are sent at once at most: what a transaction takes easily.
const CASTS_MAX: usize = 10_000;

/// One or more casts, to be sent by awaiting this.
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
    timeout: Duration,
}

impl<'a, S: Server> Cast<'a, S> {
    pub(crate) fn new(handle: &'a Handle<S>, casts: Vec<S::Cast>) -> Self {
        Self {
            handle,
            casts,
            timeout: TIMEOUT_DEFAULT,
        }
    }

    /// How long to try. Default: 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn send(self) -> Result<(), CastError> {
        let address = self.handle.address();
        if self.casts.is_empty() {
            return Ok(());
        }
        if self.casts.len() > CASTS_MAX {
            return Err(CastError::Failed(Failure::TooManyCasts {
                count: self.casts.len(),
                max: CASTS_MAX,
            }));
        }
        let after = self.timeout;
        let send = send::<S>(address, self.casts);
        match address.tenant.env().timeout(after, send).await {
            Ok(sent) => Ok(sent?),
            Err(_elapsed) => Err(CastError::Timeout { after }),
        }
    }
}

async fn send<S: Server>(address: &Address, casts: Vec<S::Cast>) -> Result<(), Failure> {
    if let Some(mailbox) = address.registry.mailbox::<S>(address.keys.prefix()) {
        let message = Message::Casts(casts.clone());
        match mailbox.send(message).await {
            Ok(_) => return Ok(()),
            Err(Refused::Failed(failure)) => return Err(failure),
            Err(Refused::NotHandled) => {}
        }
    }
    let items = casts
        .iter()
        .map(|cast| Envelope::cast::<S>(cast))
        .collect::<Result<Vec<_>, _>>();
    let items = items.map_err(|error| Failure::Encode {
        what: "the cast",
        reason: error.to_string(),
    })?;
    let queue = address.keys.queue();
    let pushed: Result<(), dgen_backend::Error> = address
        .tenant
        .transact(|tx| std::future::ready(queue.push_k(&tx, &items)))
        .await;
    Ok(pushed?)
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
        write!(f, "{} casts to {}", self.casts.len(), self.handle.address())
    }
}
