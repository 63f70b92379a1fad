//! The mistakes found in one expansion, collected so that a user sees them all at once.
//!
//! Every mistake sits on the user's own token and says what to write instead. Collecting them
//! here, rather than returning at the first, is what lets one compilation report several.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// What is wrong with the block, in the order it was found.
#[derive(Default)]
pub(crate) struct Mistakes(Vec<syn::Error>);

impl Mistakes {
    /// Records `message` under the tokens of `culprit`.
    pub(crate) fn add(&mut self, culprit: impl ToTokens, message: impl std::fmt::Display) {
        self.0.push(syn::Error::new_spanned(culprit, message));
    }

    /// Records an error that syn has already placed.
    pub(crate) fn add_error(&mut self, error: syn::Error) {
        self.0.push(error);
    }

    /// How many there are; a step that left the number alone found nothing wrong.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// One `compile_error!` for each.
    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.0.iter().map(syn::Error::to_compile_error).collect()
    }

    #[cfg(test)]
    pub(crate) fn messages(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}
