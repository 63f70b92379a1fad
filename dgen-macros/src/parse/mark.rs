//! One of our attributes on a method: what the method is for, and options in parentheses.

use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Ident, Meta, Token};

/// One of our attributes, as the user wrote it.
pub(crate) struct Mark {
    pub(crate) role: Role,
    pub(crate) attribute: Attribute,
}

/// What a marked method is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Init,
    Call,
    Cast,
    Info,
}

/// One option of a mark: a key, and a value if one follows.
pub(crate) struct MethodOption {
    pub(crate) key: Ident,
    pub(crate) value: Option<Expr>,
}

impl Role {
    /// The role that an attribute of this name gives, if it is one of ours.
    pub(crate) fn from_attribute_name(name: &Ident) -> Option<Self> {
        match name.to_string().as_str() {
            "init" => Some(Self::Init),
            "call" => Some(Self::Call),
            "cast" => Some(Self::Cast),
            "info" => Some(Self::Info),
            _ => None,
        }
    }

    /// The attribute's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Call => "call",
            Self::Cast => "cast",
            Self::Info => "info",
        }
    }
}

impl Mark {
    /// The options of `#[call(..)]`; none of `#[call]`.
    pub(crate) fn options(&self) -> syn::Result<Vec<MethodOption>> {
        match &self.attribute.meta {
            Meta::Path(_) => Ok(Vec::new()),
            // Refuses `#[call = ..]`.
            Meta::List(_) | Meta::NameValue(_) => {
                let options = Punctuated::<MethodOption, Token![,]>::parse_terminated;
                let options = self.attribute.parse_args_with(options)?;
                Ok(options.into_iter().collect())
            }
        }
    }
}

impl syn::parse::Parse for MethodOption {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let key = Ident::parse_any(input)?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        Ok(Self { key, value })
    }
}

/// Those of `attributes` that are ours.
pub(super) fn marks(attributes: &[Attribute]) -> Vec<Mark> {
    attributes
        .iter()
        .filter_map(|attribute| {
            let role = Role::from_attribute_name(attribute.path().get_ident()?)?;
            let attribute = attribute.clone();
            Some(Mark { role, attribute })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::parse_quote;

    use super::*;

    fn options(attribute: Attribute) -> syn::Result<Vec<(String, String)>> {
        let role = Role::Call;
        let options = Mark { role, attribute }.options()?;
        Ok(options
            .into_iter()
            .map(|MethodOption { key, value }| {
                (key.to_string(), value.to_token_stream().to_string())
            })
            .collect())
    }

    #[test]
    fn options_have_a_value_or_none() {
        let found = options(parse_quote!(#[call(locked, timeout = five(1, 2), type = "a",)]));
        let found = found.expect("well-formed options");
        let expected = [
            ("locked", ""),
            ("timeout", "five (1 , 2)"),
            ("type", "\"a\""),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
    }

    #[test]
    fn no_parentheses_are_no_options() {
        assert_eq!(options(parse_quote!(#[call])).expect("no options"), []);
        assert_eq!(options(parse_quote!(#[call()])).expect("no options"), []);
    }

    #[test]
    fn what_is_no_list_of_options_is_an_error() {
        assert!(options(parse_quote!(#[call = 3])).is_err());
        assert!(options(parse_quote!(#[call("a")])).is_err());
    }
}
