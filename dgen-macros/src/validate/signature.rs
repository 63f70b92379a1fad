//! A method's signature: what stands before `fn`, the receiver, the arguments.

use syn::{FnArg, GenericParam, Pat, PatType, Receiver, ReceiverKind, Safety, Signature, Type};

use super::attributes::is_cfg;
use super::types::{first_borrow, first_impl_trait, is_self};
use crate::mistakes::Mistakes;
use crate::model::Argument;
use crate::parse::Role;
use crate::self_type::SelfType;

/// The parameters after the receiver.
pub(super) fn typed(signature: &Signature) -> impl Iterator<Item = &PatType> {
    signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(parameter) => Some(parameter),
        FnArg::Receiver(_) => None,
    })
}

/// What stands around the name: `async`, `unsafe`, generics.
pub(super) fn refuse_qualifiers(
    signature: &Signature,
    role: Role,
    is_locked: bool,
    mistakes: &mut Mistakes,
) {
    match (&signature.asyncness, role) {
        (None, _) if is_locked => mistakes.add(
            signature.fn_token,
            "locked work may wait: write `async fn`, or leave out `locked`",
        ),
        (Some(_), _) if is_locked => {}
        (Some(token), Role::Call | Role::Cast) => {
            let name = role.name();
            mistakes.add(
                token,
                format_args!(
                    "this runs inside a transaction and cannot wait: write `#[{name}(locked)]`, or `fn` without `async`"
                ),
            );
        }
        (Some(token), Role::Init | Role::Info) => mistakes.add(
            token,
            "this runs inside a transaction and cannot wait: write `fn` without `async`",
        ),
        (None, _) => {}
    }
    if let Safety::Unsafe(token) = &signature.safety {
        mistakes.add(token, "any caller may send this, so it has no conditions to keep: write `fn` without `unsafe`");
    }
    if let Some(variadic) = &signature.variadic {
        mistakes.add(
            variadic,
            "a message has a fixed set of arguments: take a `Vec`",
        );
    }
    for parameter in &signature.generics.params {
        let message = match parameter {
            GenericParam::Lifetime(_) => "arguments and replies are owned: remove the lifetime",
            _ if role == Role::Init => "`start` takes arguments of one type: write the type itself",
            _ => {
                "a message has one type: write the type itself, or make it a parameter of the `impl`"
            }
        };
        mistakes.add(parameter, message);
    }
    if let Some(clause) = &signature.generics.where_clause {
        mistakes.add(
            clause,
            "bounds are shared by all handlers: move them to the `impl`",
        );
    }
}

/// A handler without the state, or with more or less of it than it needs.
pub(super) fn refuse_receiver(
    signature: &Signature,
    role: Role,
    is_locked: bool,
    mistakes: &mut Mistakes,
) {
    // Locked work has effects of its own. Without those, and without a reply, there is only the
    // state.
    let must_write = !is_locked && role != Role::Call;
    let wanted = if must_write {
        "`&mut self`"
    } else {
        "`&mut self`, or `&self` to read"
    };
    let Some(receiver) = signature.receiver() else {
        let message = format!("a handler works on the server's state: begin with {wanted}");
        match signature.inputs.first() {
            Some(first) => mistakes.add(first, message),
            None => mistakes.add(&signature.ident, message),
        }
        return;
    };
    match borrow_of_self(receiver) {
        Some(Borrow::Exclusive) => {}
        Some(Borrow::Shared) if must_write => {
            mistakes.add(
                receiver,
                "this has no reply, so it is there to change the state: write `&mut self`",
            );
        }
        Some(Borrow::Shared) => {}
        None => mistakes.add(
            receiver,
            format_args!("the state outlives the handler: write {wanted}"),
        ),
    }
}

/// Whether the handler takes `&self`.
pub(super) fn borrows_shared(signature: &Signature) -> bool {
    let receiver = signature.receiver();
    matches!(receiver.and_then(borrow_of_self), Some(Borrow::Shared))
}

enum Borrow {
    Shared,
    Exclusive,
}

/// How the receiver borrows `Self`; `None` if it takes it, or wraps it in something.
fn borrow_of_self(receiver: &Receiver) -> Option<Borrow> {
    let mutability = match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability,
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(reference) if is_self(&reference.elem) => &reference.mutability,
            _ => return None,
        },
        _ => return None,
    };
    Some(if mutability.is_some() {
        Borrow::Exclusive
    } else {
        Borrow::Shared
    })
}

/// One argument. `None` only together with a mistake.
pub(super) fn argument(
    parameter: &PatType,
    role: Role,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> Option<Argument> {
    let before = mistakes.count();
    let ident = match &*parameter.pat {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
            Some(pattern.ident.clone())
        }
        pattern => {
            let reason = match role {
                Role::Call | Role::Cast => "an argument's name is stored with it",
                Role::Init | Role::Info => "an argument has a name",
            };
            mistakes.add(
                pattern,
                format_args!("{reason}: write a plain name, and take the value apart in the body"),
            );
            None
        }
    };
    if let Some(borrow) = first_borrow(&parameter.ty) {
        let reason = match role {
            Role::Init => "`start` takes owned arguments",
            Role::Call | Role::Cast => "an argument waits in the queue, so it is owned",
            Role::Info => "the sender does not wait, so an argument is owned",
        };
        mistakes.add(
            borrow.culprit,
            format_args!("{reason}: write `{}`", borrow.owned),
        );
    }
    if let Some(opaque) = first_impl_trait(&parameter.ty) {
        let reason = match role {
            Role::Init => "`start` takes arguments of one type",
            _ => "a message has one type",
        };
        mistakes.add(opaque, format_args!("{reason}: write the type's name here"));
    }
    let mut serde = Vec::new();
    for attribute in &parameter.attrs {
        if attribute.path().is_ident("serde") {
            if role == Role::Info {
                mistakes.add(
                    attribute,
                    "an info message is not stored: remove the attribute",
                );
            }
            serde.push(attribute.clone());
        } else if is_cfg(attribute) {
            mistakes.add(
                attribute,
                "an argument is there or it is not: put the `#[cfg]` on two whole handlers",
            );
        }
    }
    if mistakes.count() > before {
        return None;
    }
    Some(Argument {
        ident: ident?,
        ty: self_type.spelled_out(&parameter.ty),
        serde,
    })
}
