//! The handle: a newtype, so that it can have methods of its own; one for each handler.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;

use super::behaviour::{args_type, init_error_type};
use super::{docs, parameters, variant};
use crate::model::{Call, Message, Server, located_at};

pub(super) fn items(server: &Server) -> Vec<TokenStream> {
    let krate = &server.crate_path;
    let Server { ty, vis, .. } = server;
    let name = server.handle_ident();
    let shown = name.to_string();
    let params = &server.generics.params;
    let (impl_generics, ty_generics, where_clause) = server.generics.split_for_impl();
    let inner = quote!(#krate::Handle<#ty>);
    let doc = format!(
        " A handle to a `{}` server, with a method for each of its handlers.",
        server.ident
    );
    let methods = methods(server);
    // Shown at the type, which has to be as visible as its `pub` handlers.
    let span = located_at(ty.span());
    let target = quote_spanned!(span=> type Target = #krate::Handle<#ty>;);
    vec![
        quote! {
            #[doc = #doc]
            #[allow(dead_code)]
            #vis struct #name<#params>(#inner) #where_clause;
        },
        quote! {
            #[allow(dead_code, clippy::too_many_arguments, clippy::used_underscore_binding)]
            impl #impl_generics #name #ty_generics #where_clause {
                #methods
            }
        },
        quote! {
            impl #impl_generics ::core::clone::Clone for #name #ty_generics #where_clause {
                fn clone(&self) -> Self {
                    Self(::core::clone::Clone::clone(&self.0))
                }
            }
        },
        quote! {
            impl #impl_generics ::core::fmt::Debug for #name #ty_generics #where_clause {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_tuple(#shown).field(&self.0).finish()
                }
            }
        },
        quote! {
            impl #impl_generics ::core::ops::Deref for #name #ty_generics #where_clause {
                #target

                fn deref(&self) -> &Self::Target {
                    &self.0
                }
            }
        },
        quote! {
            impl #impl_generics ::core::convert::From<#inner> for #name #ty_generics #where_clause {
                fn from(handle: #inner) -> Self {
                    Self(handle)
                }
            }
        },
    ]
}

fn methods(server: &Server) -> TokenStream {
    let krate = &server.crate_path;
    let Server { ty, vis, ident, .. } = server;
    let (args, init_error) = (args_type(server), init_error_type(server));
    let inner = quote!(#krate::Handle::<#ty>);
    let started = quote!(::core::result::Result<Self, #krate::StartError<#init_error>>);
    let start_doc = format!(
        " Starts a process for the `{ident}` server named `id`, and returns a handle to it."
    );
    let start_with_doc =
        format!(" [`start`](Self::start)s the `{ident}` server named `id` with `options`.");
    let client_doc =
        format!(" A handle that sends to the `{ident}` server named `id` and consumes nothing.");
    let client_with_doc =
        format!(" A [`client`](Self::client) of the `{ident}` server named `id`, with `options`.");
    // Rustdoc follows these to the functions that say it all.
    let path = krate.to_token_stream().to_string().replace(' ', "");
    let see_start =
        format!(" Errors and cancel safety are those of [`Handle::start`]({path}::Handle::start).");
    let see_start_with = format!(
        " Errors and cancel safety are those of [`Handle::start_with`]({path}::Handle::start_with)."
    );
    let batch = batch_method(server);
    let calls = server.calls.iter().map(|call| call_method(server, call));
    let casts = server
        .casts
        .iter()
        .map(|message| cast_method(server, message));
    let infos = server
        .infos
        .iter()
        .map(|message| info_method(server, message));
    quote! {
        #[doc = #start_doc]
        ///
        /// State that exists already wins over what `args` would make.
        ///
        #[doc = #see_start]
        #vis async fn start(
            tenant: &#krate::Tenant,
            id: impl ::core::convert::Into<#krate::Tuid>,
            args: #args,
        ) -> #started {
            ::core::result::Result::map(#inner::start(tenant, id, args).await, Self)
        }

        #[doc = #start_with_doc]
        ///
        #[doc = #see_start_with]
        #vis async fn start_with(
            tenant: &#krate::Tenant,
            id: impl ::core::convert::Into<#krate::Tuid>,
            args: #args,
            options: #krate::StartOptions,
        ) -> #started {
            ::core::result::Result::map(#inner::start_with(tenant, id, args, options).await, Self)
        }

        #[doc = #client_doc]
        #vis fn client(tenant: &#krate::Tenant, id: impl ::core::convert::Into<#krate::Tuid>) -> Self {
            Self(#inner::client(tenant, id))
        }

        #[doc = #client_with_doc]
        #vis fn client_with(
            tenant: &#krate::Tenant,
            id: impl ::core::convert::Into<#krate::Tuid>,
            options: #krate::StartOptions,
        ) -> Self {
            Self(#inner::client_with(tenant, id, options))
        }

        #batch
        #(#calls)*
        #(#casts)*
        #(#infos)*
    }
}

fn batch_method(server: &Server) -> Option<TokenStream> {
    if server.casts.is_empty() {
        return None;
    }
    let Server { vis, generics, .. } = server;
    let batch = server.batch_ident();
    let generic_arguments = super::batch::generic_arguments(generics);
    Some(quote! {
        /// Collects casts to be queued together: when it is awaited, all of them are or none is.
        #vis fn batch(&self) -> #batch<'_, #generic_arguments> {
            #batch { handle: &self.0, casts: ::std::vec::Vec::new() }
        }
    })
}

fn call_method(server: &Server, call: &Call) -> TokenStream {
    let krate = &server.crate_path;
    let ty = &server.ty;
    let Message {
        ident,
        vis,
        cfgs,
        deprecated,
        arguments,
        ..
    } = &call.message;
    let docs = docs::whole(server, &call.message, "call");
    let timeout = timeout(&call.message);
    let parameters = parameters(arguments);
    let message = variant(&server.call_ident(), &call.message);
    let value = &call.value;
    let error = match &call.error {
        Some(error) => quote!(#error),
        None => quote!(#krate::Never),
    };
    quote! {
        #docs
        #(#cfgs)*
        #(#deprecated)*
        #vis fn #ident(&self, #parameters) -> #krate::Call<'_, #ty, #value, #error> {
            self.0.call(#message) #timeout
        }
    }
}

fn cast_method(server: &Server, message: &Message) -> TokenStream {
    let krate = &server.crate_path;
    let ty = &server.ty;
    let Message {
        ident,
        vis,
        cfgs,
        deprecated,
        arguments,
        ..
    } = message;
    let docs = docs::whole(server, message, "cast");
    let timeout = timeout(message);
    let parameters = parameters(arguments);
    let message = variant(&server.cast_ident(), message);
    quote! {
        #docs
        #(#cfgs)*
        #(#deprecated)*
        #vis fn #ident(&self, #parameters) -> #krate::Cast<'_, #ty> {
            self.0.cast(#message) #timeout
        }
    }
}

fn info_method(server: &Server, message: &Message) -> TokenStream {
    let krate = &server.crate_path;
    let Message {
        ident,
        vis,
        cfgs,
        deprecated,
        arguments,
        ..
    } = message;
    let docs = docs::whole(server, message, "info message");
    let parameters = parameters(arguments);
    let message = variant(&server.info_ident(), message);
    quote! {
        #docs
        #(#cfgs)*
        #(#deprecated)*
        #vis fn #ident(&self, #parameters) -> ::core::result::Result<(), #krate::InfoError> {
            self.0.info(#message)
        }
    }
}

/// `.timeout(..)`, for a handler that gives one.
fn timeout(message: &Message) -> Option<TokenStream> {
    let timeout = message.timeout.as_ref()?;
    Some(quote!(.timeout(#timeout)))
}
