//! A handler's documentation, carried to what is made from it.
//!
//! `Self` in a link would mean the enum or the handle there, so it is spelled out.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Expr, Lit, Meta, Type};

use crate::model::{Message, Server};

/// For a method of the client: all of it, or a line of our own where there is none.
pub(super) fn whole(server: &Server, message: &Message, kind: &str) -> TokenStream {
    if message.docs.is_empty() {
        let line = format!(" Sends the {kind} `{}`.", message.ident);
        return quote!(#[doc = #line]);
    }
    message
        .docs
        .iter()
        .map(|attribute| relinked(server, attribute))
        .collect()
}

/// For a variant: the first paragraph. A second copy of the rest would only run its examples again.
pub(super) fn summary(server: &Server, message: &Message) -> TokenStream {
    let lines: TokenStream = message
        .docs
        .iter()
        .take_while(|attribute| line(attribute).is_some_and(|line| !line.trim().is_empty()))
        .map(|attribute| relinked(server, attribute))
        .collect();
    if lines.is_empty() {
        let line = format!(" Asks for `{}`.", message.ident);
        return quote!(#[doc = #line]);
    }
    lines
}

/// Written anew, with every line at the same place: lints on documentation, which the original is
/// there for, would else judge the copy by halves.
fn relinked(server: &Server, attribute: &Attribute) -> TokenStream {
    let Some(line) = line(attribute) else {
        return attribute.to_token_stream();
    };
    let path = link_path(&server.ty);
    let line = line
        .replace("Self::", &format!("{path}::"))
        .replace("[`Self`]", &format!("[`{path}`]"));
    quote!(#[doc = #line])
}

/// The line of `/// line`; other `#[doc ..]` attributes have none.
fn line(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Str(line) => Some(line.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

/// The server's type as a link names it: its path, without arguments.
fn link_path(ty: &Type) -> String {
    let mut ty = ty.clone();
    if let Type::Path(ty) = &mut ty {
        for segment in &mut ty.path.segments {
            segment.arguments = syn::PathArguments::None;
        }
    }
    ty.to_token_stream().to_string().replace(' ', "")
}
