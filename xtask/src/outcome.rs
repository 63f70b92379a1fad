//! What a task comes to.

use std::{
    error::Error,
    process::{Command, ExitStatus},
};

/// Done, or a message for whoever ran the task.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// An error unless `status` is success.
pub(crate) fn expect_success(command: &Command, status: ExitStatus) -> Outcome {
    if status.success() {
        return Ok(());
    }
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    Err(format!("`{}`: {status}", words.join(" ")).into())
}
