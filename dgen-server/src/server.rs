//! What a user's type implements, by hand or through `#[dgen_server]`.

use std::{error::Error as StdError, future::Future};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Context, Locked, LockedWork, Reply, Tuid};

/// A durable server: its fields are the state, its handlers change it.
///
/// Handlers run inside a transaction. They are plain functions, so they can't wait; a handler may
/// run more than once, and its effects happen once; it sees no clock and no randomness but the
/// [`Context`]'s. What a handler changes is committed together with the removal of its message
/// from the queue and with its reply, or none of it is.
///
/// `#[dgen_server]` of crate `dgen-macros` writes this impl, the message types and a typed handle.
/// By hand it looks like this:
///
/// # Examples
/// ```
/// use dgen_server::{Context, Handle, Never, Reply, Server};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Counter { value: i64 }
///
/// #[derive(Clone, Serialize, Deserialize)]
/// enum CounterCall { Increment { by: i64 } }
///
/// impl Server for Counter {
///     const NAME: &'static str = "Counter";
///     type Args = ();
///     type InitError = Never;
///     type Call = CounterCall;
///     type Cast = Never;
///     type Info = Never;
///
///     fn init((): ()) -> Result<Self, Never> {
///         Ok(Self::default())
///     }
///
///     fn handle_call(&mut self, call: CounterCall, _cx: &mut Context<Self>) -> Reply {
///         match call {
///             CounterCall::Increment { by } => {
///                 self.value += by;
///                 Reply::ok(&self.value)
///             }
///         }
///     }
///
///     fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
///         match cast {}
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let tenant = dgen_server::in_memory()?;
/// let counter = Handle::<Counter>::start(&tenant, "demo", ()).await?;
/// let value: i64 = counter.call::<i64, Never>(CounterCall::Increment { by: 2 }).await?;
/// assert_eq!(value, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Large states
/// A message is handled on a clone of the state, which is then encoded and compared with what is stored, so that
/// only what changed is written. That takes time with each message that changes something, and the more the larger the
/// state: tens of milliseconds for 100,000 items in a `Vec`. A [`List`](crate::List) of items that have an `id` is cloned,
/// encoded and compared by what changed, and a `Vec` in a stored state can become a `List` as it is:
///
/// ```
/// use dgen_server::{List, Never};
/// # use dgen_server::{Context, Handle, Reply, Server};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Shop { orders: List<Order> }
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Order { id: String, is_paid: bool }
///
/// # #[derive(Clone, Serialize, Deserialize)]
/// # enum ShopCall { Take { count: usize }, Pay { place: usize } }
/// # impl Server for Shop {
/// #     const NAME: &'static str = "Shop";
/// #     type Args = ();
/// #     type InitError = Never;
/// #     type Call = ShopCall;
/// #     type Cast = Never;
/// #     type Info = Never;
/// #     fn init((): ()) -> Result<Self, Never> {
/// #         Ok(Self::default())
/// #     }
/// // A handler uses it as it would a `Vec`.
/// fn handle_call(&mut self, call: ShopCall, _cx: &mut Context<Self>) -> Reply {
///     match call {
///         ShopCall::Take { count } => {
///             let first = self.orders.len();
///             let order = |number| Order { id: format!("order-{number}"), is_paid: false };
///             self.orders.extend((first..first + count).map(order));
///             Reply::ok(&self.orders.len())
///         }
///         ShopCall::Pay { place } => {
///             self.orders[place].is_paid = true;
///             Reply::ok(&self.orders.iter().filter(|order| order.is_paid).count())
///         }
///     }
/// }
/// #     fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
/// #         match cast {}
/// #     }
/// # }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let tenant = dgen_server::in_memory()?;
/// let shop = Handle::<Shop>::start(&tenant, "corner", ()).await?;
/// let orders = shop.call::<usize, Never>(ShopCall::Take { count: 1_000 }).await?;
/// let paid = shop.call::<usize, Never>(ShopCall::Pay { place: 700 }).await?;
/// assert_eq!((orders, paid), (1_000, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Server: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name under which servers of this type are stored. Changing it makes new servers.
    const NAME: &'static str;

    /// What [`init`](Self::init) takes.
    type Args: Send + 'static;

    /// Why [`init`](Self::init) can fail; [`Never`](crate::Never) if it can't.
    type InitError: StdError + Send + Sync + 'static;

    /// The messages that are answered. Stored as named MessagePack.
    type Call: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// The messages that are not.
    type Cast: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;

    /// Local messages, which are not stored; [`Never`](crate::Never) if there are none. A clone is
    /// handled at each attempt.
    type Info: Clone + Send + Sync + 'static;

    /// The state of a server that has none yet. Called at every start, before the store is looked
    /// at; a state that exists wins over what this returns.
    ///
    /// # Errors
    /// Yours; the start fails with it.
    fn init(args: Self::Args) -> Result<Self, Self::InitError>;

    /// The id of the server that `args` start, for a caller who gives none. Default: none, so that
    /// there is one server of this type in a tenant.
    #[must_use]
    fn id(args: &Self::Args) -> Tuid {
        let _ = args;
        Tuid::default()
    }

    /// Answers `call`. On [`Reply::err`] the state stays what it was before.
    fn handle_call(&mut self, call: Self::Call, cx: &mut Context<Self>) -> Reply;

    /// Answers `call` if it only reads; None if it is one for [`handle_call`](Self::handle_call), which is not
    /// asked where this answers. Default: none only reads. The macro does this for calls with `&self` and no context.
    ///
    /// A read costs neither a copy of the state nor a comparison with it. Where a process next
    /// door waits for something to do, the caller does all of it in its own task, and several callers at once; one key
    /// of the store tells them that the state in memory is still the current one. Else it takes its place
    /// among the other messages, as does one with an [id](crate::Call::id). Either way it sees all that was acknowledged before
    /// it was sent, and nothing that is not committed; and it needs no flush, unless it comes through the queue or has an id.
    ///
    /// It may be asked more than once, also on a state that turns out to be an old one: then the answer is thrown away.
    /// It is not to block: its caller may be the one whose thread it holds up. What it changes in the state all the
    /// same, in a `Mutex` or an atomic, is not stored, and may be seen or not.
    ///
    /// # Examples
    /// ```
    /// # use dgen_server::{Context, Handle, Never, Reply, Server};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Default, Serialize, Deserialize)]
    /// # struct Counter { value: i64 }
    /// #[derive(Clone, Serialize, Deserialize)]
    /// enum CounterCall { Increment { by: i64 }, Value }
    ///
    /// # impl Server for Counter {
    /// #     const NAME: &'static str = "Counter";
    /// #     type Args = ();
    /// #     type InitError = Never;
    /// #     type Call = CounterCall;
    /// #     type Cast = Never;
    /// #     type Info = Never;
    /// #     fn init((): ()) -> Result<Self, Never> {
    /// #         Ok(Self::default())
    /// #     }
    /// fn handle_read(&self, call: &CounterCall) -> Option<Reply> {
    ///     match call {
    ///         CounterCall::Value => Some(Reply::ok(&self.value)),
    ///         CounterCall::Increment { .. } => None,
    ///     }
    /// }
    ///
    /// fn handle_call(&mut self, call: CounterCall, _cx: &mut Context<Self>) -> Reply {
    ///     if let CounterCall::Increment { by } = call {
    ///         self.value += by;
    ///     }
    ///     Reply::ok(&self.value)
    /// }
    /// #     fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
    /// #         match cast {}
    /// #     }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// # let tenant = dgen_server::in_memory()?;
    /// # let counter = Handle::<Counter>::start(&tenant, "demo", ()).await?;
    /// # let value: i64 = counter.call::<i64, Never>(CounterCall::Increment { by: 2 }).await?;
    /// # assert_eq!(value, 2);
    /// let value: i64 = counter.call::<i64, Never>(CounterCall::Value).await?;
    /// assert_eq!(value, 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn handle_read(&self, call: &Self::Call) -> Option<Reply> {
        let _ = call;
        None
    }

    /// Handles `cast`.
    fn handle_cast(&mut self, cast: Self::Cast, cx: &mut Context<Self>);

    /// Handles `info`, in a transaction of its own that skips the queue and ignores the lock. It is
    /// not durable: if the transaction fails, or the process ends, it is gone. Default: does nothing.
    fn handle_info(&mut self, info: Self::Info, cx: &mut Context<Self>) {
        let _ = (info, cx);
    }

    /// Does the work of a message whose handler called [`Context::lock`]: outside of any transaction,
    /// and as long as it likes.
    ///
    /// `self` is a copy of the state. What the work changes in it is committed with the reply and with
    /// what `cx` is told to do, all of it or nothing, and only if the lock is still held then. Fields
    /// and list items that priority or info messages changed meanwhile keep their change, unless the
    /// work has changed the same ones ([`dgen_codec::merge`]). On [`Reply::err`] the state stays as it
    /// is.
    ///
    /// If the process dies, another takes the lock over when its lease has ended, and does the work
    /// again: so it may run more than once, and what it does outside is to bear that.
    /// [`Locked::fence`] helps. A panicking work is tried
    /// [`max_attempts`](crate::StartOptions::max_attempts) times; then the message is a dead letter.
    /// Default: gives no reply.
    ///
    /// # Cancel safety
    /// The work is dropped at an `.await` if the process is stopped or loses the lock. It is then done
    /// again from its beginning.
    fn handle_locked(
        &mut self,
        work: LockedWork<Self>,
        cx: &mut Locked<Self>,
    ) -> impl Future<Output = Reply> + Send {
        let _ = (work, cx);
        async { Reply::later() }
    }
}
