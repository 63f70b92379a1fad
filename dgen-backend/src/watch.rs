//! Waiting for a key to change.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::Error;

/// Resolves once the watched key has another value than the transaction that set the watch saw.
///
/// It is armed by that transaction's commit. It may resolve early, so look at the key again; it
/// survives neither a restart nor a lost connection, so whoever waits on it also polls, slowly.
/// Dropping it frees it.
#[must_use = "a dropped watch watches nothing"]
pub struct Watch(Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>);

impl Watch {
    /// For backends: the watch that `future` resolves.
    pub fn new(future: impl Future<Output = Result<(), Error>> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }
}

impl Future for Watch {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
