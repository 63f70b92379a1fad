//! One message on one state: the handler runs, and either all of what it did counts or nothing.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
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
    /// Handles `messages` as one: if one of them fails, the state is what it was before the first.
    /// Returns the answer, if one of them was a call.
    pub(crate) fn handle(&mut self, messages: &[Message<S>]) -> Result<Option<Answer>, Failure> {
        let before = self.state.clone();
        let mut answer = None;
        for message in messages {
            match self.handle_one(message) {
                Ok(Some(error @ Answer::Err(_))) => {
                    self.state = before.clone();
                    answer = Some(error);
                }
                Ok(reply) => answer = reply.or(answer),
                Err(failure) => {
                    self.state = before;
                    self.cx.take_stop();
                    return Err(failure);
                }
            }
        }
        if let Some(reason) = self.cx.take_stop() {
            self.stop.get_or_insert(reason);
        }
        Ok(answer)
    }

    fn handle_one(&mut self, message: &Message<S>) -> Result<Option<Answer>, Failure> {
        let (state, cx) = (&mut self.state, &mut self.cx);
        // A state that a panic left half changed is thrown away by the caller.
        let handled = catch_unwind(AssertUnwindSafe(|| match message {
            Message::Call(call) => Some(state.handle_call(call.clone(), cx)),
            Message::Cast(cast) => {
                state.handle_cast(cast.clone(), cx);
                None
            }
        }));
        let reply = handled.map_err(|panic| Failure::Panicked {
            message: panic_text(&*panic),
        })?;
        reply
            .map(|reply| reply.into_answer())
            .transpose()
            .map_err(|reason| Failure::Encode {
                what: "the reply",
                reason,
            })
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without text").to_owned()
}
