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
    agenda,
    calls::WaitingCall,
    clock,
    handling::KEY_SIZE_MAX_BYTES,
    mailbox::{Outcome, Refused, Unit},
    message::{Envelope, From, Message, MessageId},
    outbox::{bytes_of, write_waiting},
    remedy::AttemptError,
    reply::{Answer, AtReplyKey},
    urgent,
};

/// How long a call waits for its answer, by default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// A process next door that has taken a reply key away hands the answer over within this, its
/// actions included; else the answer is lost.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);

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
    id: Option<String>,
    is_priority: bool,
    timeout: Duration,
    answer: PhantomData<fn() -> (T, E)>,
}

impl<'a, S: Server, T, E> Call<'a, S, T, E> {
    pub(crate) fn new(handle: &'a Handle<S>, call: S::Call) -> Self {
        Self {
            handle,
            call,
            id: None,
            is_priority: false,
            timeout: TIMEOUT_DEFAULT,
            answer: PhantomData,
        }
    }

    /// How long to wait for the answer. Default: 5 seconds.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Gives the call a name: within a window, 24 hours unless the server's
    /// [`id_window`](crate::StartOptions::id_window) says otherwise, what is sent to a server with the
    /// same id takes effect once, and every call with it gets the first answer, an error of the
    /// handler's included. At most 1,000 bytes.
    ///
    /// So a call that timed out, or whose caller was restarted, can be sent again. Reuse an id for the
    /// same message alone: that it is another is not noticed.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Skips the queue and ignores the lock: the call is handled at once, in a transaction of its own,
    /// by a process here or, if there is none, by the caller. What waits in the queue is handled after
    /// it.
    ///
    /// A handler that fails is an error for the caller then; it is not tried again.
    pub fn priority(mut self) -> Self {
        self.is_priority = true;
        self
    }
}

impl<'a, S: Server, T, E> Call<'a, S, T, E>
where
    T: DeserializeOwned,
    E: DeserializeOwned,
{
    async fn send(self) -> Result<T, CallError<E>> {
        check_id(self.id.as_deref())?;
        let after = self.timeout;
        let env = self.handle.address().tenant.env();
        let until_millis = env
            .wall_clock()
            .checked_add(after)
            .map_or(clock::NEVER_MILLIS, clock::to_millis);
        let sent = Sent {
            handle: self.handle,
            call: self.call,
            id: self.id,
            is_priority: self.is_priority,
            until_millis,
        };
        match env.timeout(after, sent.answer()).await {
            Ok(answer) => match answer? {
                Ok(answer) => answer.decode(),
                Err(what) => Err(CallError::Decode { what }),
            },
            Err(_elapsed) => Err(CallError::Timeout { after }),
        }
    }
}

/// A call on its way.
struct Sent<'a, S: Server> {
    handle: &'a Handle<S>,
    call: S::Call,
    id: Option<String>,
    is_priority: bool,
    until_millis: u64,
}

impl<S: Server> Sent<'_, S> {
    async fn answer(self) -> Result<Readable, Failure> {
        let address = self.handle.address();
        let poll_interval = address.poll_interval();
        let done = match self.handle.mailbox() {
            Some(mailbox) if self.is_priority => mailbox.send_urgent(self.unit()).await,
            Some(mailbox) => mailbox.send(self.unit()).await,
            None => Err(Refused::NotHandled),
        };
        let done = match done {
            Err(Refused::NotHandled) if self.is_priority => {
                urgent::handle_here(address, &self.unit()).await
            }
            done => done,
        };
        let queued = match done {
            Ok(Outcome::Answered(answer)) => return Ok(Ok(answer)),
            Ok(Outcome::Later(waiting)) => Queued::new(address, waiting, self.until_millis),
            Ok(Outcome::Done) => return Ok(Err("the handler gave no answer".to_owned())),
            Err(Refused::Failed(failure)) => return Err(failure),
            Err(Refused::NotHandled) => self.push().await?,
        };
        queued.answer(poll_interval).await
    }

    fn unit(&self) -> Unit<S> {
        let message = Message::Call(self.call.clone());
        Unit::new(message, self.id.clone(), self.until_millis)
    }

    async fn push(self) -> Result<Queued, Failure> {
        let address = self.handle.address();
        let from = address.calls.new_call();
        let id = self.id.map(|id| MessageId { id, index: 0 });
        let item = bytes_of(&Envelope::call::<S>(&self.call, Some(from), id)?);
        // Made before the push, so that a caller who gives up in the middle of it cleans up too.
        let waiting = address.calls.wait_for_call(from);
        let queued = Queued::new(address, waiting, self.until_millis);
        let push = |tx: Transaction| -> Result<(), dgen_backend::Error> {
            write_waiting(&tx, &address.keys, &[(from, self.until_millis)])?;
            address.keys.queue().push_k(&tx, [&item])
        };
        address
            .tenant
            .transact(|tx| std::future::ready(push(tx)))
            .await?;
        Ok(queued)
    }
}

/// Whether a message may have this id.
pub(crate) fn check_id(id: Option<&str>) -> Result<(), Failure> {
    match id.map(str::len) {
        None | Some(1..=KEY_SIZE_MAX_BYTES) => Ok(()),
        Some(size_bytes) => Err(Failure::BadId { size_bytes }),
    }
}

/// An answer, or why it can't be read.
type Readable = Result<Answer, String>;

/// The caller of a call that is to wait at its reply key is gone: takes the key away.
pub(crate) fn abandon(address: &Arc<Address>, waiting: WaitingCall, until_millis: u64) {
    drop(Queued::new(address, waiting, until_millis));
}

/// A call that waits at its reply key. Dropped without an answer it takes the key away.
struct Queued {
    address: Arc<Address>,
    waiting: WaitingCall,
    key: Subspace,
    until_millis: u64,
    is_answered: bool,
}

/// What a look at the reply key found.
enum Look {
    Answered(Readable),
    /// Nothing yet. There is no watch where there are too many.
    Waiting(Option<Watch>),
    /// The key is gone: a process next door has the answer, or the server was killed.
    Gone {
        is_killed: bool,
    },
}

impl Queued {
    fn new(address: &Arc<Address>, waiting: WaitingCall, until_millis: u64) -> Self {
        Self {
            key: address.keys.reply(&waiting.from),
            waiting,
            address: Arc::clone(address),
            until_millis,
            is_answered: false,
        }
    }

    async fn answer(mut self, poll_interval: Duration) -> Result<Readable, Failure> {
        let env = self.address.tenant.env().clone();
        let mut gone_since = None;
        loop {
            let watch = match self.look().await? {
                Look::Answered(answer) => {
                    self.is_answered = true;
                    return Ok(answer);
                }
                Look::Waiting(watch) => watch,
                Look::Gone { is_killed } => {
                    let since = *gone_since.get_or_insert_with(|| env.now());
                    if is_killed || env.now() - since >= ANSWER_WAIT_MAX {
                        self.is_answered = true;
                        // It may have come just now.
                        let answer = self.waiting.answer.try_recv();
                        return answer.map(Ok).map_err(|_| Failure::Killed);
                    }
                    // Whoever took it away for a caller here hands the answer over next.
                    None
                }
            };
            let poll = self.address.tenant.env().sleep(poll_interval);
            if let Some(answer) = wait(&mut self.waiting, watch, poll).await {
                self.is_answered = true;
                return Ok(Ok(answer));
            }
        }
    }

    /// Looks at the reply key, and takes the answer away if there is one.
    async fn look(&self) -> Result<Look, Failure> {
        let looked = self
            .address
            .tenant
            .transact(|tx| async move { self.look_in(&tx).await });
        looked
            .await
            .map_err(|error| error.into_failure(&self.address))
    }

    async fn look_in(&self, tx: &Transaction) -> Result<Look, AttemptError> {
        let stored = match dgen_codec::read_chunks(tx, &self.key).await {
            // The state is not to blame, and the call was handled.
            Err(damaged @ LoadError::Damaged { .. }) => {
                return Ok(Look::Answered(Err(damaged.to_string())));
            }
            stored => stored?,
        };
        let Some(bytes) = stored else {
            let version = dgen_codec::version(tx, self.address.keys.state()).await?;
            let is_killed = version.is_none();
            return Ok(Look::Gone { is_killed });
        };
        match AtReplyKey::from_bytes(&bytes) {
            AtReplyKey::Waiting(_) => {
                let watch = tx.watch(&dgen_codec::first_chunk_key(&self.key));
                Ok(Look::Waiting(watch.ok()))
            }
            AtReplyKey::Answered(answer) => {
                self.take_away(tx)?;
                Ok(Look::Answered(answer))
            }
        }
    }

    fn take_away(&self, tx: &Transaction) -> Result<(), dgen_backend::Error> {
        take_away(
            tx,
            &self.address,
            &self.key,
            &self.waiting.from,
            self.until_millis,
        )
    }
}

fn take_away(
    tx: &Transaction,
    address: &Address,
    key: &Subspace,
    from: &From,
    until_millis: u64,
) -> Result<(), dgen_backend::Error> {
    dgen_codec::clear_chunks(tx, key)?;
    agenda::forget_sweep_of_reply(tx, &address.keys, from, until_millis)
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
        let (from, until_millis) = (self.waiting.from, self.until_millis);
        let clean = async move {
            let clear = |tx: Transaction| {
                std::future::ready(take_away(&tx, &address, &key, &from, until_millis))
            };
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
