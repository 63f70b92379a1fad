//! Mistakes of whole blocks, and what the model holds of a block without any.

mod mistakes;

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

/// What can have an effect is no read.
#[test]
fn a_read_borrows_the_state_and_has_no_context() {
    let server = model(quote! {
        impl Counter {
            #[call] fn get(&self, key: String) -> u64 {}
            #[call] fn find(self: &Self) -> Result<u64, E> {}
            #[call] fn noted(&self, cx: &mut Context<Self>) -> u64 {}
            #[call] fn taken(&mut self) -> u64 {}
            #[call] fn later(&self) -> Deferred<u64> {}
            #[call(locked)] async fn fetch(&self) -> u64 {}
        }
    });
    let are_reads: Vec<bool> = server.calls.iter().map(|call| call.is_read).collect();
    assert_eq!(are_reads, [true, true, false, false, false, false]);
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
        is_read,
    } = &server.calls[0];
    assert!(!is_read && !is_deferred && !message.is_locked && message.timeout.is_none());
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
