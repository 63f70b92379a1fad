//! The enums of calls, of casts and of infos.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{GenericParam, Ident, Visibility};

use super::docs;
use crate::model::{Message, Server, StoredName, located_at};

/// An enum, and what becomes of its values.
struct Messages<'a> {
    name: Ident,
    doc: String,
    /// Whether they reach the disk; if not, they have nothing to do with serde.
    are_stored: bool,
    messages: Vec<&'a Message>,
}

/// The enums, each with a `Debug` that shows the message's name and keeps its arguments out of
/// logs (and so asks no `Debug` of them). Where there are no infos, there is no enum of them.
pub(super) fn items(server: &Server) -> Vec<TokenStream> {
    let ident = &server.ident;
    let calls = Messages {
        name: server.call_ident(),
        doc: format!(" The calls of a `{ident}` server, as they are stored."),
        are_stored: true,
        messages: server.calls.iter().map(|call| &call.message).collect(),
    };
    let casts = Messages {
        name: server.cast_ident(),
        doc: format!(" The casts of a `{ident}` server, as they are stored."),
        are_stored: true,
        messages: server.casts.iter().collect(),
    };
    let infos = (!server.infos.is_empty()).then(|| Messages {
        name: server.info_ident(),
        doc: format!(" The info messages of a `{ident}` server, which are not stored."),
        are_stored: false,
        messages: server.infos.iter().collect(),
    });
    [calls, casts]
        .into_iter()
        .chain(infos)
        .flat_map(|messages| [enumeration(server, &messages), debug(server, &messages)])
        .collect()
}

fn enumeration(server: &Server, messages: &Messages<'_>) -> TokenStream {
    let Messages {
        name,
        doc,
        are_stored,
        messages,
    } = messages;
    let krate = &server.crate_path;
    let params = &server.generics.params;
    let where_clause = &server.generics.where_clause;
    let derives = are_stored.then(|| {
        let serde = quote!(#krate::__private::serde);
        let serde_path = serde.to_string().replace(' ', "");
        // The bounds of the impl block are the ones that hold; serde is not to guess others.
        let bound = (!params.is_empty()).then(|| quote!(#[serde(bound = "")]));
        quote! {
            #[derive(#serde::Serialize, #serde::Deserialize)]
            #[serde(crate = #serde_path)]
            #bound
        }
    });
    // An associated type must be as visible as the type it belongs to, and a macro cannot see how
    // visible that is. So the enums are public, and out of the documentation where no handler is.
    let hidden = (!matches!(server.vis, Visibility::Public(_))).then(|| quote!(#[doc(hidden)]));
    let variants = messages
        .iter()
        .map(|message| variant(server, message, *are_stored));
    let phantom = type_parameters(server).map(|types| {
        let skip = are_stored.then(|| quote!(#[serde(skip)]));
        quote! {
            /// Holds the type parameters; there is no value of it.
            #[doc(hidden)]
            #skip
            __Types(::core::marker::PhantomData<fn() -> #types>, #krate::Never),
        }
    });
    quote! {
        #[doc = #doc]
        #hidden
        #[allow(private_interfaces, unreachable_pub, clippy::large_enum_variant)]
        #[derive(::core::clone::Clone)]
        #derives
        pub enum #name<#params> #where_clause {
            #(#variants,)*
            #phantom
        }
    }
}

fn variant(server: &Server, message: &Message, is_stored: bool) -> TokenStream {
    let Message {
        variant,
        cfgs,
        serde,
        arguments,
        ..
    } = message;
    let docs = docs::summary(server, message);
    let stored = is_stored.then(|| {
        let rename = match &message.stored_name {
            StoredName::Method => {
                let name = message.ident.unraw().to_string();
                Some(quote!(rename = #name,))
            }
            StoredName::Given(name) => Some(quote!(rename = #name,)),
            StoredName::Serde => None,
        };
        let aliases = &message.aliases;
        quote!(#[serde(#rename #(alias = #aliases,)*)])
    });
    let fields = arguments.iter().map(|argument| {
        let ident = &argument.ident;
        let ty = &argument.ty;
        let serde = &argument.serde;
        let doc = format!(" The argument `{}`.", ident.unraw());
        // Serde shows its errors where a field begins.
        let span = located_at(ident.span());
        let doc = quote_spanned!(span=> #[doc = #doc]);
        quote!(#doc #(#serde)* #ident: #ty)
    });
    quote! {
        #docs
        #(#cfgs)*
        #stored
        #(#serde)*
        #variant { #(#fields),* }
    }
}

fn debug(server: &Server, messages: &Messages<'_>) -> TokenStream {
    let Messages { name, messages, .. } = messages;
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
