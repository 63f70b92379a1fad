//! The options of a handler: what stands in the parentheses of `#[call(..)]` and `#[cast(..)]`.

use syn::{Expr, ExprLit, Ident, Lit, LitStr};

use crate::mistakes::Mistakes;
use crate::parse::{Mark, MethodOption, Role};

const CHOICES: &str = "`locked`, `timeout = ..`, `rename = \"..\"` or `alias = \"..\"`";

/// The options that were given, each at most once but for the aliases.
#[derive(Default)]
pub(super) struct HandlerOptions {
    pub(super) is_locked: bool,
    pub(super) timeout: Option<Expr>,
    pub(super) rename: Option<LitStr>,
    pub(super) aliases: Vec<LitStr>,
}

/// Reads the options of a `#[call]` or `#[cast]`; those with a mistake are left out.
pub(super) fn options(mark: &Mark, mistakes: &mut Mistakes) -> HandlerOptions {
    let mut options = HandlerOptions::default();
    let given = match mark.options() {
        Ok(given) => given,
        Err(error) => {
            let message = format!("{error}; write {CHOICES}");
            mistakes.add_error(syn::Error::new(error.span(), message));
            return options;
        }
    };
    for MethodOption { key, value } in given {
        let is_given_twice = match key.to_string().as_str() {
            "locked" => {
                if let Some(value) = value {
                    mistakes.add(value, "`locked` has no value: write just `locked`");
                }
                std::mem::replace(&mut options.is_locked, true)
            }
            "timeout" => {
                let value = duration(&key, value, mistakes);
                value.is_some_and(|value| options.timeout.replace(value).is_some())
            }
            "rename" => {
                let value = name(&key, value, mistakes);
                value.is_some_and(|value| options.rename.replace(value).is_some())
            }
            "alias" => {
                options.aliases.extend(name(&key, value, mistakes));
                false
            }
            unknown => {
                let message = format!("there is no option `{unknown}`: write {CHOICES}");
                mistakes.add(&key, message);
                false
            }
        };
        if is_given_twice {
            mistakes.add(
                &key,
                format_args!("`{key}` is given twice: keep one of them"),
            );
        }
    }
    options
}

/// What `#[init]` and `#[info]` say of options: they have none. What was meant to be locked is
/// judged as such, so that one mistake makes one error.
pub(super) fn refuse_options(mark: &Mark, mistakes: &mut Mistakes) -> HandlerOptions {
    let given = match mark.options() {
        Ok(given) if given.is_empty() => return HandlerOptions::default(),
        Ok(given) => given,
        Err(_) => Vec::new(),
    };
    let locked = given.iter().find(|option| option.key == "locked");
    match (mark.role, locked) {
        (Role::Info, Some(option)) => mistakes.add(
            &option.key,
            "an info message is not stored, so its work could not go on elsewhere: write `#[cast(locked)]`",
        ),
        (role, _) => {
            let name = role.name();
            mistakes.add(
                &mark.attribute,
                format_args!("`#[{name}]` takes no options: write just `#[{name}]`"),
            );
        }
    }
    HandlerOptions {
        is_locked: locked.is_some(),
        ..HandlerOptions::default()
    }
}

fn duration(key: &Ident, value: Option<Expr>, mistakes: &mut Mistakes) -> Option<Expr> {
    let advice = match &value {
        None => "an option has a value: write `timeout = Duration::from_secs(30)`".to_owned(),
        Some(Expr::Lit(ExprLit {
            lit: Lit::Int(seconds),
            ..
        })) => {
            let seconds = seconds.base10_digits();
            format!("a timeout has a unit: write `timeout = Duration::from_secs({seconds})`")
        }
        Some(Expr::Lit(_)) => {
            "a timeout is a `Duration`: write `timeout = Duration::from_secs(30)`".to_owned()
        }
        Some(_) => return value,
    };
    match value {
        None => mistakes.add(key, advice),
        Some(value) => mistakes.add(value, advice),
    }
    None
}

fn name(key: &Ident, value: Option<Expr>, mistakes: &mut Mistakes) -> Option<LitStr> {
    match value {
        Some(Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        })) if !name.value().is_empty() => return Some(name),
        Some(value) => mistakes.add(
            value,
            "a message is stored under a name: write it between quotes, with at least one character",
        ),
        None => mistakes.add(
            key,
            format_args!("an option has a value: write `{key} = \"..\"`"),
        ),
    }
    None
}
