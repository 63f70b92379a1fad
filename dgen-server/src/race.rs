//! Two futures at once, until the first is done.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

pub(crate) enum First<A, B> {
    One(A),
    Other(B),
}

/// Waits for whichever is done first; the one if both are. The other is dropped.
pub(crate) async fn race<A: Future, B: Future>(one: A, other: B) -> First<A::Output, B::Output> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|cx| {
        if let Poll::Ready(output) = one.as_mut().poll(cx) {
            return Poll::Ready(First::One(output));
        }
        other.as_mut().poll(cx).map(First::Other)
    })
    .await
}
