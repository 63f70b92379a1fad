//! One message on one state: the handler runs, and either all of what it did counts or nothing.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use crate::{
    Context, Failure, Server,
    address::Address,
    context::MessageContext,
    effects::{Effect, Effects},
    mailbox::Refused,
    message::{From, Message},
    reply::{Answer, Given, Reply},
    state::Cached,
};

/// No timer's key and no message's id is longer.
pub(crate) const KEY_SIZE_MAX_BYTES: usize = 1_000;

/// A state that messages are tried on.
pub(crate) struct Trial<S: Server> {
    /// The state before the first message.
    cached: Arc<Cached<S>>,
    /// A copy of it, once a message may have changed it.
    changed: Option<S>,
    /// What that was before the last such message.
    before: Option<S>,
    cx: Context<S>,
}

/// What a handler did.
pub(crate) struct Handled<S> {
    pub(crate) course: Course,
    /// None if the handler returned an error: then its state does not count either.
    pub(crate) effects: Option<Effects<S>>,
}

/// How a message goes on.
pub(crate) enum Course {
    /// It is done, and nobody is answered.
    Done,
    Answered(Answer),
    /// It is done, and answered later.
    Deferred(From),
    /// As locked work.
    Locking,
}

impl<S> Handled<S> {
    /// Nothing counts but the answer.
    pub(crate) fn refused(answer: Answer) -> Self {
        Self {
            course: Course::Answered(answer),
            effects: None,
        }
    }
}

impl<S: Server> Trial<S> {
    pub(crate) fn new(address: &Arc<Address>, cached: &Arc<Cached<S>>) -> Self {
        Self {
            cached: Arc::clone(cached),
            changed: None,
            before: None,
            cx: Context::new(Arc::clone(address)),
        }
    }

    /// Handles `message`. Nothing of what the handler did counts if it panics, returns an error, or
    /// answers with more than `answer_size_max_bytes`.
    pub(crate) fn handle(
        &mut self,
        message: &Message<S>,
        context: MessageContext,
        answer_size_max_bytes: usize,
    ) -> Result<Handled<S>, Failure> {
        if let Message::Call(call) = message
            && let Some(reply) = shield(|| self.state().handle_read(call))?
        {
            return judge(Some(reply), Effects::default(), answer_size_max_bytes);
        }
        let mut state = shield(|| self.state().clone())?;
        self.cx.begin(context);
        let reply = run(message, &mut state, &mut self.cx);
        self.before = self.changed.replace(state);
        let handled = reply.and_then(|reply| {
            let effects = self.cx.take_effects();
            let is_locking = effects.is_locking;
            let handled = judge(reply, effects, answer_size_max_bytes)?;
            if is_locking {
                return lock(message, handled);
            }
            Ok(handled)
        });
        if !matches!(&handled, Ok(handled) if handled.effects.is_some()) {
            self.undo();
        }
        handled
    }

    fn state(&self) -> &S {
        self.changed.as_ref().unwrap_or(&self.cached.state)
    }

    /// The state behind the messages; None if none of them may have changed it.
    pub(crate) fn into_changed(self) -> Option<S> {
        self.changed
    }

    /// Puts the state back to what it was before the last message that may have changed it.
    fn undo(&mut self) {
        self.changed = self.before.take();
    }

    /// The last message can't go on after all.
    pub(crate) fn refuse(&mut self, failure: Failure) -> Refused {
        self.undo();
        Refused::Failed(failure)
    }
}

fn run<S: Server>(
    message: &Message<S>,
    state: &mut S,
    cx: &mut Context<S>,
) -> Result<Option<Reply>, Failure> {
    shield(|| match message {
        Message::Call(call) => Some(state.handle_call(call.clone(), cx)),
        Message::Casts(casts) => {
            for cast in casts {
                cx.begin_next_of_batch();
                state.handle_cast(cast.clone(), cx);
            }
            None
        }
        Message::Info(info) => {
            state.handle_info(info.clone(), cx);
            None
        }
    })
}

/// The handler has locked the server, unless it can't.
fn lock<S: Server>(message: &Message<S>, handled: Handled<S>) -> Result<Handled<S>, Failure> {
    match (message, handled.course) {
        (Message::Casts(casts), _) if casts.len() > 1 => {
            // Those behind it have to wait for the lock, each in its place in the queue.
            Err(misused("a batch can't be handled as one if it locks"))
        }
        (Message::Info(_), _) => Err(misused("an info can't lock")),
        // It returned an error: nothing of what it did counts.
        (_, course @ Course::Answered(Answer::Err(_))) => Ok(Handled {
            course,
            effects: None,
        }),
        (_, Course::Answered(_)) => Err(misused("a handler that locks can't answer as well")),
        _ => Ok(Handled {
            course: Course::Locking,
            effects: handled.effects,
        }),
    }
}

/// What a handler that returned did, unless something of it can't be.
pub(crate) fn judge<S>(
    reply: Option<Reply>,
    effects: Effects<S>,
    answer_size_max_bytes: usize,
) -> Result<Handled<S>, Failure> {
    let effects = check(effects)?;
    let no_reply = |reason: String| Failure::Encode {
        what: "the reply",
        reason,
    };
    let Some(reply) = reply else {
        return Ok(Handled {
            course: Course::Done,
            effects: Some(effects),
        });
    };
    match (reply.into_given(), effects.deferred) {
        (Given::Answer(answer), _) if answer.size_bytes() > answer_size_max_bytes => {
            let size_bytes = answer.size_bytes();
            Err(no_reply(if answer_size_max_bytes == 0 {
                format!(
                    "{size_bytes} bytes do not fit into one transaction with the state's change"
                )
            } else {
                format!("{size_bytes} bytes are over the {answer_size_max_bytes} that are stored")
            }))
        }
        (Given::Answer(answer), _) => Ok(Handled {
            effects: (!matches!(answer, Answer::Err(_))).then_some(effects),
            course: Course::Answered(answer),
        }),
        (Given::Later, Some(from)) => Ok(Handled {
            course: Course::Deferred(from),
            effects: Some(effects),
        }),
        (Given::Later, None) if effects.is_locking => Ok(Handled {
            course: Course::Locking,
            effects: Some(effects),
        }),
        (Given::Later, None) => Err(no_reply(
            "the handler left it for later, and neither locked nor deferred it".to_owned(),
        )),
        (Given::Mistaken(reason), _) => Err(no_reply(reason)),
    }
}

/// Whether all that the handler asked for can be had.
fn check<S>(effects: Effects<S>) -> Result<Effects<S>, Failure> {
    if let Some(failure) = effects.failure {
        return Err(failure);
    }
    for effect in &effects.writes {
        if let Effect::SetTimer { key: Some(key), .. } | Effect::CancelTimer { key, .. } = effect
            && key.len() > KEY_SIZE_MAX_BYTES
        {
            return Err(misused("a timer's key has more than 1,000 bytes"));
        }
    }
    Ok(effects)
}

pub(crate) fn misused(what: &str) -> Failure {
    Failure::Misused {
        what: what.to_owned(),
    }
}

/// Runs code of the user's. What a panic left half changed, the caller throws away.
pub(crate) fn shield<T>(run: impl FnOnce() -> T) -> Result<T, Failure> {
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
