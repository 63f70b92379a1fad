//! `impl Server`: one arm for each handler.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::messages::phantom_arm;
use super::{locked, shown_at, variant};
use crate::model::{Argument, Call, Init, InitFunction, Message, Server, located_at};

pub(super) fn item(server: &Server) -> TokenStream {
    let krate = &server.crate_path;
    let Server { ty, name, .. } = server;
    let (impl_generics, ty_generics, where_clause) = server.generics.split_for_impl();
    let (call_ident, cast_ident) = (server.call_ident(), server.cast_ident());
    let (args, init_error) = (args_type(server), init_error_type(server));
    let info = info_type(server);
    let init = init_body(server);
    // These may not meet the user's names, an argument called `cx` for one.
    let call = Ident::new("call", Span::mixed_site());
    let cast = Ident::new("cast", Span::mixed_site());
    let cx = Ident::new("cx", Span::mixed_site());
    let call_arms = server
        .calls
        .iter()
        .map(|handler| call_arm(server, &call_ident, handler, &cx));
    let cast_arms = server
        .casts
        .iter()
        .map(|message| cast_arm(server, &cast_ident, message, &cx));
    let handle_read = handle_read(server);
    let call_phantom = phantom_arm(server, &call_ident);
    let cast_phantom = phantom_arm(server, &cast_ident);
    let handle_info = handle_info(server);
    let handle_locked = locked::method(server);
    quote! {
        #[allow(deprecated, unused_variables, clippy::used_underscore_binding)]
        impl #impl_generics #krate::Server for #ty #where_clause {
            const NAME: &'static str = #name;
            type Args = #args;
            type InitError = #init_error;
            type Call = #call_ident #ty_generics;
            type Cast = #cast_ident #ty_generics;
            type Info = #info;

            fn init(args: Self::Args) -> ::core::result::Result<Self, Self::InitError> {
                #init
            }

            fn handle_call(&mut self, #call: Self::Call, #cx: &mut #krate::Context<Self>) -> #krate::Reply {
                match #call {
                    #(#call_arms,)*
                    #call_phantom
                }
            }

            fn handle_cast(&mut self, #cast: Self::Cast, #cx: &mut #krate::Context<Self>) {
                match #cast {
                    #(#cast_arms,)*
                    #cast_phantom
                }
            }

            #handle_read
            #handle_info
            #handle_locked
        }
    }
}

/// Nothing, for a server without reads: the default answers none.
fn handle_read(server: &Server) -> Option<TokenStream> {
    let krate = &server.crate_path;
    let call_ident = server.call_ident();
    let call = Ident::new("call", Span::mixed_site());
    let arms: Vec<_> = server
        .calls
        .iter()
        .filter(|handler| handler.is_read)
        .map(|handler| read_arm(server, &call_ident, handler))
        .collect();
    if arms.is_empty() {
        return None;
    }
    Some(quote! {
        // The last arm is for the calls that write, if there are any.
        #[allow(unreachable_patterns)]
        fn handle_read(&self, #call: &Self::Call) -> ::core::option::Option<#krate::Reply> {
            match #call {
                #(#arms,)*
                _ => ::core::option::Option::None,
            }
        }
    })
}

/// The message is borrowed, and the handler's arguments are its own.
fn read_arm(server: &Server, enumeration: &Ident, handler: &Call) -> TokenStream {
    let message = &handler.message;
    let (cfgs, pattern) = (&message.cfgs, variant(enumeration, message));
    let method = &message.ident;
    let arguments = message.arguments.iter().map(|argument| &argument.ident);
    let span = located_at(handler.value.span());
    let run = quote_spanned! {span=>
        Self::#method(self #(, ::core::clone::Clone::clone(#arguments))*)
    };
    let reply = reply(server, handler, &run);
    quote!(#(#cfgs)* #pattern => ::core::option::Option::Some(#reply))
}

/// Nothing, for a server without info messages: the default ignores them.
fn handle_info(server: &Server) -> Option<TokenStream> {
    if server.infos.is_empty() {
        return None;
    }
    let krate = &server.crate_path;
    let info_ident = server.info_ident();
    let info = Ident::new("info", Span::mixed_site());
    let cx = Ident::new("cx", Span::mixed_site());
    let arms = server.infos.iter().map(|message| {
        let (cfgs, pattern, run) = (
            &message.cfgs,
            variant(&info_ident, message),
            run(message, &cx, Span::call_site()),
        );
        quote!(#(#cfgs)* #pattern => #run)
    });
    let phantom = phantom_arm(server, &info_ident);
    Some(quote! {
        fn handle_info(&mut self, #info: Self::Info, #cx: &mut #krate::Context<Self>) {
            match #info {
                #(#arms,)*
                #phantom
            }
        }
    })
}

fn info_type(server: &Server) -> TokenStream {
    if server.infos.is_empty() {
        let krate = &server.crate_path;
        return quote!(#krate::Never);
    }
    let info = server.info_ident();
    let (_, ty_generics, _) = server.generics.split_for_impl();
    quote!(#info #ty_generics)
}

/// `()`, the one argument's type, or a tuple of them.
pub(super) fn args_type(server: &Server) -> TokenStream {
    let arguments: &[Argument] = match &server.init {
        Init::Function(function) => &function.arguments,
        Init::Default | Init::Mistaken => &[],
    };
    let types = arguments.iter().map(|argument| &argument.ty);
    match arguments {
        [only] => {
            let ty = &only.ty;
            quote!(#ty)
        }
        _ => quote!((#(#types),*)),
    }
}

pub(super) fn init_error_type(server: &Server) -> TokenStream {
    let krate = &server.crate_path;
    let error = match &server.init {
        Init::Function(function) => function.error.as_ref(),
        Init::Default | Init::Mistaken => None,
    };
    match error {
        Some(error) => quote!(#error),
        None => quote!(#krate::Never),
    }
}

fn init_body(server: &Server) -> TokenStream {
    match &server.init {
        Init::Default => {
            // Shown at the type, where `Default` is missing if it is.
            let span = located_at(server.ty.span());
            let default = quote_spanned!(span=> <Self as ::core::default::Default>::default());
            quote!(::core::result::Result::Ok(#default))
        }
        Init::Mistaken => quote!(::core::panic!("`#[init]` does not compile")),
        Init::Function(function) => {
            let InitFunction {
                ident,
                arguments,
                error,
            } = &**function;
            let names = arguments.iter().map(|argument| &argument.ident);
            let (take, run) = match arguments.as_slice() {
                [] => (None, quote!(Self::#ident())),
                [_] => (None, quote!(Self::#ident(args))),
                _ => {
                    let pattern = names.clone();
                    (
                        Some(quote!(let (#(#pattern),*) = args;)),
                        quote!(Self::#ident(#(#names),*)),
                    )
                }
            };
            let run = match error {
                Some(_) => run,
                None => quote!(::core::result::Result::Ok(#run)),
            };
            quote!(#take #run)
        }
    }
}

fn call_arm(server: &Server, enumeration: &Ident, handler: &Call, cx: &Ident) -> TokenStream {
    let krate = &server.crate_path;
    let message = &handler.message;
    if message.is_locked {
        let later = quote!(#krate::Reply::later());
        return locked::lock_arm(server, enumeration, message, cx, &later);
    }
    let cfgs = &message.cfgs;
    if handler.is_read {
        let (variant, read) = (&message.variant, Ident::new("read", Span::mixed_site()));
        return quote! {
            #(#cfgs)*
            #read @ #enumeration::#variant { .. } => {
                let reply = <Self as #krate::Server>::handle_read(self, &#read);
                reply.unwrap_or_else(#krate::Reply::later)
            }
        };
    }
    let pattern = variant(enumeration, message);
    let run = run(message, cx, located_at(handler.value.span()));
    let reply = reply(server, handler, &run);
    quote!(#(#cfgs)* #pattern => #reply)
}

fn cast_arm(server: &Server, enumeration: &Ident, message: &Message, cx: &Ident) -> TokenStream {
    if message.is_locked {
        return locked::lock_arm(server, enumeration, message, cx, &quote!());
    }
    let (cfgs, pattern) = (&message.cfgs, variant(enumeration, message));
    let run = run(message, cx, Span::call_site());
    quote!(#(#cfgs)* #pattern => #run)
}

/// The reply that what a handler returns comes to. Shown at what cannot be replied, if it cannot.
pub(super) fn reply(server: &Server, handler: &Call, run: &TokenStream) -> TokenStream {
    let krate = &server.crate_path;
    let at_value = located_at(handler.value.span());
    match &handler.error {
        _ if handler.is_deferred => quote!(#krate::Reply::deferred(#run)),
        None => {
            let krate = shown_at(at_value, krate);
            quote_spanned!(at_value=> #krate::Reply::ok(&#run))
        }
        Some(error) => {
            let at_error = located_at(error.span());
            let (ok, err) = (shown_at(at_value, krate), shown_at(at_error, krate));
            let ok = quote_spanned!(at_value=> #ok::Reply::ok(&reply));
            let err = quote_spanned!(at_error=> #err::Reply::err(&error));
            quote! {
                match #run {
                    ::core::result::Result::Ok(reply) => #ok,
                    ::core::result::Result::Err(error) => #err,
                }
            }
        }
    }
}

/// Runs the handler: `Self::increment(self, by)`, with the context where the user put it. A path
/// and not a method call, so that no trait's method of the same name can come first.
pub(super) fn run(message: &Message, cx: &Ident, span: Span) -> TokenStream {
    let method = &message.ident;
    let mut values: Vec<&Ident> = message
        .arguments
        .iter()
        .map(|argument| &argument.ident)
        .collect();
    if let Some(at) = message.context_at {
        values.insert(at, cx);
    }
    quote_spanned!(span=> Self::#method(self #(, #values)*))
}
