//! What a handler may use beside its state and its message.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use dgen_backend::Tenant;
use serde::Serialize;

use crate::{
    Cast, Deferred, Failure, Flow, Handle, ReplyTo, Server, Timer, Tuid,
    address::Address,
    clock,
    effects::{Action, Effect, Effects},
    message::{Envelope, From, Kind, MessageId},
    reply::Answer,
    timer::Timed,
};

/// The world as a handler sees it. A handler takes it as its last parameter, if it needs it.
///
/// Whatever it is told to do happens with the commit of the handler's transaction, or not at all: a
/// handler that fails, or whose transaction is tried again, has sent nothing.
///
/// # Examples
/// ```
/// use dgen_macros::dgen_server;
/// use dgen_server::Context;
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Account { cents: u64 }
///
/// #[dgen_server]
/// impl Account {
///     /// Moves `cents` to `other`: both accounts change, or none does.
///     #[call]
///     fn transfer(&mut self, other: String, cents: u64, cx: &mut Context<Self>) -> Result<u64, String> {
///         self.cents = self.cents.checked_sub(cents).ok_or("not enough")?;
///         cx.send(AccountHandle::client(cx.tenant(), other.as_str()).deposit(cents));
///         cx.after_commit(|account: &Account| println!("{} left", account.cents));
///         Ok(self.cents)
///     }
///
///     #[cast]
///     fn deposit(&mut self, cents: u64) {
///         self.cents += cents;
///     }
/// }
/// # fn main() {}
/// ```
pub struct Context<S: Server> {
    address: Arc<Address>,
    /// The moment of the transaction; none for locked work, which is in none.
    now: Option<SystemTime>,
    message: MessageContext,
    effects: Effects<S>,
}

/// The message that is being handled.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageContext {
    /// Where its reply goes.
    pub(crate) caller: Caller,
    /// Its caller's name for it.
    pub(crate) id: Option<MessageId>,
    /// When its timer was due, if it is a timer's.
    pub(crate) due: Option<SystemTime>,
}

impl MessageContext {
    /// That of a message of the queue. The caller of a call that is replayed is gone: a reply that is
    /// deferred goes nowhere.
    pub(crate) fn of(envelope: &Envelope) -> Self {
        let without = match envelope.kind {
            Kind::Call => Caller::Here,
            Kind::Cast => Caller::None,
        };
        Self {
            caller: envelope.from.map_or(without, Caller::Key),
            id: envelope.id.clone(),
            due: envelope.due_at(),
        }
    }
}

/// Where the reply to a message goes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Caller {
    /// Nobody waits.
    #[default]
    None,
    /// A caller in this OS process waits, without a reply key.
    Here,
    /// A reply key.
    Key(From),
}

/// When the timer was due that sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Due {
    /// The time that was asked for.
    pub at: SystemTime,
    /// How much later than that the message is handled.
    pub late: Duration,
}

impl<S: Server> Context<S> {
    pub(crate) fn new(address: Arc<Address>) -> Self {
        Self {
            now: Some(address.tenant.env().wall_clock()),
            address,
            message: MessageContext::default(),
            effects: Effects::default(),
        }
    }

    /// That of locked work, whose time goes on.
    pub(crate) fn outside(address: Arc<Address>, message: MessageContext) -> Self {
        Self {
            now: None,
            address,
            message,
            effects: Effects::default(),
        }
    }

    /// The next message is handled.
    pub(crate) fn begin(&mut self, message: MessageContext) {
        self.message = message;
        self.effects = Effects::default();
    }

    /// The next cast of a batch is handled: its actions are its own.
    pub(crate) fn begin_next_of_batch(&mut self) {
        let last = self.effects.actions.last();
        if last.is_some_and(|actions| !actions.is_empty()) {
            self.effects.actions.push(Vec::new());
        }
    }

    /// What the handler wanted done.
    pub(crate) fn take_effects(&mut self) -> Effects<S> {
        mem::take(&mut self.effects)
    }

    /// The id of this server.
    #[must_use]
    pub fn id(&self) -> &Tuid {
        &self.address.id
    }

    /// The calendar's time: one moment for the whole transaction, and for locked work the time that
    /// it is.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.now
            .unwrap_or_else(|| self.address.tenant.env().wall_clock())
    }

    /// `N` random bytes.
    #[must_use]
    pub fn random<const N: usize>(&self) -> [u8; N] {
        self.address.tenant.env().random()
    }

    /// The tenant of this server: what a handle of another one is made of.
    #[must_use]
    pub fn tenant(&self) -> &Tenant {
        &self.address.tenant
    }

    /// A handle of this very server, to send to oneself. It starts nothing.
    #[must_use]
    pub fn handle(&self) -> Handle<S> {
        Handle::of(Arc::clone(&self.address))
    }

    /// Sends `cast`, or a batch of casts, to a server of the same database, this one included. It
    /// enters that server's queue with the commit of this handler's transaction, in the order of
    /// this handler's other sends, or not at all. The server need not be running.
    ///
    /// # Errors
    /// A cast that can't be encoded, or goes to another database, is an error of this handler, as a
    /// panic is: nothing of what it did counts.
    pub fn send<'a, T: Server>(&mut self, cast: impl Into<Cast<'a, T>>) {
        if let Some((to, envelopes)) = self.encode(cast.into()) {
            self.effects.writes.push(Effect::Send { to, envelopes });
        }
    }

    /// Sends `cast` after `delay`: durable, once, at or after that time by the clock of whichever
    /// machine consumes the receiver's messages then. What was due while nobody did is sent
    /// when somebody does; [`due`](Self::due) says how late it is.
    ///
    /// # Errors
    /// As [`send`](Self::send); also casts of more than 100,000 bytes, encoded.
    pub fn send_after<'a, T: Server>(
        &mut self,
        delay: Duration,
        cast: impl Into<Cast<'a, T>>,
    ) -> Timer<'_> {
        let due_millis = clock::to_millis_up(self.now()).saturating_add(clock::millis(delay));
        self.set_timer(due_millis, None, cast.into())
    }

    /// [`send_after`](Self::send_after), at a time.
    ///
    /// # Errors
    /// As there.
    pub fn send_at<'a, T: Server>(
        &mut self,
        time: SystemTime,
        cast: impl Into<Cast<'a, T>>,
    ) -> Timer<'_> {
        self.set_timer(clock::to_millis_up(time), None, cast.into())
    }

    /// Sends `cast` after `period`, and again after each further one, until the receiver's timer of
    /// that key is [cancelled](Self::cancel) or set anew. At least a millisecond. What was missed while
    /// nobody consumed is sent once, and the next comes at the next multiple of the period.
    ///
    /// # Errors
    /// As [`send_after`](Self::send_after); also a cast with an [id](Cast::id), which would take effect
    /// the first time only.
    pub fn send_every<'a, T: Server>(
        &mut self,
        key: impl Into<String>,
        period: Duration,
        cast: impl Into<Cast<'a, T>>,
    ) {
        let cast = cast.into();
        if cast.has_id() {
            self.fail("a cast that is sent every so often has an id");
            return;
        }
        let every_millis = clock::millis(period).max(1);
        let due_millis = clock::to_millis_up(self.now()).saturating_add(every_millis);
        self.set_timer(due_millis, Some(every_millis), cast)
            .key(key);
    }

    /// Cancels this server's timer of that key, if there is one. What it has sent already stays in
    /// the queue.
    pub fn cancel(&mut self, key: impl Into<String>) {
        let to = Arc::clone(&self.address);
        let key = key.into();
        self.effects.writes.push(Effect::CancelTimer { to, key });
    }

    /// Cancels the timer of that key at another server.
    pub fn cancel_of<T: Server>(&mut self, server: &Handle<T>, key: impl Into<String>) {
        let to = Arc::clone(server.address());
        if self.is_reachable(&to) {
            let key = key.into();
            self.effects.writes.push(Effect::CancelTimer { to, key });
        }
    }

    /// When the timer was due that sent this message; none if no timer did.
    #[must_use]
    pub fn due(&self) -> Option<Due> {
        self.message.due.map(|at| Due {
            at,
            late: self.now().duration_since(at).unwrap_or_default(),
        })
    }

    /// Makes the reply to this call come later: keep the first, in the state or at another server,
    /// and return the second.
    ///
    /// # Errors
    /// In a handler of a cast or an info nobody waits: an error of the handler, as a panic is.
    pub fn defer<T, E>(&mut self) -> (ReplyTo<T, E>, Deferred<T, E>) {
        let from = match self.message.caller {
            Caller::Key(from) => from,
            Caller::Here => self.address.calls.new_call(),
            Caller::None => {
                self.fail("a reply was deferred where nobody waits for one");
                self.address.calls.new_call()
            }
        };
        // Asked for twice it is the same caller.
        let from = *self.effects.deferred.get_or_insert(from);
        let server = self.address.keys.prefix();
        let id = self.message.id.clone();
        (ReplyTo::new(server, from, id), Deferred::new())
    }

    /// Answers a call whose reply was [deferred](Self::defer), with `value`. If its caller has given
    /// up, or was answered before, nothing happens.
    ///
    /// # Errors
    /// A value that can't be encoded is an error of this handler, as a panic is.
    pub fn reply<T: Serialize, E>(&mut self, to: ReplyTo<T, E>, value: &T) {
        self.answer(to, Answer::ok(value));
    }

    /// Answers a call whose reply was deferred with the handler's error.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn reply_err<T, E: Serialize>(&mut self, to: ReplyTo<T, E>, error: &E) {
        self.answer(to, Answer::err(error));
    }

    /// Locks the server: once this handler's transaction is committed,
    /// [`Server::handle_locked`] works on this message, outside of any transaction and as long as it
    /// likes. Until it is done, calls and casts wait in the queue; priority and info messages go
    /// through.
    ///
    /// A call returns [`Reply::later`](crate::Reply::later) then; with [`Reply::err`](crate::Reply::err)
    /// nothing is locked. What the handler did until here (state, sends, timers) is committed with the
    /// lock, and stays whatever the work comes to.
    ///
    /// # Errors
    /// To lock in an info or in locked work, or to lock and answer, is an error of the handler, as a
    /// panic is.
    pub fn lock(&mut self) {
        self.effects.is_locking = true;
    }

    /// Ends the process that runs this handler, once what it did is committed and its actions have
    /// run. The server, its state and its queue stay.
    pub fn stop(&mut self, reason: impl Into<String>) {
        self.effects.stop = Some(reason.into());
    }

    /// Runs `action` after the commit, with the committed state: in the order of the handler's
    /// actions, until one returns [`ControlFlow::Break`](std::ops::ControlFlow::Break).
    ///
    /// An action runs at most once: a crash between the commit and the action skips it, and so does a
    /// panic in an earlier one of the same handler. Callers in this OS process get their answers after
    /// it, so let it be short; spawn what takes longer.
    pub fn after_commit<R: Flow>(&mut self, action: impl FnOnce(&S) -> R + Send + 'static) {
        let action = |state: &S| action(state).into_control_flow();
        let action: Action<S> = Box::new(action);
        match self.effects.actions.last_mut() {
            Some(actions) => actions.push(action),
            None => self.effects.actions.push(vec![action]),
        }
    }

    /// The handler asked for what can't be.
    fn fail(&mut self, what: &str) {
        self.effects.failure.get_or_insert(Failure::Misused {
            what: what.to_owned(),
        });
    }

    fn answer<T, E>(&mut self, to: ReplyTo<T, E>, answer: Result<Answer, String>) {
        match answer {
            Ok(answer) => self.effects.writes.push(Effect::Reply {
                server: to.server().to_vec(),
                from: to.from(),
                id: to.id().cloned(),
                answer,
            }),
            Err(reason) => self.fail(&format!("a reply can't be encoded: {reason}")),
        }
    }

    fn set_timer<T: Server>(
        &mut self,
        due_millis: u64,
        every_millis: Option<u64>,
        cast: Cast<'_, T>,
    ) -> Timer<'_> {
        let Some((to, envelopes)) = self.encode(cast) else {
            return Timer::none();
        };
        let timed = Timed::new(&envelopes, every_millis);
        if timed.to_bytes().len() > Timed::SIZE_MAX_BYTES {
            self.fail("a timer's casts have more than 100,000 bytes");
            return Timer::none();
        }
        self.effects.writes.push(Effect::SetTimer {
            to,
            due_millis,
            key: None,
            timed,
        });
        match self.effects.writes.last_mut() {
            Some(Effect::SetTimer { key, .. }) => Timer::of(key),
            _ => Timer::none(),
        }
    }

    /// The receiver of `cast` and what its queue gets.
    fn encode<T: Server>(&mut self, cast: Cast<'_, T>) -> Option<(Arc<Address>, Vec<Envelope>)> {
        let to = Arc::clone(cast.address());
        if !self.is_reachable(&to) {
            return None;
        }
        match cast.to_envelopes() {
            Ok(envelopes) => Some((to, envelopes)),
            Err(failure) => {
                self.fail(&failure.to_string());
                None
            }
        }
    }

    /// Whether a server is in the same database, so that one transaction reaches both.
    fn is_reachable(&mut self, server: &Address) -> bool {
        let is_same = self
            .address
            .tenant
            .database()
            .is_same(server.tenant.database());
        if !is_same {
            self.fail("a message to a server of another database is no part of this transaction");
        }
        is_same
    }
}

impl<S: Server> fmt::Debug for Context<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("server", &S::NAME)
            .field("id", &self.address.id)
            .finish()
    }
}
