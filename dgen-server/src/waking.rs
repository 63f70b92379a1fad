//! What wakes a process that has nothing to do, and a caller whose answer is to come.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use dgen_backend::{
    Error, Watch,
    env::Env,
    planted::{self, Bug},
};

/// A watch, and a time at which to look anyway: a watch may be lost.
pub(crate) struct Waking {
    watch: Option<Watching>,
    timer: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Why there is no watch, if there should be one: the time is that of the next poll then.
    lost: Option<Box<Error>>,
    /// Whether the time has come.
    is_over: bool,
}

struct Watching {
    watched: Watched,
    watch: Watch,
    env: Env,
    /// When to look if the watch fails: so long after that.
    pause: Duration,
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    /// The queue: the next push.
    Queue,
    /// The hold: the next change.
    Hold,
    /// A reply key: the answer.
    Reply,
}

impl Waking {
    /// To wait for nothing.
    pub(crate) fn now() -> Self {
        Self {
            watch: None,
            timer: Box::pin(std::future::ready(())),
            lost: None,
            is_over: false,
        }
    }

    pub(crate) fn after(env: &Env, wait: Duration) -> Self {
        Self {
            watch: None,
            timer: env.sleep(wait),
            lost: None,
            is_over: false,
        }
    }

    /// To wait for `watch`, but no longer than `wait`; and than `pause` if there is none.
    pub(crate) fn watching(
        watched: Watched,
        watch: Result<Watch, Error>,
        env: &Env,
        wait: Duration,
        pause: Duration,
    ) -> Self {
        let pause = pause.min(wait);
        let wait = match planted::is(Bug::WatchWithoutPoll) && wait == Duration::from_secs(5) {
            true => Duration::MAX,
            false => wait,
        };
        match watch {
            Ok(watch) => Self {
                watch: Some(Watching {
                    watched,
                    watch,
                    env: env.clone(),
                    pause,
                }),
                timer: env.sleep(wait),
                lost: None,
                is_over: false,
            },
            Err(error) => Self {
                watch: None,
                timer: env.sleep(pause),
                lost: Some(Box::new(error)),
                is_over: false,
            },
        }
    }

    /// Whether it still waits for `watched`, neither fired nor timed out.
    pub(crate) fn waits_for(&self, watched: Watched) -> bool {
        let watching = self.watch.as_ref();
        !self.is_over && watching.is_some_and(|watching| watching.watched == watched)
    }

    /// The watch on `watched`, if there is one that has not fired yet.
    pub(crate) fn into_watch(self, watched: Watched) -> Option<Watch> {
        let watching = self.watch?;
        (watching.watched == watched).then_some(watching.watch)
    }

    /// Why it polled, if it did.
    pub(crate) fn lost(&self) -> Option<&Error> {
        self.lost.as_deref()
    }

    /// Ready once there is something to look at.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(watching) = &mut self.watch
            && let Poll::Ready(fired) = Pin::new(&mut watching.watch).poll(cx)
        {
            // One that failed says nothing, and would say so again: the next poll is left.
            let timer = watching.env.sleep(watching.pause);
            self.watch = None;
            match fired {
                Ok(()) => return Poll::Ready(()),
                Err(error) => (self.timer, self.lost) = (timer, Some(Box::new(error))),
            }
        }
        let timer = self.timer.as_mut().poll(cx);
        self.is_over = timer.is_ready();
        timer
    }
}
