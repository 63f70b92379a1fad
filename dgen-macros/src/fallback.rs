//! The user's impl block as it was written, less the attributes that only this macro knows.
//!
//! It works on tokens and cannot fail, so the block is emitted whatever else is wrong: the
//! compiler and the editor go on seeing every method, and report what they find there.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::Ident;

use crate::parse::Role;

/// Removes `#[init]`, `#[call]`, `#[cast]` and `#[serde]` from the methods of the block, and
/// `#[serde]` from their parameters. Method bodies are not looked into.
pub(crate) fn without_helpers(item: TokenStream) -> TokenStream {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let is_impl = tokens
        .iter()
        .any(|token| matches!(token, TokenTree::Ident(word) if word == "impl"));
    // The members are in the last braces; braces before them belong to const expressions. A
    // block that came through `macro_rules!` may sit in an invisible group of its own.
    let around = if is_impl {
        Delimiter::Brace
    } else {
        Delimiter::None
    };
    let members = tokens.iter_mut().rev().find_map(|token| match token {
        TokenTree::Group(group) => (group.delimiter() == around).then_some(group),
        _ => None,
    });
    if let Some(group) = members {
        let inner = if is_impl {
            members_without_helpers(group.stream())
        } else {
            without_helpers(group.stream())
        };
        *group = regroup(group, inner);
    }
    tokens.into_iter().collect()
}

fn members_without_helpers(members: TokenStream) -> TokenStream {
    let is_helper = |name: &Ident| Role::from_attribute_name(name).is_some() || name == "serde";
    without_attributes(members, is_helper)
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
                let parameters = without_attributes(group.stream(), |name| name == "serde");
                TokenTree::Group(regroup(&group, parameters))
            }
            other => other,
        })
        .collect()
}

/// Removes `#[name ..]` wherever `is_removed` holds of the name, at this level of nesting.
fn without_attributes(tokens: TokenStream, is_removed: impl Fn(&Ident) -> bool) -> TokenStream {
    let mut kept = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_pound = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#');
        let removed = tokens
            .next_if(|next| is_pound && attribute_name(next).is_some_and(|name| is_removed(&name)));
        if removed.is_none() {
            kept.extend([token]);
        }
    }
    kept
}

/// The name in `[name ..]`; a path such as `[a::b]` is somebody else's.
fn attribute_name(token: &TokenTree) -> Option<Ident> {
    let TokenTree::Group(group) = token else {
        return None;
    };
    if group.delimiter() != Delimiter::Bracket {
        return None;
    }
    let mut inner = group.stream().into_iter();
    let (Some(TokenTree::Ident(name)), next) = (inner.next(), inner.next()) else {
        return None;
    };
    match next {
        Some(TokenTree::Punct(punct)) if punct.as_char() == ':' => None,
        _ => Some(name),
    }
}

fn regroup(original: &Group, stream: TokenStream) -> Group {
    let mut group = Group::new(original.delimiter(), stream);
    group.set_span(original.span());
    group
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn helpers_go_and_everything_else_stays() {
        let written = quote! {
            #[allow(unused)]
            impl<const N: usize> Counter<{ N }> {
                /// Adds.
                #[call]
                #[cfg(unix)]
                #[serde(alias = "plus")]
                fn add(&mut self, #[serde(default)] #[allow(unused)] by: i64) -> i64 {
                    #[serde] let kept = 1;
                    kept
                }
                #[init(odd)] fn new() -> Self { Self }
                #[cast = 3] fn odd(&mut self) {}
                #[other::call] fn foreign(&self) {}
            }
        };
        let expected = quote! {
            #[allow(unused)]
            impl<const N: usize> Counter<{ N }> {
                /// Adds.
                #[cfg(unix)]
                fn add(&mut self, #[allow(unused)] by: i64) -> i64 {
                    #[serde] let kept = 1;
                    kept
                }
                fn new() -> Self { Self }
                fn odd(&mut self) {}
                #[other::call] fn foreign(&self) {}
            }
        };
        assert_eq!(without_helpers(written).to_string(), expected.to_string());
    }

    #[test]
    fn tokens_that_are_no_impl_come_back_unchanged() {
        let written = quote!(
            struct Counter {
                #[serde(default)]
                value: i64,
            }
        );
        assert_eq!(
            without_helpers(written.clone()).to_string(),
            written.to_string()
        );
    }

    #[test]
    fn a_block_in_an_invisible_group_is_looked_into() {
        let inner = quote!(impl Counter { #[call] fn value(&self) {} });
        let group = TokenTree::Group(Group::new(Delimiter::None, inner));
        let rest = without_helpers(group.into()).to_string();
        assert!(!rest.contains("call"), "{rest}");
    }
}
