//! The parameter through which a handler says everything but its reply: `cx`.

use syn::{PatType, Type};

use super::types::{peeled, shown};
use crate::mistakes::Mistakes;

/// Whether this parameter is the context, by its type; if so, whether it is the one that the
/// handler gets, too: `&mut Locked<Self>` for locked work, `&mut Context<Self>` for the rest.
pub(super) fn is_context(parameter: &PatType, is_locked: bool, mistakes: &mut Mistakes) -> bool {
    let Some(written) = written(&parameter.ty) else {
        return false;
    };
    let why = match (is_locked, written.is_locked) {
        (true, false) => "locked work runs outside of the transaction",
        (false, true) => "this runs inside a transaction and holds no lock",
        _ if written.is_exclusive => return true,
        _ => "what a handler wants done goes through its context",
    };
    let advice = as_wanted(written.ty, is_locked);
    mistakes.add(&parameter.ty, format_args!("{why}: write `&mut {advice}`"));
    true
}

/// Whether this is a context of any kind, where there can be none.
pub(super) fn is_any_context(parameter: &PatType) -> bool {
    written(&parameter.ty).is_some()
}

/// `&mut Context<..>` or `&Locked<..>`, by whatever path.
struct Written<'a> {
    is_locked: bool,
    is_exclusive: bool,
    ty: &'a Type,
}

fn written(ty: &Type) -> Option<Written<'_>> {
    let Type::Reference(reference) = peeled(ty) else {
        return None;
    };
    let ty = peeled(&reference.elem);
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    Some(Written {
        is_locked: match last.ident.to_string().as_str() {
            "Context" => false,
            "Locked" => true,
            _ => return None,
        },
        is_exclusive: reference.mutability.is_some(),
        ty,
    })
}

/// The path as the user wrote it, with the name that belongs there.
fn as_wanted(ty: &Type, is_locked: bool) -> String {
    let mut ty = ty.clone();
    if let Type::Path(path) = &mut ty
        && let Some(last) = path.path.segments.last_mut()
    {
        let name = if is_locked { "Locked" } else { "Context" };
        last.ident = syn::Ident::new(name, last.ident.span());
    }
    shown(&ty)
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    fn found(parameter: PatType, is_locked: bool) -> (bool, Vec<String>) {
        let mut mistakes = Mistakes::default();
        let found = is_context(&parameter, is_locked, &mut mistakes);
        (found, mistakes.messages())
    }

    #[test]
    fn each_kind_of_work_has_its_own_context() {
        let (plain, locked): (PatType, PatType) = (
            parse_quote!(cx: &mut dgen_server::Context<Self>),
            parse_quote!(cx: &mut dgen_server::Locked<Self>),
        );
        assert_eq!(found(plain.clone(), false), (true, Vec::new()));
        assert_eq!(found(locked.clone(), true), (true, Vec::new()));
        let (_, mistakes) = found(plain, true);
        assert!(
            mistakes[0].contains("write `&mut dgen_server::Locked<Self>`"),
            "{mistakes:?}"
        );
        let (_, mistakes) = found(locked, false);
        assert!(
            mistakes[0].contains("write `&mut dgen_server::Context<Self>`"),
            "{mistakes:?}"
        );
    }

    #[test]
    fn a_context_is_an_exclusive_reference() {
        let (is_context, mistakes) = found(parse_quote!(cx: &Context<Self>), false);
        assert!(
            is_context && mistakes[0].contains("write `&mut Context<Self>`"),
            "{mistakes:?}"
        );
        assert_eq!(
            found(parse_quote!(a: Context<Self>), false),
            (false, Vec::new())
        );
        assert_eq!(found(parse_quote!(a: &mut Lock), true), (false, Vec::new()));
    }
}
