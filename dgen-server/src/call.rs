//! Sending what is answered.
//!
//! A process next door takes the call without the queue. Otherwise it is pushed, together with a
//! key that says that somebody waits; whoever consumes the server writes the answer there. The caller
//! watches it, from the same transaction on, and polls slowly in case the watch is lost.
//!
//! The message itself says that its caller waits: so who answers it need not look for that key, which
//! it could do only once it has read the message, in a second round trip (SPEC F3). In return a caller
//! who gives up looks for its message in the queue, and changes it there.

use std::{
    fmt,
    future::{Future, IntoFuture, poll_fn},
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use dgen_backend::{Error, Transaction, Watch, tuple::Subspace};
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
    outbox::{bytes_of, write_waiting_for},
    polling::{Polling, note_lost_watch},
    reading,
    remedy::AttemptError,
    reply::{Answer, AtReplyKey},
    urgent,
    waking::{Waking, Watched},
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
        match env.timeout(after, pin!(sent.answer())).await {
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
    /// Mostly the answer comes from next door. The other ways are boxed: else every call allocates, and
    /// moves, the room that they need.
    async fn answer(self) -> Result<Readable, Failure> {
        let address = self.handle.address();
        let poll_interval = address.poll_interval();
        let mailbox = self.handle.mailbox();
        if let Some(mailbox) = mailbox.as_ref().filter(|_| self.is_plain())
            && let Some(answer) = reading::read(address, mailbox, &self.call).await
        {
            return Ok(Ok(answer));
        }
        let done = match mailbox {
            Some(mailbox) if self.is_priority => mailbox.send_urgent(self.unit()).await,
            Some(mailbox) => mailbox.send(self.unit()).await,
            None => Err(Refused::NotHandled),
        };
        let done = match done {
            Err(Refused::NotHandled) if self.is_priority => {
                Box::pin(urgent::handle_here(address, &self.unit())).await
            }
            done => done,
        };
        let (queued, watch) = match done {
            Ok(Outcome::Answered(answer)) => return Ok(Ok(answer)),
            Ok(Outcome::Later(waiting)) => {
                let queued = Queued::new(address, waiting, self.until_millis);
                let look = Box::pin(queued.look()).await?;
                return Box::pin(queued.answer(look, poll_interval)).await;
            }
            Ok(Outcome::Done) => return Ok(Err("the handler gave no answer".to_owned())),
            Err(Refused::Failed(failure)) => return Err(failure),
            Err(Refused::NotHandled) => Box::pin(self.push()).await?,
        };
        // Nobody answers before it is pushed, so there is nothing to look for yet.
        Box::pin(queued.answer(Look::Waiting(watch), poll_interval)).await
    }

    /// Whether it is a call like most: that is no priority, and is not remembered.
    fn is_plain(&self) -> bool {
        !self.is_priority && self.id.is_none()
    }

    fn unit(&self) -> Unit<S> {
        let message = Message::Call(self.call.clone());
        Unit::new(message, self.id.clone(), self.until_millis)
    }

    /// Pushes the call and, in the same transaction, watches where its answer comes.
    async fn push(self) -> Result<(Queued, Result<Watch, Error>), Failure> {
        let address = self.handle.address();
        let (from, until_millis) = (address.calls.new_call(), self.until_millis);
        let id = self.id.map(|id| MessageId { id, index: 0 });
        let envelope = Envelope {
            // Whoever waits for ever is looked for: it leaves nothing that would find its message.
            until: (until_millis != clock::NEVER_MILLIS).then_some(until_millis),
            ..Envelope::call::<S>(&self.call, Some(from), id)?
        };
        let item = bytes_of(&envelope);
        // Made before the push, so that a caller who gives up in the middle of it cleans up too.
        let waiting = address.calls.wait_for_call(from);
        let queued = Queued::new(address, waiting, self.until_millis);
        let push = |tx: Transaction| -> Result<_, Error> {
            let place = address.keys.queue().push(&tx, &item)?;
            write_waiting_for(&tx, &address.keys, (&from, until_millis), &place)?;
            // Of what is written here: neither a read nor a conflict.
            Ok(tx.watch(&dgen_codec::first_chunk_key(&queued.key)))
        };
        let watch = address
            .tenant
            .transact(|tx| std::future::ready(push(tx)))
            .await?;
        Ok((queued, watch))
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
    left: Left,
}

/// What is left in the store for a caller that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The reply key and perhaps, in the queue, its message.
    Waiting,
    /// The answer.
    Answer,
    Nothing,
}

/// What a look at the reply key found.
enum Look {
    Answered(Readable),
    /// What is there can't be read, and stays.
    Damaged(String),
    /// Nothing yet. There is no watch where there are too many.
    Waiting(Result<Watch, Error>),
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
            left: Left::Waiting,
        }
    }

    /// Waits for the answer, `look` being what there was to see until now.
    async fn answer(mut self, look: Look, poll_interval: Duration) -> Result<Readable, Failure> {
        let env = self.address.tenant.env().clone();
        let mut polling = Polling::new(poll_interval);
        let (mut look, mut gone_since) = (look, None);
        loop {
            let mut waking = match look {
                Look::Answered(answer) => {
                    // It is taken away behind: the caller need not wait for that.
                    self.left = Left::Answer;
                    return Ok(answer);
                }
                Look::Damaged(reason) => {
                    self.left = Left::Nothing;
                    return Ok(Err(reason));
                }
                Look::Waiting(watch) => {
                    let pause = polling.pause();
                    Waking::watching(Watched::Reply, watch, &env, poll_interval, pause)
                }
                Look::Gone { is_killed } => {
                    let since = *gone_since.get_or_insert_with(|| env.now());
                    if is_killed || env.now() - since >= ANSWER_WAIT_MAX {
                        self.left = Left::Nothing;
                        // It may have come just now.
                        let answer = self.waiting.answer.try_recv();
                        return answer.map(Ok).map_err(|_| Failure::Killed);
                    }
                    // Whoever took it away for a caller here hands the answer over next.
                    Waking::after(&env, poll_interval)
                }
            };
            if let Some(answer) = wait(&mut self.waiting, &mut waking).await {
                self.left = Left::Nothing;
                return Ok(Ok(answer));
            }
            match waking.lost() {
                Some(error) => {
                    note_lost_watch(&self.address, error);
                    polling.slow_down();
                }
                None => polling.reset(),
            }
            look = self.look().await?;
        }
    }

    /// Looks at the reply key.
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
                return Ok(Look::Damaged(damaged.to_string()));
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
                Ok(Look::Waiting(watch))
            }
            AtReplyKey::Answered(answer) => Ok(Look::Answered(answer)),
        }
    }
}

/// Takes away what a caller has left that waited until then.
async fn take_away(
    tx: &Transaction,
    address: &Address,
    from: &From,
    until_millis: u64,
    left: Left,
) -> Result<(), AttemptError> {
    let keys = &address.keys;
    if left == Left::Waiting {
        give_up(tx, address, from, until_millis).await?;
    }
    dgen_codec::clear_chunks(tx, &keys.reply(from))?;
    agenda::forget_sweep_of_reply(tx, keys, from, until_millis)?;
    Ok(())
}

/// Has the caller's message say that nobody waits any more, if it is still in the queue. Whoever
/// handles it conflicts with this: either there is an answer, which is taken away, or there will be
/// none.
async fn give_up(
    tx: &Transaction,
    address: &Address,
    from: &From,
    until_millis: u64,
) -> Result<(), AttemptError> {
    let (keys, queue) = (&address.keys, address.keys.queue());
    let Some(place) = agenda::place_of_message(tx, keys, from, until_millis).await? else {
        return Ok(());
    };
    if let Some(item) = queue.find(tx, &place).await?
        && let Ok(envelope) = Envelope::from_bytes(item.bytes())
    {
        let envelope = Envelope {
            until: None,
            ..envelope
        };
        queue.replace(tx, &item, &bytes_of(&envelope))?;
    }
    Ok(())
}

/// Waits for the answer from next door, or until it is time to look: then none.
async fn wait(waiting: &mut WaitingCall, waking: &mut Waking) -> Option<Answer> {
    poll_fn(|cx| {
        if let Poll::Ready(Ok(answer)) = Pin::new(&mut waiting.answer).poll(cx) {
            return Poll::Ready(Some(answer));
        }
        waking.poll(cx).map(|()| None)
    })
    .await
}

impl Drop for Queued {
    fn drop(&mut self) {
        if self.left == Left::Nothing {
            return;
        }
        let address = Arc::clone(&self.address);
        let (from, until_millis, left) = (self.waiting.from, self.until_millis, self.left);
        let clean = async move {
            let (address, from) = (&*address, &from);
            let cleared = address.tenant.transact(|tx| async move {
                take_away(&tx, address, from, until_millis, left).await
            });
            if let Err(error) = cleared.await {
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
