//! What a valid block says, free of syntax that no longer matters.
//!
//! [`validate`](crate::validate) alone makes these values, so whoever holds one need not check
//! anything again: [`expand`](crate::expand) cannot fail.

use proc_macro2::Span;
use quote::format_ident;
use syn::ext::IdentExt;
use syn::{Attribute, Expr, Generics, Ident, LitStr, Path, Type, Visibility};

/// One server: everything there is to generate.
pub(crate) struct Server {
    /// The type of the impl block, as written there.
    pub(crate) ty: Type,
    /// That type's own name, from which the generated names are made.
    pub(crate) ident: Ident,
    /// The stored name.
    pub(crate) name: String,
    /// Where the dgen-server crate is found.
    pub(crate) crate_path: Path,
    /// The parameters and bounds of the impl block; lifetimes have been refused.
    pub(crate) generics: Generics,
    /// `#[cfg]`s of the impl block, which everything generated must share.
    pub(crate) cfgs: Vec<Attribute>,
    /// The widest visibility of any marked method: that of the handle and the batch.
    pub(crate) vis: Visibility,
    pub(crate) init: Init,
    pub(crate) calls: Vec<Call>,
    pub(crate) casts: Vec<Message>,
    pub(crate) infos: Vec<Message>,
}

/// How a new state comes to be.
pub(crate) enum Init {
    /// No `#[init]`: the type's `Default`.
    Default,
    /// The user's function.
    Function(Box<InitFunction>),
    /// There is an `#[init]` but it has mistakes. What is generated then only has to
    /// compile, so that the user sees the mistakes and nothing that follows from them.
    Mistaken,
}

/// An `#[init]` function.
pub(crate) struct InitFunction {
    pub(crate) ident: Ident,
    pub(crate) arguments: Vec<Argument>,
    /// The error type, if the function returns a `Result`.
    pub(crate) error: Option<Type>,
}

/// A `#[call]` handler.
pub(crate) struct Call {
    pub(crate) message: Message,
    /// What the caller gets.
    pub(crate) value: Type,
    /// `E`, if the handler returns `Result<value, E>` (then an error leaves the state as it was)
    /// or `Deferred<value, E>`.
    pub(crate) error: Option<Type>,
    /// Whether the handler returns a `Deferred`, and the caller is answered later.
    pub(crate) is_deferred: bool,
    /// Whether it only reads: `&self`, no context, and not locked work.
    pub(crate) is_read: bool,
}

/// What calls, casts and infos have in common: a method, and the message that asks for it.
pub(crate) struct Message {
    pub(crate) ident: Ident,
    /// The enum variant.
    pub(crate) variant: Ident,
    pub(crate) vis: Visibility,
    /// `#[doc]` attributes.
    pub(crate) docs: Vec<Attribute>,
    /// `#[cfg]`s, which variant, arm and methods must share.
    pub(crate) cfgs: Vec<Attribute>,
    /// `#[deprecated]`, for the client's method.
    pub(crate) deprecated: Vec<Attribute>,
    /// `#[serde(..)]` for the variant.
    pub(crate) serde: Vec<Attribute>,
    pub(crate) stored_name: StoredName,
    /// Other names that it is read under.
    pub(crate) aliases: Vec<LitStr>,
    /// Whether it goes on as locked work, in an `async fn`.
    pub(crate) is_locked: bool,
    /// How long the client waits, if not as long as by default; with `Self` spelled out.
    pub(crate) timeout: Option<Expr>,
    pub(crate) arguments: Vec<Argument>,
    /// How many arguments stand before the `cx` parameter, if there is one.
    pub(crate) context_at: Option<usize>,
}

/// The name that a message is stored under.
pub(crate) enum StoredName {
    /// The method's.
    Method,
    /// `rename = ".."`.
    Given(LitStr),
    /// One of the `#[serde(..)]` attributes gives it.
    Serde,
}

/// One owned argument.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    /// Its type, with `Self` spelled out.
    pub(crate) ty: Type,
    /// `#[serde(..)]` for the field.
    pub(crate) serde: Vec<Attribute>,
}

impl Server {
    pub(crate) fn call_ident(&self) -> Ident {
        self.derived_ident("Call")
    }

    pub(crate) fn cast_ident(&self) -> Ident {
        self.derived_ident("Cast")
    }

    pub(crate) fn info_ident(&self) -> Ident {
        self.derived_ident("Info")
    }

    pub(crate) fn handle_ident(&self) -> Ident {
        self.derived_ident("Handle")
    }

    pub(crate) fn batch_ident(&self) -> Ident {
        self.derived_ident("Batch")
    }

    /// The span is that of the type's name, so that a clash is shown there.
    fn derived_ident(&self, suffix: &str) -> Ident {
        format_ident!("{}{suffix}", self.ident.unraw(), span = self.ident.span())
    }
}

/// The variant for a method: `get_total` becomes `GetTotal`.
///
/// Total: what CamelCase cannot name (`_1`, `self_`) gets an underscore.
pub(crate) fn variant_ident(method: &Ident) -> Ident {
    let mut camel = String::new();
    for word in method.unraw().to_string().split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        camel.push_str(letters.as_str());
    }
    let starts_a_name = camel.starts_with(|first: char| !first.is_numeric());
    let name = match camel.as_str() {
        "Self" => "Self_".to_owned(),
        _ if starts_a_name => camel,
        _ => format!("_{camel}"),
    };
    // `__` alone leaves a lone underscore, which is no name.
    let name = if name == "_" { "__".to_owned() } else { name };
    Ident::new(&name, located_at(method.span()))
}

/// A span that is shown at `place` but belongs to the expansion, so that lints on hand-written
/// code leave generated code alone.
pub(crate) fn located_at(place: Span) -> Span {
    Span::call_site().located_at(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(method: &str) -> String {
        let method: Ident = syn::parse_str(method).expect("a method name");
        variant_ident(&method).to_string()
    }

    #[test]
    fn variants_are_the_methods_in_camel_case() {
        assert_eq!(variant("get_total"), "GetTotal");
        assert_eq!(variant("r#type"), "Type");
        assert_eq!(variant("a1_b2"), "A1B2");
        assert_eq!(variant("élan"), "Élan");
    }

    #[test]
    fn every_method_name_makes_a_variant() {
        assert_eq!(variant("self_"), "Self_");
        assert_eq!(variant("_1"), "_1");
        assert_eq!(variant("__"), "__");
    }
}
