//! A read in flight.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::Error;

/// The answer to a read, on its way.
///
/// The read is under way as soon as the method that made it returns: issue several, then await
/// them, and they share one round trip. Dropping it loses the answer and nothing else.
///
/// It borrows nothing, so it can be kept, moved to another task, or joined with others.
#[must_use = "a read does nothing for you until it is awaited"]
pub struct Read<T>(State<T>);

enum State<T> {
    Ready(Option<Result<T, Error>>),
    Pending(Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>),
}

impl<T> Read<T> {
    /// An answer that is there already: costs no allocation.
    pub fn ready(result: Result<T, Error>) -> Self {
        Self(State::Ready(Some(result)))
    }

    /// An answer that `future` will bring. The backend has sent the request already.
    pub fn pending(future: impl Future<Output = Result<T, Error>> + Send + 'static) -> Self {
        Self(State::Pending(Box::pin(future)))
    }

    /// The same read with its answer passed through `f`.
    pub fn map<U>(self, f: impl FnOnce(T) -> Result<U, Error> + Send + 'static) -> Read<U>
    where
        T: Send + 'static,
    {
        match self.0 {
            State::Ready(Some(result)) => Read::ready(result.and_then(f)),
            State::Ready(None) => Read(State::Ready(None)),
            State::Pending(future) => Read::pending(async move { f(future.await?) }),
        }
    }

    /// The same read; `f` sees its error, if it fails.
    pub(crate) fn inspect_err(self, f: impl FnOnce(&Error) + Send + 'static) -> Self
    where
        T: Send + 'static,
    {
        match self.0 {
            State::Ready(Some(result)) => Self::ready(result.inspect_err(f)),
            State::Ready(None) => self,
            State::Pending(future) => Self::pending(async move { future.await.inspect_err(f) }),
        }
    }
}

// The answer in `Ready` is only ever moved out, never pinned.
impl<T> Unpin for Read<T> {}

impl<T> Future for Read<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(result) => Poll::Ready(
                result
                    .take()
                    .expect("a future is not polled after it returned its answer"),
            ),
            State::Pending(future) => future.as_mut().poll(cx),
        }
    }
}

impl<T> std::fmt::Debug for Read<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "Read(ready)",
            State::Pending(_) => "Read(pending)",
        })
    }
}
