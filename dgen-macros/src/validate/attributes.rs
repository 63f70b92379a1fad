//! Attributes of a handler that what is generated for it must share.

use proc_macro2::TokenTree;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Token};

/// A handler's attributes by what becomes of them; the rest stay on the user's method alone.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) docs: Vec<Attribute>,
    pub(super) cfgs: Vec<Attribute>,
    pub(super) deprecated: Vec<Attribute>,
    pub(super) serde: Vec<Attribute>,
}

pub(super) fn carried(attributes: &[Attribute]) -> Carried {
    let mut carried = Carried::default();
    for attribute in attributes {
        let place = if comes_to(attribute, "doc") {
            &mut carried.docs
        } else if is_cfg(attribute) {
            &mut carried.cfgs
        } else if comes_to(attribute, "deprecated") {
            &mut carried.deprecated
        } else if attribute.path().is_ident("serde") {
            &mut carried.serde
        } else {
            continue;
        };
        place.push(attribute.clone());
    }
    carried
}

/// `#[cfg(..)]`, or a `#[cfg_attr(..)]` that comes to nothing else.
pub(super) fn is_cfg(attribute: &Attribute) -> bool {
    comes_to(attribute, "cfg")
}

/// Whether a `#[serde(..)]` attribute gives the stored name.
pub(super) fn gives_a_name(attribute: &Attribute) -> bool {
    match &attribute.meta {
        Meta::List(list) => list
            .tokens
            .clone()
            .into_iter()
            .any(|token| matches!(token, TokenTree::Ident(key) if key == "rename")),
        _ => false,
    }
}

/// The names that a variant with these attributes is read under: `rename` and `alias`, as far as
/// they are written in the usual form. Serde judges the rest.
pub(super) fn serde_names(attributes: &[Attribute]) -> Vec<LitStr> {
    let list = Punctuated::<Meta, Token![,]>::parse_terminated;
    let metas = attributes
        .iter()
        .filter_map(|attribute| attribute.parse_args_with(list).ok())
        .flatten();
    metas
        .flat_map(|meta| match meta {
            // `rename(serialize = "..", deserialize = "..")`
            Meta::List(both) if both.path.is_ident("rename") => {
                let both = both.parse_args_with(list).unwrap_or_default();
                both.into_iter()
                    .filter(|meta| meta.path().is_ident("deserialize"))
                    .collect()
            }
            meta if meta.path().is_ident("rename") || meta.path().is_ident("alias") => vec![meta],
            _ => Vec::new(),
        })
        .filter_map(|meta| match meta {
            Meta::NameValue(pair) => literal(pair.value),
            _ => None,
        })
        .collect()
}

fn literal(value: Expr) -> Option<LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        }) => Some(name),
        _ => None,
    }
}

/// Whether this is `#[name ..]`, or a `#[cfg_attr(..)]` that adds that alone.
fn comes_to(attribute: &Attribute, name: &str) -> bool {
    if !attribute.path().is_ident("cfg_attr") {
        return attribute.path().is_ident(name);
    }
    // A predicate such as `unix` or `all(..)` reads as a meta too.
    match attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) {
        Ok(metas) => metas.len() > 1 && metas.iter().skip(1).all(|meta| meta.path().is_ident(name)),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn conditional_attributes_count_as_what_they_add() {
        assert!(is_cfg(&parse_quote!(#[cfg_attr(unix, cfg(feature = "a"))])));
        assert!(!is_cfg(&parse_quote!(#[cfg_attr(unix, inline)])));
        assert!(comes_to(
            &parse_quote!(#[cfg_attr(all(unix, test), doc = "on unix")]),
            "doc"
        ));
    }

    #[test]
    fn a_serde_name_is_told_from_other_serde_options() {
        assert!(gives_a_name(
            &parse_quote!(#[serde(alias = "a", rename = "b")])
        ));
        assert!(!gives_a_name(&parse_quote!(#[serde(alias = "rename")])));
    }

    #[test]
    fn the_names_that_serde_reads_are_found() {
        let attributes: [Attribute; 3] = [
            parse_quote!(#[serde(alias = "a", rename = "b", alias = "c")]),
            parse_quote!(#[serde(rename(serialize = "no", deserialize = "d"))]),
            parse_quote!(#[serde(bound = "no", skip)]),
        ];
        let names: Vec<String> = serde_names(&attributes).iter().map(LitStr::value).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }
}
