//! The function that makes a state.

use syn::Ident;
use syn::{ReturnType, Signature, Type};

use super::attributes::is_cfg;
use super::context::is_any_context;
use super::signature::{argument, refuse_qualifiers, typed};
use super::types::{ResultTypes, peeled, result_types};
use crate::mistakes::Mistakes;
use crate::model::{Init, InitFunction, Server};
use crate::parse::{Method, Role};
use crate::self_type::SelfType;

/// Makes `method` the server's `#[init]`, unless there is one already.
pub(super) fn init(
    server: &mut Server,
    method: &Method,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) {
    let before = mistakes.count();
    let signature = &method.function.sig;
    if !matches!(server.init, Init::Default) {
        mistakes.add(
            &signature.ident,
            "a server starts in one way: keep one `#[init]`, and tell the cases apart by its arguments",
        );
        return;
    }
    refuse_qualifiers(signature, Role::Init, false, mistakes);
    if let Some(receiver) = signature.receiver() {
        mistakes.add(
            receiver,
            "there is no state before `#[init]` has made one: remove `self`",
        );
    }
    for attribute in &method.function.attrs {
        if is_cfg(attribute) {
            mistakes.add(
                attribute,
                "`#[init]` is there or it is not: put the `#[cfg]` inside the function",
            );
        } else if attribute.path().is_ident("serde") {
            mistakes.add(
                attribute,
                "`#[init]` is not a stored message: remove the attribute",
            );
        }
    }
    let mut arguments = Vec::new();
    for parameter in typed(signature) {
        if is_any_context(parameter) {
            mistakes.add(
                parameter,
                "`#[init]` runs before there is a context: remove the parameter",
            );
            continue;
        }
        if let Some(attribute) = parameter
            .attrs
            .iter()
            .find(|attribute| attribute.path().is_ident("serde"))
        {
            mistakes.add(
                attribute,
                "arguments of `#[init]` are not stored: remove the attribute",
            );
        }
        arguments.extend(argument(parameter, Role::Init, self_type, mistakes));
    }
    let error =
        init_error(signature, &server.ident, mistakes).map(|error| self_type.spelled_out(error));
    server.init = if mistakes.count() > before {
        Init::Mistaken
    } else {
        Init::Function(Box::new(InitFunction {
            ident: signature.ident.clone(),
            arguments,
            error,
        }))
    };
}

/// The error type of a fallible `#[init]`; anything but `Self` and `Result<Self, E>` is refused.
fn init_error<'a>(
    signature: &'a Signature,
    server: &Ident,
    mistakes: &mut Mistakes,
) -> Option<&'a Type> {
    let wanted = "`#[init]` returns the new state: write `-> Self` or `-> Result<Self, E>`";
    let is_state = |ty: &Type| {
        matches!(peeled(ty), Type::Path(ty) if ty.path.segments.last()
            .is_some_and(|last| last.ident == "Self" || last.ident == *server))
    };
    let ReturnType::Type(_, ty) = &signature.output else {
        mistakes.add(&signature.ident, wanted);
        return None;
    };
    match result_types(ty) {
        ResultTypes::Both(state, error) if is_state(state) => Some(error),
        ResultTypes::NotAResult if is_state(ty) => None,
        _ => {
            mistakes.add(ty, wanted);
            None
        }
    }
}
