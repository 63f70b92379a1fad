//! The batch: casts that are queued together or not at all.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericParam, Generics};

use super::{docs, parameters, variant};
use crate::model::{Message, Server, located_at};

/// Nothing, for a server without casts.
pub(super) fn items(server: &Server) -> Vec<TokenStream> {
    if server.casts.is_empty() {
        return Vec::new();
    }
    let krate = &server.crate_path;
    let Server { ty, vis, .. } = server;
    let (name, cast) = (server.batch_ident(), server.cast_ident());
    let shown = name.to_string();
    let params = &server.generics.params;
    let where_clause = &server.generics.where_clause;
    let (_, ty_generics, _) = server.generics.split_for_impl();
    let generic_arguments = generic_arguments(&server.generics);
    let doc = format!(
        " Casts to a `{}` server, to be queued together when this is awaited.",
        server.ident
    );
    let methods = server.casts.iter().map(|message| method(server, message));
    let span = located_at(ty.span());
    let future = quote!(<#krate::Cast<'handle, #ty> as ::core::future::IntoFuture>);
    let types = quote_spanned! {span=>
        type Output = #future::Output;
        type IntoFuture = #future::IntoFuture;
    };
    vec![
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #[must_use = "a batch is queued when it is awaited"]
            #vis struct #name<'handle, #params> #where_clause {
                handle: &'handle #krate::Handle<#ty>,
                casts: ::std::vec::Vec<#cast #ty_generics>,
            }
        },
        quote! {
            #[allow(dead_code, clippy::too_many_arguments, clippy::used_underscore_binding)]
            impl<'handle, #params> #name<'handle, #generic_arguments> #where_clause {
                #(#methods)*

                /// All of them as one cast: to send from a handler, to enqueue in a transaction, to
                /// give an id or a timeout.
                #vis fn cast(self) -> #krate::Cast<'handle, #ty> {
                    self.handle.cast_all(self.casts)
                }
            }
        },
        quote! {
            impl<'handle, #params> ::core::convert::From<#name<'handle, #generic_arguments>>
                for #krate::Cast<'handle, #ty> #where_clause
            {
                fn from(batch: #name<'handle, #generic_arguments>) -> Self {
                    batch.cast()
                }
            }
        },
        quote! {
            impl<'handle, #params> ::core::fmt::Debug for #name<'handle, #generic_arguments> #where_clause {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_tuple(#shown).field(&self.casts).finish()
                }
            }
        },
        quote! {
            impl<'handle, #params> ::core::future::IntoFuture for #name<'handle, #generic_arguments> #where_clause {
                #types

                fn into_future(self) -> Self::IntoFuture {
                    ::core::future::IntoFuture::into_future(self.cast())
                }
            }
        },
    ]
}

/// `T, N`: the parameters without their bounds and without the brackets.
pub(super) fn generic_arguments(generics: &Generics) -> TokenStream {
    let names = generics.params.iter().map(|parameter| match parameter {
        GenericParam::Type(parameter) => parameter.ident.to_token_stream(),
        GenericParam::Const(parameter) => parameter.ident.to_token_stream(),
        GenericParam::Lifetime(parameter) => parameter.lifetime.to_token_stream(),
    });
    quote!(#(#names),*)
}

fn method(server: &Server, message: &Message) -> TokenStream {
    let Message {
        ident,
        vis,
        cfgs,
        deprecated,
        arguments,
        ..
    } = message;
    let docs = docs::whole(server, message, "cast");
    let parameters = parameters(arguments);
    let message = variant(&server.cast_ident(), message);
    quote! {
        #docs
        #(#cfgs)*
        #(#deprecated)*
        #vis fn #ident(mut self, #parameters) -> Self {
            self.casts.push(#message);
            self
        }
    }
}
