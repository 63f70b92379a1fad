//! From syntax to the model, refusing on the way what could not work.
//!
//! Each refusal names the user's own token and what to write instead (SPEC M3). A handler with a
//! mistake is left out of the model and the rest goes on, so that one compilation reports
//! everything and the rest of the program still finds the handle it uses.

mod answer;
mod attributes;
mod clashes;
mod context;
mod init;
mod message;
mod options;
mod signature;
#[cfg(test)]
mod tests;
mod types;

use syn::ext::IdentExt;
use syn::visit_mut::VisitMut;
use syn::{GenericParam, Ident, ItemImpl, ReturnType, Type, Visibility};

use crate::mistakes::Mistakes;
use crate::model::{Call, Init, Message, Server};
use crate::parse::{Block, Mark, Method, Options, Role};
use crate::self_type::SelfType;
use answer::answer;
use attributes::is_cfg;
use clashes::refuse_clashes;
use init::init;
use message::message;
use options::{options, refuse_options};
use signature::borrows_shared;
use types::{breadth, peeled, shown};

/// Judges the block. `None` if it says too little to generate anything.
pub(crate) fn server(block: Block, given: Options, mistakes: &mut Mistakes) -> Option<Server> {
    let Block { item, methods } = block;
    let ident = server_ident(&item, mistakes)?;
    let mut self_type = SelfType::new(&item.self_ty);
    let name = given
        .name
        .map_or_else(|| ident.unraw().to_string(), |name| name.value());
    let mut generics = item.generics;
    self_type.visit_generics_mut(&mut generics);
    let mut server = Server {
        ty: *item.self_ty,
        ident,
        name,
        crate_path: given.crate_path,
        generics,
        cfgs: item
            .attrs
            .iter()
            .filter(|attribute| is_cfg(attribute))
            .cloned()
            .collect(),
        vis: Visibility::Inherited,
        init: Init::Default,
        calls: Vec::new(),
        casts: Vec::new(),
        infos: Vec::new(),
    };
    for method in methods {
        let Some(mark) = only_mark(&method, mistakes) else {
            continue;
        };
        // Every marked method counts, mistaken or not: the handle should not vanish from another
        // module because of a mistake inside one handler.
        if breadth(&method.function.vis) > breadth(&server.vis) {
            server.vis = method.function.vis.clone();
        }
        let self_type = &mut self_type;
        match mark.role {
            Role::Init => {
                refuse_options(mark, mistakes);
                init(&mut server, &method, self_type, mistakes);
            }
            Role::Call => server
                .calls
                .extend(call(&method, mark, self_type, mistakes)),
            Role::Cast => server
                .casts
                .extend(cast(&method, mark, self_type, mistakes)),
            Role::Info => server
                .infos
                .extend(info(&method, mark, self_type, mistakes)),
        }
    }
    refuse_clashes(&mut server, mistakes);
    Some(server)
}

/// The block as a whole: inherent, of a named type, without lifetimes.
fn server_ident(item: &ItemImpl, mistakes: &mut Mistakes) -> Option<Ident> {
    let before = mistakes.count();
    if let Some((path, _)) = &item.trait_ {
        mistakes.add(
            path,
            format_args!(
                "`#[dgen_server]` goes on the type's own methods: move the handlers to `impl {} {{ .. }}`",
                shown(&item.self_ty),
            ),
        );
    }
    for parameter in &item.generics.params {
        if let GenericParam::Lifetime(parameter) = parameter {
            mistakes.add(
                parameter,
                "a server's state outlives every borrow: give the type owned fields, and remove the lifetime",
            );
        }
    }
    let ident = match peeled(&item.self_ty) {
        Type::Path(ty) if ty.qself.is_none() => {
            ty.path.segments.last().map(|segment| segment.ident.clone())
        }
        _ => None,
    };
    if ident.is_none() {
        mistakes.add(
            &item.self_ty,
            "a server is a struct or an enum of your own: write its name here",
        );
    }
    if mistakes.count() > before {
        None
    } else {
        ident
    }
}

/// The mark of a method that has just one.
fn only_mark<'a>(method: &'a Method, mistakes: &mut Mistakes) -> Option<&'a Mark> {
    let (first, others) = method.marks.split_first()?;
    for mark in others {
        let (one, two) = (first.role.name(), mark.role.name());
        let message = if one == two {
            format!("`#[{one}]` is given twice: keep one of them")
        } else {
            format!("a method is `#[{one}]` or `#[{two}]`, not both: keep the one you mean")
        };
        mistakes.add(&mark.attribute, message);
    }
    others.is_empty().then_some(first)
}

fn call(
    method: &Method,
    mark: &Mark,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> Option<Call> {
    let before = mistakes.count();
    let options = options(mark, mistakes);
    let is_locked = options.is_locked;
    let message = message(method, Role::Call, options, self_type, mistakes);
    let answer = answer(&method.function.sig.output, is_locked, self_type, mistakes);
    if mistakes.count() > before {
        return None;
    }
    let message = message?;
    Some(Call {
        is_read: borrows_shared(&method.function.sig)
            && message.context_at.is_none()
            && !(is_locked || answer.is_deferred),
        message,
        value: answer.value,
        error: answer.error,
        is_deferred: answer.is_deferred,
    })
}

fn cast(
    method: &Method,
    mark: &Mark,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> Option<Message> {
    let before = mistakes.count();
    let options = options(mark, mistakes);
    let message = message(method, Role::Cast, options, self_type, mistakes);
    if let Some(ty) = returned(method) {
        mistakes.add(
            ty,
            "nobody waits for a cast, so it returns nothing: remove the type, or write `#[call]`",
        );
    }
    if mistakes.count() > before {
        None
    } else {
        message
    }
}

fn info(
    method: &Method,
    mark: &Mark,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> Option<Message> {
    let before = mistakes.count();
    let options = refuse_options(mark, mistakes);
    let message = message(method, Role::Info, options, self_type, mistakes);
    if let Some(ty) = returned(method) {
        mistakes.add(ty, "nobody waits for an info message, so it returns nothing: remove the type, or write `#[call]`");
    }
    if mistakes.count() > before {
        None
    } else {
        message
    }
}

/// What a method returns, if that is anything.
fn returned(method: &Method) -> Option<&Type> {
    match &method.function.sig.output {
        ReturnType::Type(_, ty) => {
            let is_unit = matches!(peeled(ty), Type::Tuple(tuple) if tuple.elems.is_empty());
            (!is_unit).then_some(ty)
        }
        ReturnType::Default => None,
    }
}
