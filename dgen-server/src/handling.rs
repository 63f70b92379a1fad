//! One message on one state: the handler runs, and either all of what it did counts or nothing.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

use crate::{Context, Failure, Server, message::Message, reply::Answer};

/// A state that messages are tried on.
pub(crate) struct Trial<S: Server> {
    pub(crate) state: S,
    pub(crate) cx: Context<S>,
    /// Why the process is to stop, if a handler said so.
    pub(crate) stop: Option<String>,
}

impl<S: Server> Trial<S> {
    /// Handles `message` and returns the answer, if it is a call. Nothing of what the handler did
    /// counts if it panics, returns an error, or answers with more than `answer_size_max_bytes`.
    pub(crate) fn handle(
        &mut self,
        message: &Message<S>,
        answer_size_max_bytes: usize,
    ) -> Result<Option<Answer>, Failure> {
        let before = shield(|| self.state.clone())?;
        let answer = self.run(message).and_then(|answer| match answer {
            Some(answer) if answer.size_bytes() > answer_size_max_bytes => Err(Failure::Encode {
                what: "the reply",
                reason: format!(
                    "{} bytes are over the {answer_size_max_bytes} that fit into the store",
                    answer.size_bytes()
                ),
            }),
            answer => Ok(answer),
        });
        let stop = self.cx.take_stop();
        if matches!(answer, Ok(Some(Answer::Err(_))) | Err(_)) {
            self.state = before;
        } else if self.stop.is_none() {
            self.stop = stop;
        }
        answer
    }

    fn run(&mut self, message: &Message<S>) -> Result<Option<Answer>, Failure> {
        let (state, cx) = (&mut self.state, &mut self.cx);
        let reply = shield(|| match message {
            Message::Call(call) => Some(state.handle_call(call.clone(), cx)),
            Message::Casts(casts) => {
                for cast in casts {
                    state.handle_cast(cast.clone(), cx);
                }
                None
            }
        })?;
        let answer = reply.map(|reply| reply.into_answer()).transpose();
        answer.map_err(|reason| Failure::Encode {
            what: "the reply",
            reason,
        })
    }
}

/// Runs code of the user's. What a panic left half changed, the caller throws away.
fn shield<T>(run: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panicked(&*panic))
}

/// Waits for a future that runs code of the user's; the same.
pub(crate) async fn shielded<F: Future>(future: F) -> Result<F::Output, Failure> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panicked(&*panic))),
        }
    })
    .await
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::Panicked {
        message: text.unwrap_or("a panic without text").to_owned(),
    }
}
