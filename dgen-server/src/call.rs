//! Sending what is answered.
//!
//! A process next door takes the call without the queue. Otherwise it is pushed, together with a
//! key that says that somebody waits; whoever consumes the server writes the answer there, if the
//! key is still there. The caller watches it, and polls slowly in case the watch is lost.

use std::{
    fmt,
    future::{Future, IntoFuture, poll_fn},
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use dgen_backend::{Transaction, Watch, tuple::Subspace};
use dgen_codec::LoadError;
use serde::de::DeserializeOwned;

use crate::{
    CallError, Failure, Handle, Never, Server,
    address::Address,
    attempt::AttemptError,
    mailbox::Refused,
    message::{Envelope, Message},
    registry::WaitingCall,
    reply::{self, Answer},
};

/// How long a call waits for its answer, by default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// A call, to be sent by awaiting this; resolves to the handler's answer.
///
/// # Errors
/// [`CallError`].
///
/// # Cancel safety
/// Dropped before it resolves, the call may or may not be handled; nobody waits for its answer any
/// more, and it leaves nothing behind.
#[must_use = "a call is sent by awaiting it"]
pub struct Call<'a, S: Server, T, E = Never> {
    handle: &'a Handle<S>,
    call: S::Call,
    timeout: Duration,
    answer: PhantomData<fn() -> (T, E)>,
}

impl<'a, S: Server, T, E> Call<'a, S, T, E> {
    pub(crate) fn new(handle: &'a Handle<S>, call: S::Call) -> Self {
        Self {
            handle,
            call,
            timeout: TIMEOUT_DEFAULT,
            answer: PhantomData,
        }
    }

    /// How long to wait for the answer. Default: 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl<'a, S: Server, T, E> Call<'a, S, T, E>
where
    T: DeserializeOwned,
    E: DeserializeOwned,
{
    async fn send(self) -> Result<T, CallError<E>> {
        let address = self.handle.address();
        let poll_interval = self.handle.options().poll_interval;
        let after = self.timeout;
        let answer = send::<S>(address, self.call, after, poll_interval);
        match address.tenant.env().timeout(after, answer).await {
            Ok(answer) => match answer? {
                Ok(answer) => answer.decode(),
                Err(what) => Err(CallError::Decode { what }),
            },
            Err(_elapsed) => Err(CallError::Timeout { after }),
        }
    }
}

async fn send<S: Server>(
    address: &Arc<Address>,
    call: S::Call,
    timeout: Duration,
    poll_interval: Duration,
) -> Result<Readable, Failure> {
    if let Some(mailbox) = address.registry.mailbox::<S>(address.keys.prefix()) {
        match mailbox.send(Message::Call(call.clone())).await {
            Ok(answer) => return Ok(Ok(answer.expect("a call has an answer"))),
            Err(Refused::Failed(failure)) => return Err(failure),
            Err(Refused::NotHandled) => {}
        }
    }
    let queued = Queued::push::<S>(address, &call, timeout).await?;
    queued.answer(poll_interval).await
}

/// An answer, or why it can't be read.
type Readable = Result<Answer, String>;

/// A call in the queue. Dropped without an answer it takes away the key that says that somebody
/// waits.
struct Queued {
    address: Arc<Address>,
    waiting: WaitingCall,
    key: Subspace,
    is_answered: bool,
}

impl Queued {
    async fn push<S: Server>(
        address: &Arc<Address>,
        call: &S::Call,
        timeout: Duration,
    ) -> Result<Self, Failure> {
        let until = address.tenant.env().wall_clock().checked_add(timeout);
        let waiting_until = reply::waiting(until);
        let waiting = address.registry.wait_for_call();
        let item = Envelope::call::<S>(call, waiting.from.clone());
        let item = item.map_err(|error| Failure::Encode {
            what: "the call",
            reason: error.to_string(),
        })?;
        let key = address.keys.reply(&waiting.from.process, waiting.from.call);
        // Made before the push, so that a caller who gives up in the middle of it cleans up too.
        let queued = Self {
            address: Arc::clone(address),
            key,
            waiting,
            is_answered: false,
        };
        let push = |tx: Transaction| -> Result<(), dgen_backend::Error> {
            dgen_codec::write_chunks(&tx, &queued.key, &waiting_until)?;
            address.keys.queue().push_k(&tx, [&item])
        };
        address
            .tenant
            .transact(|tx| std::future::ready(push(tx)))
            .await?;
        Ok(queued)
    }

    async fn answer(mut self, poll_interval: Duration) -> Result<Readable, Failure> {
        loop {
            let (answer, watch) = self.look().await?;
            if let Some(answer) = answer {
                self.is_answered = true;
                return Ok(answer);
            }
            let poll = self.address.tenant.env().sleep(poll_interval);
            if let Some(answer) = wait(&mut self.waiting, watch, poll).await {
                self.is_answered = true;
                return Ok(Ok(answer));
            }
        }
    }

    /// The answer, taken away, or a watch for it. None of both where there are too many watches.
    async fn look(&self) -> Result<(Option<Readable>, Option<Watch>), Failure> {
        let looked: Result<_, AttemptError> = self
            .address
            .tenant
            .transact(|tx| async move {
                let stored = match dgen_codec::read_chunks(&tx, &self.key).await {
                    // The state is not to blame, and the call was handled.
                    Err(damaged @ LoadError::Damaged { .. }) => {
                        return Ok((Some(Err(damaged.to_string())), None));
                    }
                    stored => stored?,
                };
                let answer = stored.as_ref().and_then(Answer::from_bytes);
                if answer.is_none() {
                    let watch = tx.watch(&dgen_codec::first_chunk_key(&self.key));
                    return Ok((None, watch.ok()));
                }
                dgen_codec::clear_chunks(&tx, &self.key)?;
                Ok((answer, None))
            })
            .await;
        looked.map_err(|error| error.into_failure(&self.address))
    }
}

/// Waits for the answer from next door, or until it is time to look: then none.
async fn wait(
    waiting: &mut WaitingCall,
    watch: Option<Watch>,
    poll: impl Future<Output = ()>,
) -> Option<Answer> {
    let mut poll = pin!(poll);
    let mut watch = watch;
    poll_fn(|cx| {
        if let Poll::Ready(Ok(answer)) = Pin::new(&mut waiting.answer).poll(cx) {
            return Poll::Ready(Some(answer));
        }
        if let Some(waiting) = &mut watch {
            match Pin::new(waiting).poll(cx) {
                Poll::Ready(Ok(())) => return Poll::Ready(None),
                // It says nothing: poll.
                Poll::Ready(Err(_)) => watch = None,
                Poll::Pending => {}
            }
        }
        poll.as_mut().poll(cx).map(|()| None)
    })
    .await
}

impl Drop for Queued {
    fn drop(&mut self) {
        if self.is_answered {
            return;
        }
        let (address, key) = (Arc::clone(&self.address), self.key.clone());
        let clean = async move {
            let clear = |tx: Transaction| std::future::ready(dgen_codec::clear_chunks(&tx, &key));
            let cleared: Result<(), dgen_backend::Error> = address.tenant.transact(clear).await;
            if let Err(error) = cleared {
                tracing::debug!(server = %address, %error, "a call's waiting key stays behind");
            }
        };
        // Without a runtime the key stays; the sweep by age takes it.
        let _ = self.address.tenant.env().spawn(clean);
    }
}

impl<'a, S, T, E> IntoFuture for Call<'a, S, T, E>
where
    S: Server,
    T: DeserializeOwned + 'a,
    E: DeserializeOwned + 'a,
{
    type Output = Result<T, CallError<E>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<S: Server, T, E> fmt::Debug for Call<'_, S, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call to {}", self.handle.address())
    }
}
