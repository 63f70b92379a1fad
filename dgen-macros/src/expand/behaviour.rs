//! `impl Server`: one arm for each handler.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::messages::phantom_arm;
use super::variant;
use crate::model::{Argument, Call, Init, InitFunction, Message, Server, located_at};

pub(super) fn item(server: &Server) -> TokenStream {
    let krate = &server.crate_path;
    let Server { ty, name, .. } = server;
    let (impl_generics, ty_generics, where_clause) = server.generics.split_for_impl();
    let (call_ident, cast_ident) = (server.call_ident(), server.cast_ident());
    let (args, init_error) = (args_type(server), init_error_type(server));
    let init = init_body(server);
    // These may not meet the user's names, an argument called `cx` for one.
    let call = Ident::new("call", Span::mixed_site());
    let cast = Ident::new("cast", Span::mixed_site());
    let cx = Ident::new("cx", Span::mixed_site());
    let call_arms = server
        .calls
        .iter()
        .map(|handler| call_arm(server, &call_ident, handler, &cx));
    let cast_arms = server.casts.iter().map(|message| {
        let (cfgs, pattern, run) = (
            &message.cfgs,
            variant(&cast_ident, message),
            run(message, &cx),
        );
        quote!(#(#cfgs)* #pattern => #run)
    });
    let call_phantom = phantom_arm(server, &call_ident);
    let cast_phantom = phantom_arm(server, &cast_ident);
    quote! {
        #[allow(deprecated, unused_variables, clippy::used_underscore_binding)]
        impl #impl_generics #krate::Server for #ty #where_clause {
            const NAME: &'static str = #name;
            type Args = #args;
            type InitError = #init_error;
            type Call = #call_ident #ty_generics;
            type Cast = #cast_ident #ty_generics;

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
        }
    }
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
    let (cfgs, pattern, run) = (
        &message.cfgs,
        variant(enumeration, message),
        run(message, cx),
    );
    let reply = match &handler.error {
        None => quote!(#krate::Reply::ok(&#run)),
        Some(_) => quote! {
            match #run {
                ::core::result::Result::Ok(reply) => #krate::Reply::ok(&reply),
                ::core::result::Result::Err(error) => #krate::Reply::err(&error),
            }
        },
    };
    quote!(#(#cfgs)* #pattern => #reply)
}

/// Runs the handler: `Self::increment(self, by)`, with the context where the user put it. A path
/// and not a method call, so that no trait's method of the same name can come first.
fn run(message: &Message, cx: &Ident) -> TokenStream {
    let method = &message.ident;
    let mut values: Vec<&Ident> = message
        .arguments
        .iter()
        .map(|argument| &argument.ident)
        .collect();
    if let Some(at) = message.context_at {
        values.insert(at, cx);
    }
    quote!(Self::#method(self #(, #values)*))
}
