//! Two handlers that would share a name or a variant.
//!
//! Where `#[cfg]` is involved the compiler decides: the two may never meet.

use std::collections::{HashMap, HashSet};

use syn::ext::IdentExt;

use crate::mistakes::Mistakes;
use crate::model::{Message, Server};

/// Takes the later of two that clash out of the model, so that nothing follows from the mistake.
pub(super) fn refuse_clashes(server: &mut Server, mistakes: &mut Mistakes) {
    let mut methods = HashSet::new();
    let mut call_variants = HashMap::new();
    let mut cast_variants = HashMap::new();
    server
        .calls
        .retain(|call| is_free(&call.message, &mut methods, &mut call_variants, mistakes));
    server
        .casts
        .retain(|cast| is_free(cast, &mut methods, &mut cast_variants, mistakes));
}

fn is_free(
    message: &Message,
    methods: &mut HashSet<String>,
    variants: &mut HashMap<String, String>,
    mistakes: &mut Mistakes,
) -> bool {
    if !message.cfgs.is_empty() {
        return true;
    }
    let method = message.ident.unraw().to_string();
    if !methods.insert(method.clone()) {
        mistakes.add(
            &message.ident,
            format_args!("there is a handler named `{method}` already: rename one of them"),
        );
        return false;
    }
    let variant = message.variant.to_string();
    if let Some(other) = variants.insert(variant, method) {
        let variant = &message.variant;
        mistakes.add(
            &message.ident,
            format_args!("this and `{other}` both make a message `{variant}`: rename one of them"),
        );
        return false;
    }
    true
}
