//! Questions about types, asked of their tokens: a macro sees nothing else.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{
    GenericArgument, Lifetime, PathArguments, Type, TypeImplTrait, TypeReference, Visibility,
};

/// What a return type says about failure.
pub(super) enum ResultTypes<'a> {
    /// `Result<T, E>`.
    Both(&'a Type, &'a Type),
    /// Something named `Result` that does not show both types.
    Hidden,
    NotAResult,
}

pub(super) fn result_types(ty: &Type) -> ResultTypes<'_> {
    let Type::Path(ty) = peeled(ty) else {
        return ResultTypes::NotAResult;
    };
    let Some(last) = ty
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Result")
    else {
        return ResultTypes::NotAResult;
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return ResultTypes::Hidden;
    };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(value)), Some(GenericArgument::Type(error)), None) => {
            ResultTypes::Both(value, error)
        }
        _ => ResultTypes::Hidden,
    }
}

/// `R`, and `E` if it is written, of `Deferred<R, E>`.
///
/// A `Deferred` without arguments is a type of the user's own.
pub(super) fn deferred_types(ty: &Type) -> Option<(&Type, Option<&Type>)> {
    let Type::Path(ty) = peeled(ty) else {
        return None;
    };
    let last = ty.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let mut types = arguments.args.iter().map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    match (types.next(), types.next(), types.next()) {
        _ if last.ident != "Deferred" => None,
        (Some(Some(value)), None, None) => Some((value, None)),
        (Some(Some(value)), Some(Some(error)), None) => Some((value, Some(error))),
        _ => None,
    }
}

pub(super) fn is_self(ty: &Type) -> bool {
    matches!(peeled(ty), Type::Path(ty) if ty.qself.is_none() && ty.path.is_ident("Self"))
}

/// The type without parentheses, visible or (from `macro_rules!`) not.
pub(super) fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peeled(&group.elem),
        Type::Paren(paren) => peeled(&paren.elem),
        _ => ty,
    }
}

/// Something borrowed inside a type, and what to own in its place.
pub(super) struct Borrowed {
    pub(super) culprit: TokenStream,
    pub(super) owned: String,
}

pub(super) fn first_borrow(ty: &Type) -> Option<Borrowed> {
    struct Search(Option<Borrowed>);
    impl Visit<'_> for Search {
        fn visit_type_reference(&mut self, reference: &TypeReference) {
            self.0.get_or_insert_with(|| Borrowed {
                culprit: reference.to_token_stream(),
                owned: owned_form(&reference.elem),
            });
        }
        fn visit_lifetime(&mut self, lifetime: &Lifetime) {
            if lifetime.ident != "static" {
                self.0.get_or_insert_with(|| Borrowed {
                    culprit: lifetime.to_token_stream(),
                    owned: "'static".to_owned(),
                });
            }
        }
    }
    let mut search = Search(None);
    search.visit_type(ty);
    search.0
}

pub(super) fn first_impl_trait(ty: &Type) -> Option<TypeImplTrait> {
    struct Search(Option<TypeImplTrait>);
    impl Visit<'_> for Search {
        fn visit_type_impl_trait(&mut self, opaque: &TypeImplTrait) {
            self.0.get_or_insert_with(|| opaque.clone());
            visit::visit_type_impl_trait(self, opaque);
        }
    }
    let mut search = Search(None);
    search.visit_type(ty);
    search.0
}

/// How far a visibility reaches, for comparison alone.
pub(super) fn breadth(vis: &Visibility) -> u8 {
    match vis {
        Visibility::Public(_) => 3,
        Visibility::Restricted(vis) if vis.path.is_ident("crate") => 2,
        Visibility::Restricted(vis) if vis.path.is_ident("self") => 0,
        Visibility::Restricted(_) => 1,
        _ => 0,
    }
}

/// A type as a person would write it.
pub(super) fn shown(ty: &Type) -> String {
    let spaced = ty.to_token_stream().to_string();
    let mut shown = spaced.replace(" :: ", "::").replace(":: ", "::");
    for (from, to) in [
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        (" ;", ";"),
    ] {
        shown = shown.replace(from, to);
    }
    shown
}

fn owned_form(borrowed: &Type) -> String {
    match peeled(borrowed) {
        Type::Slice(slice) => format!("Vec<{}>", shown(&slice.elem)),
        Type::Path(ty) if ty.path.is_ident("str") => "String".to_owned(),
        Type::Path(ty) if ty.path.is_ident("Path") => "PathBuf".to_owned(),
        Type::TraitObject(_) => "a type of your own".to_owned(),
        other => shown(other),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn results_are_known_by_both_their_types() {
        assert!(matches!(
            result_types(&parse_quote!(std::result::Result<u8, E>)),
            ResultTypes::Both(..)
        ));
        assert!(matches!(
            result_types(&parse_quote!(io::Result<u8>)),
            ResultTypes::Hidden
        ));
        assert!(matches!(
            result_types(&parse_quote!(fmt::Result)),
            ResultTypes::Hidden
        ));
        assert!(matches!(
            result_types(&parse_quote!(Option<Result<u8, E>>)),
            ResultTypes::NotAResult
        ));
    }

    #[test]
    fn deferred_replies_are_known_by_name_and_arguments() {
        let types =
            |ty: Type| deferred_types(&ty).map(|(value, error)| (shown(value), error.map(shown)));
        assert_eq!(
            types(parse_quote!(dgen_server::Deferred<u8>)),
            Some(("u8".to_owned(), None))
        );
        assert_eq!(
            types(parse_quote!(Deferred<u8, E>)),
            Some(("u8".to_owned(), Some("E".to_owned())))
        );
        assert_eq!(types(parse_quote!(Deferred)), None);
        assert_eq!(types(parse_quote!(Option<Deferred<u8>>)), None);
    }

    #[test]
    fn borrows_are_found_at_any_depth_with_an_owned_form() {
        let owned = |ty: Type| first_borrow(&ty).map(|borrow| borrow.owned);
        assert_eq!(owned(parse_quote!(&str)).as_deref(), Some("String"));
        assert_eq!(
            owned(parse_quote!(Option<&[u8]>)).as_deref(),
            Some("Vec<u8>")
        );
        assert_eq!(
            owned(parse_quote!(&mut Vec<a::B>)).as_deref(),
            Some("Vec<a::B>")
        );
        assert_eq!(
            owned(parse_quote!(Cow<'_, str>)).as_deref(),
            Some("'static")
        );
        assert_eq!(owned(parse_quote!(Cow<'static, str>)), None);
    }
}
