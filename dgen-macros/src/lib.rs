//! `#[dgen_server]`: from an `impl` block to a durable server and its typed client.
//!
//! The attribute does not change the block: what is marked with `#[call]`, `#[cast]` or `#[info]`
//! stays a method like any other, and next to the block appear the messages that ask for those
//! methods, the `impl Server` that answers them, and a handle that sends them. It guarantees that a
//! block it accepts keeps its stored messages readable when handlers and arguments are added,
//! reordered or given defaults; and that a block it refuses is refused at the token that is wrong.
//! It leaves out what the caller says for one message alone: priority, an id, another timeout are
//! methods of what the handle's methods return.
//!
//! ```
//! use dgen_macros::dgen_server;
//! use dgen_server::CallError;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Account {
//!     cents: u64,
//! }
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Overdrawn {
//!     short_by: u64,
//! }
//!
//! #[dgen_server]
//! impl Account {
//!     /// Takes `cents`, if they are there, and returns what is left.
//!     #[call]
//!     fn withdraw(&mut self, cents: u64) -> Result<u64, Overdrawn> {
//!         let short_by = cents.saturating_sub(self.cents);
//!         if short_by > 0 {
//!             return Err(Overdrawn { short_by });
//!         }
//!         self.cents -= cents;
//!         Ok(self.cents)
//!     }
//!
//!     /// Puts `cents` in.
//!     #[cast]
//!     fn deposit(&mut self, cents: u64) {
//!         self.cents += cents;
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let tenant = dgen_server::in_memory()?;
//! let account = AccountHandle::start(&tenant, "ada", ()).await?;
//! account.deposit(500).await?;
//! account.batch().deposit(20).deposit(30).await?;
//! assert!(matches!(account.withdraw(150).await, Ok(400)));
//! assert!(matches!(
//!     account.withdraw(1_000).await,
//!     Err(CallError::Handler(Overdrawn { short_by: 600 })),
//! ));
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! See [`macro@dgen_server`] for the rules and for what is generated.

mod expand;
mod fallback;
mod mistakes;
mod model;
mod parse;
mod self_type;
mod validate;

use proc_macro::TokenStream;
use quote::quote;

use mistakes::Mistakes;

/// Makes a durable server of an inherent `impl` block.
///
/// # Five rules
/// 1. A handler is a plain `fn`: it runs inside a transaction and cannot wait. One that has to is
///    an `async fn` and locked work (see below), outside of any transaction.
/// 2. What it returns is the reply. Everything else it wants done goes through a
///    `cx: &mut Context<Self>` parameter, which may stand anywhere and is no part of the message.
/// 3. Its arguments are owned, `Clone + Serialize + DeserializeOwned + Send + Sync`.
/// 4. It may run more than once; its effects happen once.
/// 5. A method without one of these attributes is left alone.
///
/// # Attributes of methods
/// | | the method | the caller |
/// |---|---|---|
/// | `#[init]` | `fn new(a: A, b: B) -> Self`, or `-> Result<Self, E>` | `start(&tenant, id, (a, b))` |
/// | `#[call]` | `fn get(&self, a: A) -> R`, or `&mut self` to write | `handle.get(a).await?` is `R` |
/// | `#[call]` | `fn take(&mut self) -> Result<R, E>` | an `Err` is the reply, and the state stays as it was |
/// | `#[call]` | `fn next(&mut self, cx: &mut Context<Self>) -> Deferred<R>`, or `Deferred<R, E>` | waits until some handler says `cx.reply(to, &r)` |
/// | `#[call(locked)]` | `async fn charge(&mut self, cx: &mut Locked<Self>) -> Result<R, E>` | like any call |
/// | `#[cast]` | `fn add(&mut self, a: A)` | `handle.add(a).await?`, `handle.batch().add(a).add(b).await?` |
/// | `#[cast(locked)]` | `async fn sync(&mut self, cx: &mut Locked<Self>)` | like any cast |
/// | `#[info]` | `fn tick(&mut self, a: A)` | `handle.tick(a)?`: in this OS process alone, and not stored |
///
/// Without an `#[init]` a server starts from its type's `Default`, and `start` takes `()`; with
/// one, `start` takes `()`, the one argument, or a tuple of them. `E` of an `#[init]` is an
/// `Error`, `E` of a call is anything that serde can carry. A fallible handler spells out
/// `Result<T, E>`: an alias hides the error type, and one that is not even called `Result` makes
/// the whole of it a value, which is replied to with the state as the handler left it.
///
/// A call with `&self` and no context only reads, and is cheap: mostly its caller answers it by itself, from the state in memory, without a
/// copy of it and without a flush (`Server::handle_read`). What it changes all the same, in a
/// `Mutex` or an atomic, is not stored.
///
/// Documentation, `#[cfg]` and `#[deprecated]` on a handler reach everything made from it.
///
/// A locked handler has the server to itself: its message takes the lock in a transaction, later
/// calls and casts queue up, and then it runs, for as long as it likes. Its `cx` is a
/// `&mut Locked<Self>`, the same context with more to it. It may be started again, on another
/// machine, if its process dies; then the earlier run, should it live, commits nothing.
///
/// An info message asks nothing of serde: its arguments are `Clone + Send + Sync`. It is not
/// stored, so it cannot be locked work either, and an `#[info]` has no options.
///
/// # Options of `#[call(..)]` and `#[cast(..)]`
/// - `locked`: the handler is an `async fn`, and its message takes the lock.
/// - `timeout = Duration::from_secs(30)`: how long the client waits, if the caller does not say.
///   Any expression of a `Duration`; `Self` is the server's type. Default: that of
///   `dgen_server::Call` and `Cast`, 5 seconds; a batch has the default whatever its casts say.
/// - `rename = "stored"`: the name that the message is stored under. Default: the method's, so
///   renaming a method then needs this option, or the next.
/// - `alias = "old"`: another name that it is read under; as many as there are.
///
/// # Options of `#[dgen_server(..)]`
/// - `name = "counter"`: the name the server is stored under. Default: the type's identifier, so
///   renaming the type then needs this option. Parameters of a generic type are no part of it.
/// - `crate = "path"`: where `dgen-server` is found. Default: `::dgen_server`.
///
/// # What is stored
/// A message is stored under its method's name, and each argument under its own. So handlers
/// and arguments can be reordered and added; an argument that older messages lack is an `Option` or
/// has a `#[serde(default)]`, a handler that was renamed has an `alias = "old_name"`, and an
/// argument that was renamed a `#[serde(alias = "old_name")]`. Write `#[serde(..)]` on the
/// parameter, or on the method; it goes to the message. Two messages never share a name.
///
/// # What is generated
/// For this block
/// ```
/// # use std::time::Instant;
/// # use dgen_macros::dgen_server;
/// # use dgen_server::Locked;
/// # #[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
/// # pub struct Counter { value: i64 }
/// #[dgen_server]
/// impl Counter {
///     /// Adds `by` and returns the new value.
///     #[call]
///     pub fn increment(&mut self, by: i64) -> i64 {
///         self.value += by;
///         self.value
///     }
///
///     /// The value.
///     #[call]
///     pub fn value(&self) -> i64 {
///         self.value
///     }
///
///     /// Adds what a slow service says.
///     #[call(locked)]
///     pub async fn fetch(&mut self, cx: &mut Locked<Self>, url: String) -> Result<i64, String> {
/// #       let _ = (cx, url);
///         // ..
/// #       Ok(self.value)
///     }
///
///     /// Adds `by`.
///     #[cast]
///     pub fn add(&mut self, by: i64) {
///         self.value += by;
///     }
///
///     /// Something happened in this OS process.
///     #[info]
///     pub fn tick(&mut self, at: Instant) {
/// #       let _ = at;
///         // ..
///     }
/// }
/// # fn main() {}
/// ```
/// this appears after it (paths shortened, documentation left out):
/// ```
/// # use std::{future::IntoFuture, ops::Deref, time::Instant};
/// # use dgen_server::{
/// #     Call, Cast, Context, Handle, InfoError, Locked, LockedWork, Never, Reply, Server, StartError,
/// #     StartOptions, Tenant, Tuid,
/// # };
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Clone, Default, Serialize, Deserialize)]
/// # pub struct Counter { value: i64 }
/// # impl Counter {
/// #     fn increment(&mut self, by: i64) -> i64 { self.value += by; self.value }
/// #     fn value(&self) -> i64 { self.value }
/// #     async fn fetch(&mut self, cx: &mut Locked<Self>, url: String) -> Result<i64, String> {
/// #         let _ = (cx, url);
/// #         Ok(self.value)
/// #     }
/// #     fn add(&mut self, by: i64) { self.value += by; }
/// #     fn tick(&mut self, at: Instant) { let _ = at; }
/// # }
/// #[derive(Clone, Serialize, Deserialize)]
/// pub enum CounterCall {
///     #[serde(rename = "increment")]
///     Increment { by: i64 },
///     #[serde(rename = "value")]
///     Value {},
///     #[serde(rename = "fetch")]
///     Fetch { url: String },
/// }
///
/// #[derive(Clone, Serialize, Deserialize)]
/// pub enum CounterCast {
///     #[serde(rename = "add")]
///     Add { by: i64 },
/// }
///
/// #[derive(Clone)]
/// pub enum CounterInfo { // only if there are infos
///     Tick { at: Instant },
/// }
///
/// impl Server for Counter {
///     const NAME: &'static str = "Counter";
///     type Args = ();
///     type InitError = Never;
///     type Call = CounterCall;
///     type Cast = CounterCast;
///     type Info = CounterInfo; // or `Never`
///
///     fn init(_args: ()) -> Result<Self, Never> {
///         Ok(Self::default())
///     }
///
///     fn handle_call(&mut self, call: CounterCall, cx: &mut Context<Self>) -> Reply {
///         match call {
///             CounterCall::Increment { by } => Reply::ok(&Self::increment(self, by)),
///             read @ CounterCall::Value { .. } => {
///                 self.handle_read(&read).unwrap_or_else(Reply::later)
///             }
///             CounterCall::Fetch { .. } => {
///                 cx.lock();
///                 Reply::later()
///             }
///         }
///     }
///
///     fn handle_cast(&mut self, cast: CounterCast, cx: &mut Context<Self>) {
///         match cast {
///             CounterCast::Add { by } => Self::add(self, by),
///         }
///     }
///
///     // Only if there are calls that only read.
///     fn handle_read(&self, call: &CounterCall) -> Option<Reply> {
///         match call {
///             CounterCall::Value {} => Some(Reply::ok(&Self::value(self))),
///             _ => None,
///         }
///     }
///
///     fn handle_info(&mut self, info: CounterInfo, cx: &mut Context<Self>) {
///         match info {
///             CounterInfo::Tick { at } => Self::tick(self, at),
///         }
///     }
///
///     // Only if there is locked work, of which each future has to be `Send`.
///     async fn handle_locked(&mut self, work: LockedWork<Self>, cx: &mut Locked<Self>) -> Reply {
///         match work {
///             LockedWork::Call(CounterCall::Fetch { url }) => {
///                 match Self::fetch(self, cx, url).await {
///                     Ok(reply) => Reply::ok(&reply),
///                     Err(error) => Reply::err(&error),
///                 }
///             }
///             _ => Reply::later(),
///         }
///     }
/// }
///
/// pub struct CounterHandle(Handle<Counter>); // Clone, Debug, From<Handle<Counter>>
///
/// impl CounterHandle {
///     pub async fn start(
///         tenant: &Tenant,
///         id: impl Into<Tuid>,
///         args: (),
///     ) -> Result<Self, StartError<Never>> {
///         Handle::<Counter>::start(tenant, id, args).await.map(Self)
///     }
///
///     // start_with(tenant, id, args, options), client(tenant, id) and
///     // client_with(tenant, id, options) likewise
///
///     pub fn batch(&self) -> CounterBatch<'_> {
///         CounterBatch { handle: &self.0, casts: Vec::new() }
///     }
///
///     pub fn increment(&self, by: i64) -> Call<'_, Counter, i64, Never> {
///         self.0.call(CounterCall::Increment { by })
///     }
///
///     pub fn fetch(&self, url: String) -> Call<'_, Counter, i64, String> {
///         self.0.call(CounterCall::Fetch { url }) // .timeout(..), if the option is given
///     }
///
///     pub fn add(&self, by: i64) -> Cast<'_, Counter> {
///         self.0.cast(CounterCast::Add { by })
///     }
///
///     pub fn tick(&self, at: Instant) -> Result<(), InfoError> {
///         self.0.info(CounterInfo::Tick { at })
///     }
/// }
///
/// impl Deref for CounterHandle {
///     type Target = Handle<Counter>; // stop, stopped, ..
///
///     fn deref(&self) -> &Handle<Counter> {
///         &self.0
///     }
/// }
///
/// pub struct CounterBatch<'handle> { // only if there are casts
///     handle: &'handle Handle<Counter>,
///     casts: Vec<CounterCast>,
/// }
///
/// impl<'handle> CounterBatch<'handle> {
///     pub fn add(mut self, by: i64) -> Self {
///         self.casts.push(CounterCast::Add { by });
///         self
///     }
///
///     pub fn cast(self) -> Cast<'handle, Counter> {
///         self.handle.cast_all(self.casts)
///     }
/// }
///
/// impl<'handle> From<CounterBatch<'handle>> for Cast<'handle, Counter> {
///     fn from(batch: CounterBatch<'handle>) -> Self {
///         batch.cast()
///     }
/// }
///
/// impl<'handle> IntoFuture for CounterBatch<'handle> {
///     type Output = <Cast<'handle, Counter> as IntoFuture>::Output;
///     type IntoFuture = <Cast<'handle, Counter> as IntoFuture>::IntoFuture;
///
///     fn into_future(self) -> Self::IntoFuture {
///         self.cast().into_future()
///     }
/// }
/// # fn main() {}
/// ```
/// Each method of the handle is as visible as its handler; the handle and the batch are as visible
/// as the most visible of the marked methods, and the type must be no less so. Write `pub`, then, on
/// a handler that other modules are to send. The message enums are always `pub`, because an associated
/// type may not be more private than its server.
///
/// The handle dereferences to `dgen_server::Handle`, whose methods (`stop`, `status`, `kill`, ..)
/// are its own, too. A handler of the same name comes first; theirs is then `(*handle).stop()`. But
/// the names of what is generated, `start`, `start_with`, `client`, `client_with` and `batch`, and
/// `cast` for a cast, are no names for handlers. A batch is sent from another handler, enqueued in a
/// transaction or given an id through its `cast()`, or wherever an `Into<Cast<..>>` is asked for.
///
/// A generic block (`impl<T> Pile<T> where ..`) makes generic messages, handle and batch, under
/// the bounds of the block: these must be enough for the type to be a `Server`.
///
/// # Errors
/// What cannot work is a compile error at the token that is wrong: references, patterns,
/// `impl Trait` and generics in a handler's signature, `async` without `locked`, a context of the
/// wrong kind, a cast that returns something, options that there are not, two attributes on one
/// method, names that clash, and so on. All of them are reported together, and the
/// block itself is emitted in any case, so that an editor goes on understanding it.
#[proc_macro_attribute]
pub fn dgen_server(options: TokenStream, block: TokenStream) -> TokenStream {
    generate(options.into(), block.into()).into()
}

/// The user's block, what is made from it, and what is wrong with it.
fn generate(
    options: proc_macro2::TokenStream,
    block: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut mistakes = Mistakes::default();
    let untouched = fallback::without_helpers(block.clone());
    let options = parse::options(options, &mut mistakes);
    let generated = parse::block(block, &mut mistakes)
        .and_then(|block| validate::server(block, options, &mut mistakes))
        .map(|server| expand::server(&server));
    let mistakes = mistakes.into_compile_errors();
    quote!(#untouched #generated #mistakes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC M3: an editor goes on seeing the block while it is wrong.
    #[test]
    fn the_users_block_comes_first_whatever_is_wrong_with_it() {
        let wrong = [
            (
                quote!(nam = "x"),
                quote!(impl Counter { #[call] fn value(&self) {} }),
            ),
            (
                quote!(),
                quote!(impl Counter { #[call] async fn value(&self) {} }),
            ),
            (
                quote!(),
                quote!(impl Count for Counter { #[cast] fn value(&self) {} }),
            ),
            (
                quote!(),
                quote!(impl Counter { #[call] fn value(&self) { oops } } trailing),
            ),
        ];
        for (options, block) in wrong {
            let untouched = fallback::without_helpers(block.clone()).to_string();
            let generated = generate(options, block).to_string();
            assert!(generated.starts_with(&untouched), "{generated}");
            assert!(generated.contains("compile_error !"), "{generated}");
            assert!(!generated.contains("# [call]"), "{generated}");
        }
    }

    #[test]
    fn a_renamed_crate_is_named_throughout() {
        let block = quote! {
            impl<T> Counter<T> {
                #[init] fn new(by: T) -> Result<Self, Error> {}
                #[call] fn value(&self) -> Result<T, Error> {}
                #[cast(timeout = minute())] fn add(&mut self, by: T) {}
                #[info] fn tick(&mut self) {}
                #[call(locked)] async fn charge(&self) {}
                #[call] fn wait(&mut self) -> Deferred<T, Error> {}
            }
        };
        let generated = generate(quote!(crate = "other::dgen"), block).to_string();
        assert!(generated.contains("other :: dgen :: Server"), "{generated}");
        assert!(
            generated.contains("\"other::dgen::__private::serde\""),
            "{generated}"
        );
        assert!(!generated.contains("dgen_server"), "{generated}");
    }

    #[test]
    fn what_no_handler_asks_for_is_left_out() {
        let plain = quote!(impl Counter { #[call] fn value(&self) {} });
        let generated = generate(quote!(), plain).to_string();
        for name in [
            "CounterInfo",
            "handle_info",
            "handle_locked",
            "CounterBatch",
        ] {
            assert!(!generated.contains(name), "{name}: {generated}");
        }
        assert!(
            generated.contains("type Info = :: dgen_server :: Never"),
            "{generated}"
        );
    }

    /// SPEC S5: an info message asks nothing of serde.
    #[test]
    fn the_enum_of_info_messages_derives_clone_alone() {
        let block = quote!(impl Counter<T> { #[info] fn tick(&mut self, at: T) {} });
        let generated = generate(quote!(), block).to_string();
        let (before, _) = generated.split_once("enum CounterInfo").expect("an enum");
        let (_, attributes) = before.rsplit_once("# [doc").expect("its documentation");
        assert!(attributes.contains("derive"), "{attributes}");
        assert!(!attributes.contains("serde"), "{attributes}");
    }

    #[test]
    fn links_through_self_keep_their_target_in_every_copy() {
        let block = quote! {
            impl tally::Counter<u8> {
                /// See [`Self::plain`] of [`Self`].
                ///
                /// More.
                #[cast] fn add(&mut self) {}
            }
        };
        let generated = generate(quote!(), block).to_string();
        let link = "See [`tally::Counter::plain`] of [`tally::Counter`].";
        // The variant, the handle's method and the batch's; the rest is not for the variant.
        assert_eq!(generated.matches(link).count(), 3, "{generated}");
        assert_eq!(generated.matches("More.").count(), 3, "{generated}");
    }
}
