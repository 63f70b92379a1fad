//! What calls, casts and infos share: a method, and the message that asks for it.

use syn::ext::IdentExt;
use syn::visit_mut::VisitMut;

use super::attributes::{carried, gives_a_name};
use super::context::is_context;
use super::options::HandlerOptions;
use super::signature::{argument, refuse_qualifiers, refuse_receiver, typed};
use crate::mistakes::Mistakes;
use crate::model::{Message, StoredName, variant_ident};
use crate::parse::{Method, Role};
use crate::self_type::SelfType;

/// What the handle has of its own: functions, and the method that opens a batch. A handler may be
/// called like a method of `dgen_server::Handle`, which then is still there behind `*handle`.
const TAKEN_ON_HANDLE: [&str; 5] = ["start", "start_with", "client", "client_with", "batch"];

/// What the batch has of its own.
const TAKEN_ON_BATCH: &str = "cast";

/// Judges what every handler has. `None` only together with a mistake.
pub(super) fn message(
    method: &Method,
    role: Role,
    options: HandlerOptions,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> Option<Message> {
    let function = &method.function;
    let signature = &function.sig;
    let before = mistakes.count();
    refuse_taken_name(method, role, mistakes);
    refuse_qualifiers(signature, role, options.is_locked, mistakes);
    refuse_receiver(signature, role, options.is_locked, mistakes);
    let mut arguments = Vec::new();
    let mut context_at = None;
    for parameter in typed(signature) {
        if !is_context(parameter, options.is_locked, mistakes) {
            arguments.extend(argument(parameter, role, self_type, mistakes));
        } else if context_at.is_none() {
            context_at = Some(arguments.len());
        } else {
            mistakes.add(
                parameter,
                "a handler has one context: remove this parameter",
            );
        }
    }
    let attributes = carried(&function.attrs);
    if role == Role::Info {
        for attribute in &attributes.serde {
            mistakes.add(
                attribute,
                "an info message is not stored: remove the attribute",
            );
        }
    }
    let named_by_serde = attributes.serde.iter().find(|serde| gives_a_name(serde));
    let stored_name = match (options.rename, named_by_serde) {
        (Some(rename), Some(_)) => {
            mistakes.add(
                &rename,
                "`#[serde(rename)]` gives the stored name already: keep one of them",
            );
            StoredName::Serde
        }
        (Some(rename), None) => StoredName::Given(rename),
        (None, Some(_)) => StoredName::Serde,
        (None, None) => StoredName::Method,
    };
    if mistakes.count() > before {
        return None;
    }
    let timeout = options.timeout.map(|mut timeout| {
        self_type.visit_expr_mut(&mut timeout);
        timeout
    });
    Some(Message {
        ident: signature.ident.clone(),
        variant: variant_ident(&signature.ident),
        vis: function.vis.clone(),
        docs: attributes.docs,
        cfgs: attributes.cfgs,
        deprecated: attributes.deprecated,
        serde: attributes.serde,
        stored_name,
        aliases: options.aliases,
        is_locked: options.is_locked,
        timeout,
        arguments,
        context_at,
    })
}

fn refuse_taken_name(method: &Method, role: Role, mistakes: &mut Mistakes) {
    let ident = &method.function.sig.ident;
    let name = ident.unraw().to_string();
    let owner = if TAKEN_ON_HANDLE.contains(&name.as_str()) {
        "handle"
    } else if role == Role::Cast && name == TAKEN_ON_BATCH {
        "batch"
    } else {
        return;
    };
    mistakes.add(
        ident,
        format_args!("the {owner} has a `{name}` of its own: choose another name"),
    );
}
