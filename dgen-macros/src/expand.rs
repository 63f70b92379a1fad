//! From the model to code: the message enums, the behaviour, the handle and the batch.
//!
//! What is generated names everything by its full path, so that it compiles wherever the user's
//! block does, and documents every item, so that `missing_docs` is kept.

mod batch;
mod behaviour;
mod docs;
mod handle;
mod locked;
mod messages;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};

use crate::model::{Argument, Message, Server};

/// Everything but the user's own block.
pub(crate) fn server(server: &Server) -> TokenStream {
    let mut items = messages::items(server);
    items.push(behaviour::item(server));
    items.extend(handle::items(server));
    items.extend(batch::items(server));
    let cfgs = &server.cfgs;
    items
        .into_iter()
        .map(|item| quote!(#(#cfgs)* #item))
        .collect()
}

/// `tokens`, shown at `span`.
fn shown_at(span: Span, tokens: impl ToTokens) -> TokenStream {
    let tokens = tokens.to_token_stream().into_iter();
    tokens
        .map(|mut token| {
            token.set_span(token.span().located_at(span));
            token
        })
        .collect()
}

/// `by: i64, note: String`
fn parameters(arguments: &[Argument]) -> TokenStream {
    let names = arguments.iter().map(|argument| &argument.ident);
    let types = arguments.iter().map(|argument| &argument.ty);
    quote!(#(#names: #types),*)
}

/// `CounterCall::Increment { by }`, as a value or as a pattern.
fn variant(enumeration: &syn::Ident, message: &Message) -> TokenStream {
    let variant = &message.variant;
    let names = message.arguments.iter().map(|argument| &argument.ident);
    quote!(#enumeration::#variant { #(#names),* })
}
