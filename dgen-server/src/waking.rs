//! What a process waits for while it has nothing to do.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use dgen_backend::{Watch, env::Env};

/// A watch, and a time at which to look anyway: a watch may be lost.
pub(crate) struct Waking {
    watch: Option<(Watched, Watch)>,
    timer: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The queue: the next push.
    Queue,
    /// The hold: the next change.
    Hold,
}

impl Waking {
    /// To wait for nothing.
    pub(crate) fn now() -> Self {
        Self {
            watch: None,
            timer: Box::pin(std::future::ready(())),
        }
    }

    pub(crate) fn after(env: &Env, wait: Duration) -> Self {
        Self {
            watch: None,
            timer: env.sleep(wait),
        }
    }

    /// To wait for `watch`, but no longer than `wait`.
    pub(crate) fn watching(watched: Watched, watch: Watch, env: &Env, wait: Duration) -> Self {
        Self {
            watch: Some((watched, watch)),
            timer: env.sleep(wait),
        }
    }

    /// The watch on `watched`, if there is one that has not fired yet.
    pub(crate) fn into_watch(self, watched: Watched) -> Option<Watch> {
        let (of, watch) = self.watch?;
        (of == watched).then_some(watch)
    }

    /// Ready once there is something to look at.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((_, watch)) = &mut self.watch
            && let Poll::Ready(fired) = Pin::new(watch).poll(cx)
        {
            // One that failed says nothing, and would say so again: the timer is left.
            self.watch = None;
            if fired.is_ok() {
                return Poll::Ready(());
            }
        }
        self.timer.as_mut().poll(cx)
    }
}
