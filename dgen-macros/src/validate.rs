//! From syntax to the model, refusing on the way what could not work.
//!
//! Each refusal names the user's own token and what to write instead (SPEC M3). A handler with a
//! mistake is left out of the model and the rest goes on, so that one compilation reports
//! everything and the rest of the program still finds the handle it uses.

mod attributes;
mod clashes;
mod signature;
#[cfg(test)]
mod tests;
mod types;

use syn::ext::IdentExt;
use syn::visit_mut::VisitMut;
use syn::{GenericParam, Ident, ItemImpl, Meta, ReturnType, Signature, Type, Visibility};

use crate::mistakes::Mistakes;
use crate::model::{Call, Init, InitFunction, Message, Server, variant_ident};
use crate::parse::{Block, Method, Options, Role};
use crate::self_type::SelfType;
use attributes::{carried, gives_a_name, is_cfg};
use clashes::refuse_clashes;
use signature::{argument, refuse_qualifiers, refuse_receiver, typed};
use types::{
    ResultTypes, breadth, first_borrow, first_impl_trait, is_context, peeled, result_types, shown,
};

/// What the handle has already: its associated functions, and the method that opens a batch.
const TAKEN: [&str; 4] = ["start", "start_with", "client", "batch"];

/// Judges the block. `None` if it says too little to generate anything.
pub(crate) fn server(block: Block, options: Options, mistakes: &mut Mistakes) -> Option<Server> {
    let Block { item, methods } = block;
    let ident = server_ident(&item, mistakes)?;
    let mut self_type = SelfType::new(&item.self_ty);
    let name = options
        .name
        .map_or_else(|| ident.unraw().to_string(), |name| name.value());
    let mut generics = item.generics;
    self_type.visit_generics_mut(&mut generics);
    let mut server = Server {
        ty: *item.self_ty,
        ident,
        name,
        crate_path: options.crate_path,
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
    };
    for method in methods {
        let Some(role) = only_role(&method, mistakes) else {
            continue;
        };
        // Every marked method counts, mistaken or not: the handle should not vanish from another
        // module because of a mistake inside one handler.
        if breadth(&method.function.vis) > breadth(&server.vis) {
            server.vis = method.function.vis.clone();
        }
        match role {
            Role::Init => init(&mut server, &method, &mut self_type, mistakes),
            Role::Call => server.calls.extend(call(&method, &mut self_type, mistakes)),
            Role::Cast => server.casts.extend(cast(&method, &mut self_type, mistakes)),
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

/// The role of a method that has just one.
fn only_role(method: &Method, mistakes: &mut Mistakes) -> Option<Role> {
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
    for mark in &method.marks {
        if !matches!(mark.attribute.meta, Meta::Path(_)) {
            let name = mark.role.name();
            mistakes.add(
                &mark.attribute,
                format_args!("`#[{name}]` takes no options: write just `#[{name}]`"),
            );
        }
    }
    others.is_empty().then_some(first.role)
}

fn init(server: &mut Server, method: &Method, self_type: &mut SelfType, mistakes: &mut Mistakes) {
    let before = mistakes.count();
    let signature = &method.function.sig;
    if !matches!(server.init, Init::Default) {
        mistakes.add(
            &signature.ident,
            "a server starts in one way: keep one `#[init]`, and tell the cases apart by its arguments",
        );
        return;
    }
    refuse_qualifiers(signature, Role::Init, mistakes);
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
        if is_context(&parameter.ty) {
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

fn call(method: &Method, self_type: &mut SelfType, mistakes: &mut Mistakes) -> Option<Call> {
    let before = mistakes.count();
    let message = message(method, Role::Call, self_type, mistakes);
    let (value, error) = answer(&method.function.sig.output, self_type, mistakes);
    if mistakes.count() > before {
        return None;
    }
    Some(Call {
        message: message?,
        value,
        error,
    })
}

/// What a call returns: its value, and its error if it has one.
fn answer(
    output: &ReturnType,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> (Type, Option<Type>) {
    let ReturnType::Type(_, ty) = output else {
        return (syn::parse_quote!(()), None);
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
    match result_types(ty) {
        ResultTypes::Both(value, error) => (
            self_type.spelled_out(value),
            Some(self_type.spelled_out(error)),
        ),
        ResultTypes::NotAResult => (self_type.spelled_out(ty), None),
        ResultTypes::Hidden => {
            mistakes.add(
                ty,
                "the client names the error type, which an alias hides: write `Result<T, E>` with both",
            );
            (self_type.spelled_out(ty), None)
        }
    }
}

fn cast(method: &Method, self_type: &mut SelfType, mistakes: &mut Mistakes) -> Option<Message> {
    let before = mistakes.count();
    let message = message(method, Role::Cast, self_type, mistakes);
    if let ReturnType::Type(_, ty) = &method.function.sig.output {
        let is_unit = matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty());
        if !is_unit {
            mistakes.add(ty, "nobody waits for a cast, so it returns nothing: remove the type, or write `#[call]`");
        }
    }
    if mistakes.count() > before {
        None
    } else {
        message
    }
}

/// What calls and casts share. `None` only together with a mistake.
fn message(
    method: &Method,
    role: Role,
    self_type: &mut SelfType,
    mistakes: &mut Mistakes,
) -> Option<Message> {
    let function = &method.function;
    let signature = &function.sig;
    let before = mistakes.count();
    if TAKEN.contains(&signature.ident.unraw().to_string().as_str()) {
        mistakes.add(
            &signature.ident,
            format_args!(
                "the handle has a `{}` of its own: choose another name",
                signature.ident
            ),
        );
    }
    refuse_qualifiers(signature, role, mistakes);
    refuse_receiver(signature, role, mistakes);
    let mut arguments = Vec::new();
    let mut context_at = None;
    for parameter in typed(signature) {
        if !is_context(&parameter.ty) {
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
    if mistakes.count() > before {
        return None;
    }
    Some(Message {
        ident: signature.ident.clone(),
        variant: variant_ident(&signature.ident),
        vis: function.vis.clone(),
        is_renamed: attributes.serde.iter().any(gives_a_name),
        docs: attributes.docs,
        cfgs: attributes.cfgs,
        deprecated: attributes.deprecated,
        serde: attributes.serde,
        arguments,
        context_at,
    })
}
