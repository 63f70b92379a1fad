//! Two handlers that would share a name, a variant or a stored name.
//!
//! Where `#[cfg]` is involved the compiler decides: the two may never meet.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;

use super::attributes::serde_names;
use crate::mistakes::Mistakes;
use crate::model::{Message, Server, StoredName};

/// Takes the later of two that clash out of the model, so that nothing follows from the mistake.
pub(super) fn refuse_clashes(server: &mut Server, mistakes: &mut Mistakes) {
    // The handle has the methods of all; each enum has names of its own.
    let mut methods = HashSet::new();
    let mut taken = Taken::default();
    server
        .calls
        .retain(|call| taken.is_free(&call.message, &mut methods, mistakes));
    let mut taken = Taken::default();
    server
        .casts
        .retain(|cast| taken.is_free(cast, &mut methods, mistakes));
    let mut taken = Taken::default();
    server
        .infos
        .retain(|info| taken.is_free(info, &mut methods, mistakes));
}

/// What an enum has so far, each with the method that it is for.
#[derive(Default)]
struct Taken {
    variants: HashMap<String, String>,
    stored_names: HashMap<String, String>,
}

impl Taken {
    fn is_free(
        &mut self,
        message: &Message,
        methods: &mut HashSet<String>,
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
        if let Some(other) = self.variants.insert(variant, method.clone()) {
            let variant = &message.variant;
            mistakes.add(
                &message.ident,
                format_args!(
                    "this and `{other}` both make a message `{variant}`: rename one of them"
                ),
            );
            return false;
        }
        let before = mistakes.count();
        for (name, culprit) in stored_names(message) {
            let other = match self.stored_names.entry(name.clone()) {
                Entry::Occupied(other) => other.into_mut(),
                Entry::Vacant(free) => {
                    free.insert(method.clone());
                    continue;
                }
            };
            if *other == method {
                mistakes.add(
                    culprit,
                    format_args!("`{name}` is given twice: keep one of them"),
                );
            } else {
                mistakes.add(
                    culprit,
                    format_args!(
                        "messages stored as `{name}` are for `{other}` already: choose another name"
                    ),
                );
            }
        }
        mistakes.count() == before
    }
}

/// Every name that the message is read under, and the token that says so.
fn stored_names(message: &Message) -> Vec<(String, TokenStream)> {
    let by_serde = serde_names(&message.serde);
    let literals = match &message.stored_name {
        StoredName::Given(name) => Some(name),
        StoredName::Method | StoredName::Serde => None,
    };
    let literals = literals
        .into_iter()
        .chain(&message.aliases)
        .chain(&by_serde);
    let by_method = match &message.stored_name {
        StoredName::Method => Some((
            message.ident.unraw().to_string(),
            message.ident.to_token_stream(),
        )),
        StoredName::Given(_) | StoredName::Serde => None,
    };
    by_method
        .into_iter()
        .chain(literals.map(|name| (name.value(), name.to_token_stream())))
        .collect()
}
