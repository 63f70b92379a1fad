//! From tokens to syntax: the attribute's options, the impl block, and which of its methods
//! carry which of our attributes.
//!
//! Nothing is judged here beyond what the grammar says; [`validate`](crate::validate) does that.

mod mark;

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, FnArg, Ident, ImplItem, ImplItemFn, Item, ItemImpl, LitStr, Path, Token, parse_quote,
};

use crate::mistakes::Mistakes;
pub(crate) use mark::{Mark, MethodOption, Role};

/// What stands in the parentheses of `#[dgen_server(..)]`.
pub(crate) struct Options {
    /// `name = "..."`: the stored name.
    pub(crate) name: Option<LitStr>,
    /// `crate = "..."`: where the dgen-server crate is found. Default: `::dgen_server`.
    pub(crate) crate_path: Path,
}

/// The impl block, and those of its methods that carry one of our attributes.
pub(crate) struct Block {
    pub(crate) item: ItemImpl,
    pub(crate) methods: Vec<Method>,
}

/// A method with at least one mark.
pub(crate) struct Method {
    pub(crate) marks: Vec<Mark>,
    pub(crate) function: ImplItemFn,
}

/// Reads the options; what cannot be read is a mistake, and its default stands in.
pub(crate) fn options(tokens: TokenStream, mistakes: &mut Mistakes) -> Options {
    let mut options = Options {
        name: None,
        crate_path: parse_quote!(::dgen_server),
    };
    let mut crate_is_given = false;
    let entries = Punctuated::<Entry, Token![,]>::parse_terminated;
    let entries = match entries.parse2(tokens) {
        Ok(entries) => entries,
        Err(error) => {
            mistakes.add_error(error);
            return options;
        }
    };
    for Entry { key, value } in entries {
        if key != "name" && key != "crate" {
            mistakes.add(
                &key,
                format_args!(
                    "there is no option `{key}`: write `name = \"..\"` or `crate = \"..\"`"
                ),
            );
            continue;
        }
        let Some(value) = value else {
            mistakes.add(
                &key,
                format_args!("an option has a value: write `{key} = \"..\"`"),
            );
            continue;
        };
        match key.to_string().as_str() {
            "name" if options.name.is_some() => {
                mistakes.add(&key, "`name` is given twice: keep one of them");
            }
            "name" if value.value().is_empty() => {
                mistakes.add(
                    &value,
                    "a server is stored under its name: write at least one character",
                );
            }
            "name" => options.name = Some(value),
            "crate" if crate_is_given => {
                mistakes.add(&key, "`crate` is given twice: keep one of them");
            }
            "crate" => match value.parse_with(Path::parse_mod_style) {
                Ok(path) => {
                    options.crate_path = path;
                    crate_is_given = true;
                }
                Err(_) => mistakes.add(
                    &value,
                    "write the path of dgen-server, such as `crate = \"::dgen_server\"`",
                ),
            },
            _ => {}
        }
    }
    options
}

/// Reads the impl block. Anything but an impl block is a mistake, and `None`.
pub(crate) fn block(tokens: TokenStream, mistakes: &mut Mistakes) -> Option<Block> {
    let item = match syn::parse2::<Item>(tokens) {
        Ok(Item::Impl(item)) => item,
        Ok(other) => {
            let message =
                "`#[dgen_server]` goes on the handlers: write it above `impl YourType { .. }`";
            match item_name(&other) {
                Some(name) => mistakes.add(name, message),
                None => mistakes.add(&other, message),
            }
            return None;
        }
        Err(error) => {
            mistakes.add_error(error);
            return None;
        }
    };
    let mut methods = Vec::new();
    for member in &item.items {
        let marks = mark::marks(member_attributes(member));
        match member {
            _ if marks.is_empty() => refuse_serde(member, mistakes),
            ImplItem::Fn(function) => methods.push(Method {
                marks,
                function: function.clone(),
            }),
            _ => {
                for mark in marks {
                    let name = mark.role.name();
                    mistakes.add(
                        mark.attribute,
                        format_args!("`#[{name}]` goes on a method: write it above a `fn`"),
                    );
                }
            }
        }
    }
    Some(Block { item, methods })
}

/// `#[serde]` on what is no handler would vanish with our own attributes, unheard.
fn refuse_serde(member: &ImplItem, mistakes: &mut Mistakes) {
    let parameters = match member {
        ImplItem::Fn(function) => function.sig.inputs.iter().collect(),
        _ => Vec::new(),
    };
    let on_parameters = parameters
        .into_iter()
        .flat_map(|parameter| match parameter {
            FnArg::Receiver(receiver) => &receiver.attrs,
            FnArg::Typed(parameter) => &parameter.attrs,
        });
    for attribute in member_attributes(member).iter().chain(on_parameters) {
        if attribute.path().is_ident("serde") {
            mistakes.add(
                attribute,
                "only a handler's message is stored: make this a `#[call]` or `#[cast]`, or remove the attribute",
            );
        }
    }
}

/// One option: a key (which may be a keyword, such as `crate`) and a literal, if one follows.
struct Entry {
    key: Ident,
    value: Option<LitStr>,
}

impl syn::parse::Parse for Entry {
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

fn member_attributes(member: &ImplItem) -> &[Attribute] {
    match member {
        ImplItem::Const(member) => &member.attrs,
        ImplItem::Fn(member) => &member.attrs,
        ImplItem::Type(member) => &member.attrs,
        ImplItem::Macro(member) => &member.attrs,
        _ => &[],
    }
}

fn item_name(item: &Item) -> Option<&Ident> {
    match item {
        Item::Struct(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Mod(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens, quote};

    use super::*;

    fn read_options(tokens: TokenStream) -> (Options, Vec<String>) {
        let mut mistakes = Mistakes::default();
        let options = options(tokens, &mut mistakes);
        (options, mistakes.messages())
    }

    #[test]
    fn options_are_read_in_any_order() {
        let (options, mistakes) = read_options(quote!(crate = "my::dgen", name = "tally",));
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(
            options.name.map(|name| name.value()),
            Some("tally".to_owned())
        );
        assert_eq!(
            options.crate_path.to_token_stream().to_string(),
            "my :: dgen"
        );
    }

    #[test]
    fn each_unreadable_option_is_a_mistake_of_its_own() {
        let (_, mistakes) = read_options(quote!(nam = "a", name, name = "", crate = "1"));
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert!(mistakes[0].contains("`nam`"), "{mistakes:?}");
    }

    #[test]
    fn an_option_given_twice_is_a_mistake() {
        let (options, mistakes) = read_options(quote!(name = "a", name = "b"));
        assert_eq!(mistakes, ["`name` is given twice: keep one of them"]);
        assert_eq!(options.name.map(|name| name.value()), Some("a".to_owned()));
    }

    #[test]
    fn only_marked_methods_are_taken_up() {
        let mut mistakes = Mistakes::default();
        let block = block(
            quote! {
                impl Counter {
                    const LIMIT: i64 = 3;
                    #[init] fn new() -> Self { Self }
                    /// Adds.
                    #[call] #[cast] fn add(&mut self) {}
                    #[inline] fn plain(&self) {}
                }
            },
            &mut mistakes,
        );
        let block = block.expect("an impl block is read");
        let roles: Vec<Vec<Role>> = block
            .methods
            .iter()
            .map(|method| method.marks.iter().map(|mark| mark.role).collect())
            .collect();
        assert_eq!(roles, [vec![Role::Init], vec![Role::Call, Role::Cast]]);
        assert_eq!(mistakes.count(), 0);
    }

    #[test]
    fn a_mark_on_anything_but_a_method_is_a_mistake() {
        let mut mistakes = Mistakes::default();
        block(
            quote!(impl Counter { #[call] const LIMIT: i64 = 3; }),
            &mut mistakes,
        );
        assert_eq!(
            mistakes.messages(),
            ["`#[call]` goes on a method: write it above a `fn`"]
        );
    }

    #[test]
    fn anything_but_an_impl_block_is_a_mistake() {
        let mut mistakes = Mistakes::default();
        assert!(
            block(
                quote!(
                    struct Counter;
                ),
                &mut mistakes
            )
            .is_none()
        );
        assert!(
            block(
                quote!(
                    use a::b;
                ),
                &mut mistakes
            )
            .is_none()
        );
        assert_eq!(mistakes.count(), 2);
    }
}
