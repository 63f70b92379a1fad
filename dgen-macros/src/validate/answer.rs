//! What a call returns, and when.

use syn::{ReturnType, Type};

use super::types::{
    ResultTypes, deferred_types, first_borrow, first_impl_trait, result_types, shown,
};
use crate::mistakes::Mistakes;
use crate::self_type::SelfType;

/// A call's value, its error if it has one, and whether both come later.
pub(super) struct Answer {
    pub(super) value: Type,
    pub(super) error: Option<Type>,
    pub(super) is_deferred: bool,
}

/// Reads what a call returns. After a mistake the answer only stands in.
pub(super) fn answer(
    output: &ReturnType,
    is_locked: bool,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> Answer {
    let ReturnType::Type(_, ty) = output else {
        return now(syn::parse_quote!(()), None);
    };
    if let Some(borrow) = first_borrow(ty) {
        mistakes.add(
            borrow.culprit,
            format_args!(
                "a reply travels to its caller, so it is owned: write `{}`",
                borrow.owned
            ),
        );
    }
    if let Some(opaque) = first_impl_trait(ty) {
        mistakes.add(opaque, "a reply has one type: write the type's name here");
    }
    if let Some((value, error)) = deferred_types(ty) {
        if is_locked {
            let shown = match error {
                None => shown(value),
                Some(error) => format!("Result<{}, {}>", shown(value), shown(error)),
            };
            mistakes.add(
                ty,
                format_args!("locked work answers when it is done: write `{shown}`"),
            );
        }
        return Answer {
            value: self_type.spelled_out(value),
            error: error.map(|error| self_type.spelled_out(error)),
            is_deferred: true,
        };
    }
    match result_types(ty) {
        ResultTypes::Both(value, error) => {
            if let Some((deferred, _)) = deferred_types(value) {
                let (deferred, error) = (shown(deferred), shown(error));
                mistakes.add(
                    value,
                    format_args!(
                        "an error comes as late as the value: return `Deferred<{deferred}, {error}>`"
                    ),
                );
            }
            let error = self_type.spelled_out(error);
            now(self_type.spelled_out(value), Some(error))
        }
        ResultTypes::NotAResult => now(self_type.spelled_out(ty), None),
        ResultTypes::Hidden => {
            mistakes.add(
                ty,
                "the client names the error type, which an alias hides: write `Result<T, E>` with both",
            );
            now(self_type.spelled_out(ty), None)
        }
    }
}

fn now(value: Type, error: Option<Type>) -> Answer {
    Answer {
        value,
        error,
        is_deferred: false,
    }
}
