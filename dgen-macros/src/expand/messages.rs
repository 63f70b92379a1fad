//! The enums of calls and of casts: what is stored in the queue.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{GenericParam, Ident, Visibility};

use super::docs;
use crate::model::{Message, Server};

/// Both enums, each with a `Debug` that shows the message's name and keeps its arguments out of
/// logs (and so asks no `Debug` of them).
pub(super) fn items(server: &Server) -> Vec<TokenStream> {
    let calls: Vec<&Message> = server.calls.iter().map(|call| &call.message).collect();
    let casts: Vec<&Message> = server.casts.iter().collect();
    let mut items = Vec::new();
    for (name, kind, messages) in [
        (server.call_ident(), "call", calls),
        (server.cast_ident(), "cast", casts),
    ] {
        items.push(enumeration(server, &name, kind, &messages));
        items.push(debug(server, &name, &messages));
    }
    items
}

fn enumeration(server: &Server, name: &Ident, kind: &str, messages: &[&Message]) -> TokenStream {
    let krate = &server.crate_path;
    let serde = quote!(#krate::__private::serde);
    let serde_path = serde.to_string().replace(' ', "");
    let doc = format!(
        " The {kind}s of a `{}` server, as they are stored.",
        server.ident
    );
    let params = &server.generics.params;
    let where_clause = &server.generics.where_clause;
    // The bounds of the impl block are the ones that hold; serde is not to guess others.
    let bound = (!params.is_empty()).then(|| quote!(#[serde(bound = "")]));
    // An associated type must be as visible as the type it belongs to, and a macro cannot see how
    // visible that is. So the enums are public, and out of the documentation where no handler is.
    let hidden = (!matches!(server.vis, Visibility::Public(_))).then(|| quote!(#[doc(hidden)]));
    let variants = messages.iter().map(|message| variant(server, message));
    let phantom = type_parameters(server).map(|types| {
        quote! {
            /// Holds the type parameters; there is no value of it.
            #[doc(hidden)]
            #[serde(skip)]
            __Types(::core::marker::PhantomData<fn() -> #types>, #krate::Never),
        }
    });
    quote! {
        #[doc = #doc]
        #hidden
        #[allow(private_interfaces, unreachable_pub, clippy::large_enum_variant)]
        #[derive(::core::clone::Clone, #serde::Serialize, #serde::Deserialize)]
        #[serde(crate = #serde_path)]
        #bound
        pub enum #name<#params> #where_clause {
            #(#variants,)*
            #phantom
        }
    }
}

fn variant(server: &Server, message: &Message) -> TokenStream {
    let Message {
        variant,
        cfgs,
        serde,
        arguments,
        ..
    } = message;
    let docs = docs::summary(server, message);
    let stored = message.ident.unraw().to_string();
    let rename = (!message.is_renamed).then(|| quote!(#[serde(rename = #stored)]));
    let fields = arguments.iter().map(|argument| {
        let ident = &argument.ident;
        let ty = &argument.ty;
        let serde = &argument.serde;
        let doc = format!(" The argument `{}`.", ident.unraw());
        quote!(#[doc = #doc] #(#serde)* #ident: #ty)
    });
    quote! {
        #docs
        #(#cfgs)*
        #rename
        #(#serde)*
        #variant { #(#fields),* }
    }
}

fn debug(server: &Server, name: &Ident, messages: &[&Message]) -> TokenStream {
    let (impl_generics, ty_generics, where_clause) = server.generics.split_for_impl();
    let arms = messages.iter().map(|message| {
        let Message { variant, cfgs, .. } = message;
        let shown = variant.to_string();
        quote! {
            #(#cfgs)*
            Self::#variant { .. } => f.debug_struct(#shown).finish_non_exhaustive()
        }
    });
    let phantom =
        type_parameters(server).map(|_| quote!(Self::__Types(_, ref never) => match *never {},));
    quote! {
        impl #impl_generics ::core::fmt::Debug for #name #ty_generics #where_clause {
            #[allow(unused_variables)]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match *self {
                    #(#arms,)*
                    #phantom
                }
            }
        }
    }
}

/// `(T, U,)`, if the server has type parameters: an enum must use each of its own.
fn type_parameters(server: &Server) -> Option<TokenStream> {
    let mut types = server
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Type(parameter) => Some(&parameter.ident),
            _ => None,
        })
        .peekable();
    types.peek().is_some().then(|| quote!((#(#types,)*)))
}

/// The arm that a `match` on a message needs for the variant of the type parameters.
pub(super) fn phantom_arm(server: &Server, name: &Ident) -> Option<TokenStream> {
    type_parameters(server).map(|_| quote!(#name::__Types(_, never) => match never {},))
}
