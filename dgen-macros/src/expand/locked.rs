//! Locked work: a message whose handler waits takes the lock first, and runs afterwards.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Ident;

use super::behaviour::{reply, run};
use super::variant;
use crate::model::{Message, Server, located_at};

/// The arm of `handle_call` or `handle_cast`: the message takes the lock, and `then` is the answer.
pub(super) fn lock_arm(
    server: &Server,
    enumeration: &Ident,
    message: &Message,
    cx: &Ident,
    then: &TokenStream,
) -> TokenStream {
    let krate = &server.crate_path;
    let Message { variant, cfgs, .. } = message;
    quote! {
        #(#cfgs)*
        #enumeration::#variant { .. } => {
            #krate::Context::lock(#cx);
            #then
        }
    }
}

/// `handle_locked`, where there is locked work; the default is for a server without.
pub(super) fn method(server: &Server) -> Option<TokenStream> {
    let krate = &server.crate_path;
    let (call_ident, cast_ident) = (server.call_ident(), server.cast_ident());
    let work = Ident::new("work", Span::mixed_site());
    let cx = Ident::new("cx", Span::mixed_site());
    let call_arms = server.calls.iter().filter_map(|handler| {
        let (pattern, wait) = waiting(&call_ident, &handler.message, &cx)?;
        let reply = reply(server, handler, &wait);
        let cfgs = &handler.message.cfgs;
        Some(quote!(#(#cfgs)* #krate::LockedWork::Call(#pattern) => #reply))
    });
    let cast_arms = server.casts.iter().filter_map(|message| {
        let (pattern, wait) = waiting(&cast_ident, message, &cx)?;
        let cfgs = &message.cfgs;
        Some(quote! {
            #(#cfgs)* #krate::LockedWork::Cast(#pattern) => {
                #wait;
                #krate::Reply::later()
            }
        })
    });
    // A future that may not change threads is shown at its handler, and not at the block.
    let sendable = sendable_ident(Span::call_site());
    let sendable = quote! {
        fn #sendable<F>(future: F) -> impl ::core::future::Future<Output = F::Output> + ::core::marker::Send
        where
            F: ::core::future::Future + ::core::marker::Send,
        {
            future
        }
    };
    let arms: Vec<TokenStream> = call_arms.chain(cast_arms).collect();
    if arms.is_empty() {
        return None;
    }
    Some(quote! {
        // The last arm is for the messages that take no lock, if there are any.
        #[allow(unreachable_patterns)]
        async fn handle_locked(
            &mut self,
            #work: #krate::LockedWork<Self>,
            #cx: &mut #krate::Locked<Self>,
        ) -> #krate::Reply {
            #sendable
            match #work {
                #(#arms,)*
                _ => #krate::Reply::later(),
            }
        }
    })
}

/// The pattern of a message that is locked work, and what runs it to its end.
fn waiting(
    enumeration: &Ident,
    message: &Message,
    cx: &Ident,
) -> Option<(TokenStream, TokenStream)> {
    if !message.is_locked {
        return None;
    }
    let span = located_at(message.ident.span());
    let run = run(message, cx, span);
    let sendable = sendable_ident(span);
    let wait = quote_spanned!(span=> #sendable(#run).await);
    Some((variant(enumeration, message), wait))
}

/// Blind to the user's names: an argument may be called the same.
fn sendable_ident(shown_at: Span) -> Ident {
    Ident::new("sendable", Span::mixed_site().located_at(shown_at))
}
