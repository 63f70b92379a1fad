//! Each mistake, and what the model holds of a block without any.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::LitStr;

use super::*;
use crate::model::StoredName;

fn judged(options: TokenStream, block: TokenStream) -> (Option<Server>, Vec<String>) {
    let mut mistakes = Mistakes::default();
    let options = crate::parse::options(options, &mut mistakes);
    let block = crate::parse::block(block, &mut mistakes).expect("an impl block");
    let server = server(block, options, &mut mistakes);
    (server, mistakes.messages())
}

/// The one mistake in a block with this one method.
fn mistake(method: TokenStream) -> String {
    let (_, mut mistakes) = judged(quote!(), quote!(impl Counter { #method }));
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.remove(0)
}

fn model(block: TokenStream) -> Server {
    let (server, mistakes) = judged(quote!(), block);
    assert_eq!(mistakes, Vec::<String>::new());
    server.expect("a model of a block without mistakes")
}

fn text(tokens: impl ToTokens) -> String {
    tokens.to_token_stream().to_string()
}

/// SPEC M3
#[test]
fn a_mistake_says_what_to_write_instead() {
    let cases = [
        (
            quote!(
                #[call]
                fn f(&self, a: &str) {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, a: Option<&[u8]>) {}
            ),
            "write `Vec<u8>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, a: Cow<'_, str>) {}
            ),
            "write `'static`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, cx: &Context<Self>) {}
            ),
            "write `&mut Context<Self>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self, a: impl Into<u8>) {}
            ),
            "write the type's name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, (a, b): (u8, u8)) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, _: u8) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, ref a: u8) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[call]
                fn f(&self, #[cfg(unix)] a: u8) {}
            ),
            "two whole handlers",
        ),
        (
            quote!(
                #[call]
                async fn f(&self) {}
            ),
            "without `async`",
        ),
        (
            quote!(
                #[call]
                unsafe fn f(&self) {}
            ),
            "without `unsafe`",
        ),
        (
            quote!(
                #[call]
                fn f<T>(&self, a: T) {}
            ),
            "parameter of the `impl`",
        ),
        (
            quote!(
                #[call]
                fn f<'a>(&'a self) {}
            ),
            "remove the lifetime",
        ),
        (
            quote!(
                #[call]
                fn f(&self)
                where
                    u8: Copy,
                {
                }
            ),
            "move them to the `impl`",
        ),
        (
            quote!(
                #[call]
                fn f() {}
            ),
            "begin with `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(a: u8) {}
            ),
            "begin with `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(self) {}
            ),
            "write `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(self: Box<Self>) {}
            ),
            "write `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> &str {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> impl Copy {}
            ),
            "write the type's name",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> io::Result<u8> {}
            ),
            "write `Result<T, E>`",
        ),
        (
            quote!(
                #[call]
                fn start(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[call]
                fn start_with(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[call]
                fn client(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[cast]
                fn batch(&mut self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[call]
                fn client_with(&self) {}
            ),
            "choose another name",
        ),
        (
            quote!(
                #[cast]
                fn cast(&mut self) {}
            ),
            "the batch has a `cast` of its own: choose another name",
        ),
        (
            quote!(
                #[call(quick)]
                fn f(&self) {}
            ),
            "there is no option `quick`: write `locked`, `timeout = ..`, `rename = \"..\"` or `alias = \"..\"`",
        ),
        (
            quote!(
                #[call("quick")]
                fn f(&self) {}
            ),
            "write `locked`",
        ),
        (
            quote!(
                #[call = 5]
                fn f(&self) {}
            ),
            "write `locked`",
        ),
        (
            quote!(
                #[call(timeout)]
                fn f(&self) {}
            ),
            "write `timeout = Duration::from_secs(30)`",
        ),
        (
            quote!(
                #[call(timeout = 5)]
                fn f(&self) {}
            ),
            "write `timeout = Duration::from_secs(5)`",
        ),
        (
            quote!(
                #[cast(timeout = "5s")]
                fn f(&mut self) {}
            ),
            "write `timeout = Duration::from_secs(30)`",
        ),
        (
            quote!(
                #[call(timeout = a(), timeout = b())]
                fn f(&self) {}
            ),
            "keep one of them",
        ),
        (
            quote!(
                #[cast(rename = a)]
                fn f(&mut self) {}
            ),
            "write it between quotes",
        ),
        (
            quote!(
                #[cast(rename = "")]
                fn f(&mut self) {}
            ),
            "at least one character",
        ),
        (
            quote!(
                #[cast(alias)]
                fn f(&mut self) {}
            ),
            "write `alias = \"..\"`",
        ),
        (
            quote!(
                #[cast(alias = "f")]
                fn f(&mut self) {}
            ),
            "`f` is given twice",
        ),
        (
            quote!(
                #[call(rename = "g")]
                #[serde(rename = "h")]
                fn f(&self) {}
            ),
            "gives the stored name already",
        ),
        (
            quote!(
                #[call(locked = true)]
                async fn f(&self) {}
            ),
            "write just `locked`",
        ),
        (
            quote!(
                #[call(locked, locked)]
                async fn f(&self) {}
            ),
            "keep one of them",
        ),
        (
            quote!(
                #[call(locked)]
                fn f(&self) {}
            ),
            "write `async fn`",
        ),
        (
            quote!(
                #[cast]
                async fn f(&mut self) {}
            ),
            "write `#[cast(locked)]`, or `fn` without `async`",
        ),
        (
            quote!(
                #[call(locked)]
                async fn f(self) {}
            ),
            "write `&mut self`, or `&self`",
        ),
        (
            quote!(
                #[cast(locked)]
                async fn f(&self, cx: &mut Context<Self>) {}
            ),
            "write `&mut Locked<Self>`",
        ),
        (
            quote!(
                #[cast(locked)]
                async fn f(&self, cx: &Locked<Self>) {}
            ),
            "write `&mut Locked<Self>`",
        ),
        (
            quote!(
                #[cast]
                fn f(&mut self, cx: &mut Locked<Self>) {}
            ),
            "write `&mut Context<Self>`",
        ),
        (
            quote!(
                #[call(locked)]
                async fn f(&self) -> Deferred<u8> {}
            ),
            "write `u8`",
        ),
        (
            quote!(
                #[call(locked)]
                async fn f(&self) -> Deferred<u8, E> {}
            ),
            "write `Result<u8, E>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> Result<Deferred<u8>, E> {}
            ),
            "return `Deferred<u8, E>`",
        ),
        (
            quote!(
                #[call]
                fn f(&self) -> Deferred<&str> {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[info]
                fn f(&self) {}
            ),
            "write `&mut self`",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self) -> u8 {}
            ),
            "write `#[call]`",
        ),
        (
            quote!(
                #[info]
                async fn f(&mut self) {}
            ),
            "without `async`",
        ),
        (
            quote!(
                #[info(locked)]
                async fn f(&mut self) {}
            ),
            "write `#[cast(locked)]`",
        ),
        (
            quote!(
                #[info(rename = "g")]
                fn f(&mut self) {}
            ),
            "write just `#[info]`",
        ),
        (
            quote!(
                #[info]
                #[serde(alias = "g")]
                fn f(&mut self) {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, #[serde(default)] a: u8) {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, (a, b): (u8, u8)) {}
            ),
            "write a plain name",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, a: &str) {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[info]
                fn f(&mut self, cx: &mut Locked<Self>) {}
            ),
            "write `&mut Context<Self>`",
        ),
        (
            quote!(
                #[init(quick)]
                fn f() -> Self {}
            ),
            "write just `#[init]`",
        ),
        (
            quote!(
                #[call]
                #[call]
                fn f(&self) {}
            ),
            "keep one of them",
        ),
        (
            quote!(
                #[call]
                #[cast]
                fn f(&mut self) {}
            ),
            "keep the one you mean",
        ),
        (
            quote!(
                #[cast]
                fn f(&self) {}
            ),
            "write `&mut self`",
        ),
        (
            quote!(
                #[cast]
                fn f(&mut self) -> u8 {}
            ),
            "write `#[call]`",
        ),
        (
            quote!(
                #[init]
                fn f(&self) -> Self {}
            ),
            "remove `self`",
        ),
        (
            quote!(
                #[init]
                fn f() {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                fn f() -> u8 {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                fn f() -> Option<Self> {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                fn f() -> Result<Self> {}
            ),
            "write `-> Self` or",
        ),
        (
            quote!(
                #[init]
                async fn f() -> Self {}
            ),
            "without `async`",
        ),
        (
            quote!(
                #[init]
                fn f(a: &str) -> Self {}
            ),
            "write `String`",
        ),
        (
            quote!(
                #[init]
                fn f(cx: &mut Context<Self>) -> Self {}
            ),
            "remove the parameter",
        ),
        (
            quote!(
                #[init]
                fn f(#[serde(default)] a: u8) -> Self {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[init]
                #[serde(default)]
                fn f() -> Self {}
            ),
            "remove the attribute",
        ),
        (
            quote!(
                #[init]
                #[cfg(unix)]
                fn f() -> Self {}
            ),
            "inside the function",
        ),
        (
            quote!(
                fn f(&self, #[serde(default)] a: u8) {}
            ),
            "`#[call]` or `#[cast]`",
        ),
    ];
    for (method, advice) in cases {
        let shown = method.to_string();
        let found = mistake(method);
        assert!(found.contains(advice), "{shown}: {found}");
    }
}

/// SPEC M3
#[test]
fn the_block_itself_is_judged() {
    let cases = [
        (
            quote!(impl Clone for Counter {}),
            "move the handlers to `impl Counter { .. }`",
        ),
        (
            quote!(
                impl<'a> Counter<'a> {}
            ),
            "remove the lifetime",
        ),
        (
            quote!(
                impl (u8, u8) {}
            ),
            "write its name here",
        ),
    ];
    for (block, advice) in cases {
        let (server, mistakes) = judged(quote!(), block);
        assert!(server.is_none());
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains(advice), "{mistakes:?}");
    }
}

/// SPEC M3
#[test]
fn every_mistake_of_a_block_is_reported_and_the_rest_is_kept() {
    let (server, mistakes) = judged(
        quote!(nam = "x"),
        quote! {
            impl Counter {
                #[init] fn new(a: &str) -> u8 { Self }
                #[call] async fn one(self, a: &str, (b, c): D) {}
                #[call] fn two(&self) -> u8 { 2 }
                #[cast] fn three(&self) -> u8 {}
            }
        },
    );
    assert_eq!(mistakes.len(), 9, "{mistakes:#?}");
    let server = server.expect("the block itself is right");
    assert!(matches!(server.init, Init::Mistaken));
    let kept: Vec<String> = server
        .calls
        .iter()
        .map(|call| text(&call.message.ident))
        .collect();
    assert_eq!(kept, ["two"]);
    assert!(server.casts.is_empty());
}

#[test]
fn clashes_are_refused_once_and_the_first_is_kept() {
    let (server, mistakes) = judged(
        quote!(),
        quote! {
            impl Counter {
                #[call] fn get_1(&self) {}
                #[call] fn get1(&self) {}
                #[cast] fn get__1(&mut self) {}
                #[cast] fn get_1(&mut self) {}
                #[init] fn new() -> Self { Self }
                #[init] fn renew() -> Self { Self }
            }
        },
    );
    assert_eq!(
        mistakes,
        [
            "a server starts in one way: keep one `#[init]`, and tell the cases apart by its arguments",
            "this and `get_1` both make a message `Get1`: rename one of them",
            "there is a handler named `get_1` already: rename one of them",
        ],
    );
    let server = server.expect("the block itself is right");
    assert_eq!((server.calls.len(), server.casts.len()), (1, 1));
}

#[test]
fn a_stored_name_is_for_one_message() {
    let (server, mistakes) = judged(
        quote!(),
        quote! {
            impl Counter {
                #[cast] fn add(&mut self) {}
                #[cast(alias = "add")] fn increase(&mut self) {}
                #[cast] #[serde(rename = "sub", alias = "add")] fn decrease(&mut self) {}
                #[cast(rename = "minus", alias = "take", alias = "lower")] fn sub(&mut self) {}
                #[cast] fn lower(&mut self) {}
                #[call(rename = "add")] fn added(&mut self) {}
                #[call] #[cfg(unix)] #[serde(rename = "add")] fn more(&mut self) {}
            }
        },
    );
    assert_eq!(
        mistakes,
        [
            "messages stored as `add` are for `add` already: choose another name",
            "messages stored as `add` are for `add` already: choose another name",
            "messages stored as `lower` are for `sub` already: choose another name",
        ],
    );
    let server = server.expect("the block itself is right");
    let names = server.casts.iter().map(|cast| text(&cast.ident));
    assert_eq!(names.collect::<Vec<_>>(), ["add", "sub"]);
    assert_eq!(server.calls.len(), 2);
}

#[test]
fn handlers_of_every_kind_share_the_handle() {
    let (_, mistakes) = judged(
        quote!(),
        quote! {
            impl Counter {
                #[call] fn get_1(&self) {}
                #[info] fn get_1(&mut self) {}
                #[info] fn get1(&mut self) {}
                #[info] fn get__1(&mut self) {}
            }
        },
    );
    assert_eq!(
        mistakes,
        [
            "there is a handler named `get_1` already: rename one of them",
            "this and `get1` both make a message `Get1`: rename one of them",
        ],
    );
}

/// A handler may be called as a method of `Handle`, which is then behind `*handle`.
#[test]
fn names_of_the_inner_handle_and_calls_named_cast_are_free() {
    let server = model(quote! {
        impl Counter {
            #[call] fn stop(&self) {}
            #[info] fn kill(&mut self) {}
            #[call] fn cast(&self) {}
        }
    });
    assert_eq!((server.calls.len(), server.infos.len()), (2, 1));
}

#[test]
fn options_are_read_in_full() {
    let server = model(quote! {
        impl tally::Counter {
            #[call(locked, timeout = Self::PATIENCE * 2, rename = "pay", alias = "a", alias = "b")]
            async fn charge(&self, cents: u64, cx: &mut dgen_server::Locked<Self>) -> Result<(), E> {}
            #[cast(locked)]
            async fn settle(&self) {}
            #[call]
            fn wait(&mut self, cx: &mut Context<Self>) -> dgen_server::Deferred<Self> {}
            #[info]
            fn tick(&mut self, at: Instant) -> () {}
        }
    });
    let Call {
        message,
        is_deferred,
        error,
        ..
    } = &server.calls[0];
    assert!(message.is_locked && !is_deferred && server.casts[0].is_locked);
    assert_eq!(text(error), "E");
    assert_eq!(message.context_at, Some(1));
    assert_eq!(
        text(&message.timeout),
        "< tally :: Counter > :: PATIENCE * 2"
    );
    assert!(matches!(&message.stored_name, StoredName::Given(name) if name.value() == "pay"));
    let aliases: Vec<String> = message.aliases.iter().map(LitStr::value).collect();
    assert_eq!(aliases, ["a", "b"]);
    let Call {
        value,
        is_deferred,
        error,
        ..
    } = &server.calls[1];
    assert!(*is_deferred && error.is_none());
    assert_eq!(text(value), "tally :: Counter");
    assert_eq!(text(&server.infos[0].arguments[0].ty), "Instant");
}

#[test]
fn conditional_handlers_may_share_a_name() {
    let server = model(quote! {
        impl Counter {
            #[cfg(unix)] #[call] fn get(&self) {}
            #[call] #[cfg(not(unix))] fn get(&self) {}
        }
    });
    assert_eq!(server.calls.len(), 2);
}

#[test]
fn a_handler_is_read_in_full() {
    let server = model(quote! {
        impl tally::Counter {
            /// Takes.
            #[call]
            #[deprecated]
            #[inline]
            #[serde(rename = "take", alias = "grab")]
            pub(crate) fn withdraw(
                &mut self,
                mut by: u64,
                cx: &mut dgen_server::Context<Self>,
                #[serde(default)] from: Option<Self>,
            ) -> Result<Self, Overdrawn> {}
        }
    });
    let Call {
        message,
        value,
        error,
        is_deferred,
    } = &server.calls[0];
    assert!(!is_deferred && !message.is_locked && message.timeout.is_none());
    assert_eq!(text(value), "tally :: Counter");
    assert_eq!(text(error), "Overdrawn");
    assert_eq!(message.variant, "Withdraw");
    assert_eq!(message.context_at, Some(1));
    assert!(matches!(message.stored_name, StoredName::Serde));
    assert_eq!(
        (
            message.docs.len(),
            message.deprecated.len(),
            message.serde.len()
        ),
        (1, 1, 1)
    );
    let arguments: Vec<String> = message
        .arguments
        .iter()
        .map(|argument| {
            format!(
                "{}: {} / {}",
                argument.ident,
                text(&argument.ty),
                argument.serde.len()
            )
        })
        .collect();
    assert_eq!(
        arguments,
        ["by: u64 / 0", "from: Option < tally :: Counter > / 1"]
    );
    assert_eq!(text(&server.vis), "pub (crate)");
    assert_eq!(
        (server.name.as_str(), text(&server.ident)),
        ("Counter", "Counter".to_owned())
    );
}

#[test]
fn the_widest_handler_sets_the_handles_visibility() {
    let server = model(quote! {
        impl Counter {
            #[call] fn one(&self) {}
            #[cast] pub fn two(&mut self) {}
            #[call] pub(crate) fn three(&self) {}
        }
    });
    assert_eq!(text(&server.vis), "pub");
}

#[test]
fn init_is_known_by_its_return_type() {
    let init = |function: TokenStream| match model(quote!(impl Counter<u8> { #function })).init {
        Init::Function(function) => (function.arguments.len(), text(&function.error)),
        _ => panic!("an `#[init]` function was given"),
    };
    assert_eq!(
        init(quote!(
            #[init]
            fn new() -> Self {}
        )),
        (0, String::new())
    );
    assert_eq!(
        init(quote!(
            #[init]
            fn new(a: A) -> Counter<u8> {}
        )),
        (1, String::new())
    );
    assert_eq!(
        init(quote!(
            #[init]
            fn new(a: A, b: B) -> Result<Self, E> {}
        )),
        (2, "E".to_owned())
    );
}
