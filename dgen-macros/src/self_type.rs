//! `Self`, spelled out: what stands in the impl block is repeated in items of other types, where
//! `Self` would mean those.

use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Path, PathSegment, Type};

/// Replaces `Self` by the type of the impl block.
///
/// Blind to `Self` inside a macro in type position, whose tokens have no known meaning.
pub(crate) struct SelfType {
    ty: Type,
}

impl SelfType {
    pub(crate) fn new(ty: &Type) -> Self {
        Self { ty: ty.clone() }
    }

    /// A copy of `ty` that means the same outside the impl block.
    pub(crate) fn spelled_out(&mut self, ty: &Type) -> Type {
        let mut ty = ty.clone();
        self.visit_type_mut(&mut ty);
        ty
    }
}

impl VisitMut for SelfType {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::Path(written) = &*ty
            && written.qself.is_none()
            && let Some(rest) = after_self(&written.path)
        {
            let this = &self.ty;
            *ty = if rest.is_empty() {
                this.clone()
            } else {
                syn::parse_quote!(<#this> #(::#rest)*)
            };
        }
        visit_mut::visit_type_mut(self, ty);
    }

    // Array lengths and const arguments.
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Path(written) = &*expr
            && written.qself.is_none()
            && let Some(rest) = after_self(&written.path)
            && !rest.is_empty()
        {
            let this = &self.ty;
            *expr = syn::parse_quote!(<#this> #(::#rest)*);
        }
        visit_mut::visit_expr_mut(self, expr);
    }
}

/// What follows `Self` in a path that starts with it.
fn after_self(path: &Path) -> Option<Vec<PathSegment>> {
    let mut segments = path.segments.iter();
    let first = segments.next()?;
    (path.leading_colon.is_none() && first.ident == "Self").then(|| segments.cloned().collect())
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::parse_quote;

    use super::*;

    fn spelled_out(ty: Type) -> String {
        SelfType::new(&parse_quote!(Pile<T>))
            .spelled_out(&ty)
            .to_token_stream()
            .to_string()
    }

    #[test]
    fn self_is_replaced_wherever_a_type_can_name_it() {
        assert_eq!(spelled_out(parse_quote!(Self)), "Pile < T >");
        assert_eq!(
            spelled_out(parse_quote!(Vec<(u8, Self)>)),
            "Vec < (u8 , Pile < T >) >"
        );
        assert_eq!(
            spelled_out(parse_quote!([u8; Self::SIZE])),
            "[u8 ; < Pile < T > > :: SIZE]"
        );
        assert_eq!(
            spelled_out(parse_quote!(Self::Item<Self>)),
            "< Pile < T > > :: Item < Pile < T > >"
        );
        assert_eq!(
            spelled_out(parse_quote!(<Self as Has>::Item)),
            "< Pile < T > as Has > :: Item"
        );
    }

    #[test]
    fn other_paths_stay() {
        assert_eq!(
            spelled_out(parse_quote!(a::Self_<b::C>)),
            "a :: Self_ < b :: C >"
        );
    }
}
