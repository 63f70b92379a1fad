//! A task that does locked work: it runs the handler, renews the lock meanwhile, and commits the
//! result.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use dgen_backend::{Error, Transaction, env::Env};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::{
    Failure, Locked, Server,
    address::Address,
    carrying::After,
    clock,
    context::MessageContext,
    dead_letters::{self, Buried},
    decision::answer_size_max_bytes,
    effects::{Action, Effect},
    error::text,
    handling::{Course, Handled, judge, misused, shield, shielded},
    hold::{Hold, Lock, backoff},
    lock::{self, Acquired},
    memory::{FirstAnswer, Memory, Remembered},
    message::{From, Kind},
    outbox::{LocalAnswers, Outbox, ToCaller, bytes_of},
    race::{First, race},
    remedy::{AttemptError, Remedy},
    reply::{Answer, Death},
    state::{self, NewState},
};

/// The process's end of its locked work.
pub(crate) struct LockedTask {
    /// Dropped, the work is dropped too, and the lock let go.
    cancel: Option<oneshot::Sender<()>>,
    /// Why the process is to stop, if the work said so.
    ended: oneshot::Receiver<Option<String>>,
}

/// One holder's work.
struct Run<S: Server> {
    address: Arc<Address>,
    acquired: Acquired<S>,
    cancelled: oneshot::Receiver<()>,
    /// The lock is not this holder's any more.
    lost: oneshot::Receiver<()>,
    /// Dropped, the lock is renewed no longer.
    _renewing: oneshot::Sender<()>,
}

/// Why something that was done under the lock was dropped.
#[derive(Clone, Copy)]
enum Loss {
    /// The lock is somebody else's now, or nobody's.
    Lost,
    /// The process stops.
    Cancelled,
}

/// What the work came to: what of it is written.
struct Worked<S> {
    /// None if the work returned an error: then it stays as it is.
    state: Option<S>,
    course: Course,
    writes: Vec<Effect>,
}

/// What of it is done after the commit.
struct Aftermath<S> {
    actions: Vec<Vec<Action<S>>>,
    stop: Option<String>,
}

impl<S> Worked<S> {
    /// Whether a caller gets what the work returned.
    fn is_answered(&self) -> bool {
        matches!(
            self.course,
            Course::Answered(Answer::Ok(_) | Answer::Err(_))
        )
    }

    /// The work came to what can't be stored: nothing of it counts.
    fn failed(failure: &Failure) -> Self {
        Self {
            state: None,
            course: Course::Answered(Answer::Failed(failure.to_string())),
            writes: Vec::new(),
        }
    }
}

impl<S> Default for Aftermath<S> {
    fn default() -> Self {
        Self {
            actions: Vec::new(),
            stop: None,
        }
    }
}

/// What is left to do once the result is committed.
struct Committed<S> {
    state: NewState<S>,
    answers: LocalAnswers,
}

/// What a failure of the work leads to.
enum Next {
    /// It is tried again, after so many attempts.
    Again(u32),
    Dead(Buried),
    /// The lock is lost.
    Lost,
}

/// Starts the work that the lock was taken for.
///
/// # Errors
/// There is nothing to run it on.
pub(crate) fn spawn<S: Server>(
    address: &Arc<Address>,
    acquired: Acquired<S>,
) -> io::Result<LockedTask> {
    let (cancel, cancelled) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let fence = acquired.fence;
    let (lost, renewing) = renew(address, fence)?;
    let run = Run {
        address: Arc::clone(address),
        acquired,
        cancelled,
        lost,
        _renewing: renewing,
    };
    let span = tracing::debug_span!("locked work", server = %address, fence);
    let task = async move {
        let stop = run.run().await;
        // Nobody may be left to be told.
        let _ = end.send(stop);
    };
    address.tenant.env().spawn(task.instrument(span))?;
    let cancel = Some(cancel);
    Ok(LockedTask { cancel, ended })
}

/// Renews the lock in a task of its own, since the work may keep its own task busy: until the lock
/// is lost, which the one end tells, or the other is dropped.
fn renew(
    address: &Arc<Address>,
    fence: u64,
) -> io::Result<(oneshot::Receiver<()>, oneshot::Sender<()>)> {
    let (lose, lost) = oneshot::channel();
    let (renewing, ended) = oneshot::channel::<()>();
    let renewed = Arc::clone(address);
    address.tenant.env().spawn(async move {
        if let First::Other(()) = race(ended, lock::renew_until_lost(&renewed, fence)).await {
            // The work may have ended just now.
            let _ = lose.send(());
        }
    })?;
    Ok((lost, renewing))
}

/// Ready when one of `tasks` has ended, which is taken out: why the process is to stop, if it said
/// so.
pub(crate) fn poll_ended(
    tasks: &mut Vec<LockedTask>,
    cx: &mut Context<'_>,
) -> Poll<Option<String>> {
    for (index, task) in tasks.iter_mut().enumerate() {
        if let Poll::Ready(stop) = Pin::new(&mut task.ended).poll(cx) {
            tasks.remove(index);
            return Poll::Ready(stop.ok().flatten());
        }
    }
    Poll::Pending
}

/// Why the process is to stop, if one of `tasks` has ended and said so.
pub(crate) fn stopped(tasks: &mut Vec<LockedTask>) -> Option<String> {
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(stop) = poll_ended(tasks, &mut cx) {
        if stop.is_some() {
            return stop;
        }
    }
    None
}

impl LockedTask {
    /// Lets the work go on without a process.
    pub(crate) fn detach(self, env: &Env) {
        // If there is nothing to run this on, there is nothing that runs the work either.
        let _ = env.spawn(async move {
            let Self { cancel, ended } = self;
            let _ = ended.await;
            drop(cancel);
        });
    }

    /// Drops the work, if its result is not being committed yet, and waits for nothing.
    pub(crate) fn drop_work(&mut self) {
        self.cancel = None;
    }

    /// Drops the work, and waits until its lock is let go.
    pub(crate) async fn cancel(mut self) {
        self.drop_work();
        let _ = self.ended.await;
    }
}

impl<S: Server> Run<S> {
    /// Works until the result is committed, or is somebody else's matter. Returns why the process is
    /// to stop, if the work said so.
    async fn run(mut self) -> Option<String> {
        let mut attempts = 0;
        loop {
            if attempts > 0 {
                let wait = self.address.tenant.env().sleep(backoff(attempts));
                if let Err(loss) = self.guard(wait).await {
                    return self.lost(loss).await;
                }
            }
            let work = self.work();
            let failure = match self.guard(work).await {
                Ok(Ok((worked, rest))) => match self.commit(worked, rest).await {
                    Ok(stop) => return stop,
                    Err(failure) => failure,
                },
                Ok(Err(failure)) => failure,
                Err(loss) => return self.lost(loss).await,
            };
            tracing::warn!(server = %self.address, %failure, "locked work failed");
            match self.fail(&failure).await {
                Next::Again(count) => attempts = count,
                Next::Dead(buried) => {
                    buried.announce(&self.address);
                    return None;
                }
                Next::Lost => return None,
            }
        }
    }

    /// The lock is not this holder's any more, or is let go.
    async fn lost(&self, loss: Loss) -> Option<String> {
        match loss {
            Loss::Lost => {
                tracing::warn!(server = %self.address, fence = self.acquired.fence, "lock lost; its work is dropped");
                self.address.metrics().locks_lost.increment(1);
            }
            Loss::Cancelled => {
                if let Err(error) = lock::let_go(&self.address, self.acquired.fence).await {
                    tracing::warn!(server = %self.address, %error, "a lock was not let go: its lease has to end");
                }
            }
        }
        None
    }

    /// Waits for `work` as long as the lock is held.
    async fn guard<F: Future>(&mut self, work: F) -> Result<F::Output, Loss> {
        match race(&mut self.cancelled, race(&mut self.lost, work)).await {
            First::One(_) => Err(Loss::Cancelled),
            First::Other(First::One(_)) => Err(Loss::Lost),
            First::Other(First::Other(output)) => Ok(output),
        }
    }

    /// Runs the handler, on a copy of the state.
    fn work(
        &self,
    ) -> impl Future<Output = Result<(Worked<S>, Aftermath<S>), Failure>> + Send + use<S> {
        let address = Arc::clone(&self.address);
        let cached = Arc::clone(&self.acquired.cached);
        let fence = self.acquired.fence;
        let work = shield(|| self.acquired.work.clone());
        let is_call = self.acquired.envelope.kind == Kind::Call;
        let message = MessageContext::of(&self.acquired.envelope);
        // A caller here gets its answer without the store.
        let is_elsewhere = |from: From| from.process != *self.address.calls.process();
        let is_stored = self.acquired.envelope.from.is_some_and(is_elsewhere);
        let copies = usize::from(message.id.is_some()) + usize::from(is_stored);
        async move {
            let work = work?;
            let run = async {
                let mut state = cached.state.clone();
                let mut cx = Locked::new(&address, fence, message);
                let reply = state.handle_locked(work, &mut cx).await;
                (state, reply, cx.take_effects())
            };
            let (state, reply, effects) = shielded(run).await?;
            if effects.is_locking {
                return Err(misused("locked work can't lock"));
            }
            let reply = is_call.then_some(reply);
            let judged = judge(reply, effects, answer_size_max_bytes(copies));
            let Handled { course, effects } = match judged {
                Err(Failure::Encode { reason, .. }) if is_call => {
                    Handled::refused(Answer::Failed(reason))
                }
                judged => judged?,
            };
            let state = effects.is_some().then_some(state);
            let effects = effects.unwrap_or_default();
            let worked = Worked {
                state,
                course,
                writes: effects.writes,
            };
            let rest = Aftermath {
                actions: effects.actions,
                stop: effects.stop,
            };
            Ok((worked, rest))
        }
    }

    /// Commits the result, if the lock is still held, and does what is left to do then.
    async fn commit(
        &mut self,
        mut worked: Worked<S>,
        mut rest: Aftermath<S>,
    ) -> Result<Option<String>, Failure> {
        let mut waited = 0;
        loop {
            let committed = shielded(self.address.tenant.transact(|tx| {
                let (run, worked) = (&*self, &worked);
                async move { run.write(&tx, worked).await }
            }));
            let error = match committed.await? {
                Ok(Some(committed)) => return Ok(self.finish(committed, rest).await),
                Ok(None) => return Ok(self.lost(Loss::Lost).await),
                Err(error) => error,
            };
            let remedy = error.remedy();
            let is_stores = matches!(error, AttemptError::Transaction(_));
            let failure = error.into_failure(&self.address);
            if remedy == Remedy::Fewer && worked.is_answered() {
                // The work is done, and not done again for that: its caller is told.
                worked = Worked::failed(&failure);
                rest = Aftermath::default();
                continue;
            }
            if matches!(remedy, Remedy::Fewer | Remedy::Single) || !is_stores {
                return Err(failure);
            }
            if matches!(failure, Failure::Transaction(Error::Closed { .. })) {
                return Ok(None);
            }
            // The store is to blame. The work is done, and not done again: its result is committed as
            // long as the lock is held. If it was committed already, the lock is not.
            tracing::warn!(server = %self.address, %failure, "the result of locked work is not committed yet");
            waited += 1;
            let wait = self.address.tenant.env().sleep(backoff(waited));
            if let Err(loss) = self.guard(wait).await {
                return Ok(self.lost(loss).await);
            }
        }
    }

    /// Writes the result and unlocks; none if the lock is lost.
    async fn write(
        &self,
        tx: &Transaction,
        worked: &Worked<S>,
    ) -> Result<Option<Committed<S>>, AttemptError> {
        let (address, envelope) = (&*self.address, &self.acquired.envelope);
        let held = lock::held_by(tx, address, self.acquired.fence);
        let base = &self.acquired.cached;
        let state = state::Asked::new(tx, address, Some(base));
        let Some(lock) = held.await? else {
            return Ok(None);
        };
        let Some(current) = state.current(tx, address).await? else {
            return Ok(None);
        };
        let mut outbox = Outbox {
            effects: worked.writes.clone(),
            ..Outbox::default()
        };
        if let (Some(from), Course::Answered(answer)) = (envelope.from, &worked.course) {
            outbox.answers.push(ToCaller {
                from,
                until_millis: None,
                answer: answer.clone(),
            });
        }
        self.remember(tx, &worked.course).await?;
        let answers = outbox.write(tx, address).await?;
        lock::release(tx, address, &lock)?;
        let state = match &worked.state {
            None => NewState::Unchanged(current),
            Some(mine) if Arc::ptr_eq(base, &current) => {
                state::write(tx, address, current, mine.clone())?
            }
            Some(mine) => {
                // What priority and info messages changed meanwhile is kept.
                let merged = dgen_codec::merge(&base.state, mine, &current.state)?;
                state::write(tx, address, current, merged)?
            }
        };
        Ok(Some(Committed { state, answers }))
    }

    /// Remembers the answer under the message's id, if it has one.
    async fn remember(&self, tx: &Transaction, course: &Course) -> Result<(), AttemptError> {
        let address = &self.address;
        let Some(id) = &self.acquired.envelope.id else {
            return Ok(());
        };
        let answer = match course {
            // What changed nothing may be sent again.
            Course::Answered(Answer::Failed(_)) => return Ok(()),
            Course::Answered(answer) => FirstAnswer::Given(answer.clone()),
            Course::Deferred(_) => FirstAnswer::Deferred(Vec::new()),
            Course::Done | Course::Locking => FirstAnswer::None,
        };
        let now_millis = clock::to_millis(address.tenant.env().wall_clock());
        let until_millis = now_millis + clock::millis(address.options.id_window);
        let ids = std::iter::once(id.clone());
        let mut memory = Memory::read(tx, &address.keys, ids, now_millis).await?;
        memory.insert(
            id.clone(),
            Remembered {
                until_millis,
                answer,
            },
        );
        memory.write(tx, &address.keys, id)?;
        Ok(())
    }

    async fn finish(&self, committed: Committed<S>, rest: Aftermath<S>) -> Option<String> {
        let cached = committed.state.committed().await;
        let after = After {
            actions: rest.actions,
            answers: committed.answers,
        };
        after.run(&self.address, &cached.state);
        rest.stop
    }

    /// Counts a failure; after too many the message is a dead letter, and the lock is released.
    async fn fail(&mut self, failure: &Failure) -> Next {
        let error = text(failure);
        loop {
            let counted = self.address.tenant.transact(|tx| {
                let (run, error) = (&*self, error.as_str());
                async move { run.count(&tx, error).await }
            });
            match counted.await {
                Ok(next) => return next,
                Err(AttemptError::Transaction(Error::Closed { .. })) => return Next::Lost,
                Err(error) => {
                    tracing::warn!(server = %self.address, %error, "a failure was not counted");
                    let wait = self.address.tenant.env().sleep(backoff(u32::MAX));
                    if let Err(loss) = self.guard(wait).await {
                        self.lost(loss).await;
                        return Next::Lost;
                    }
                }
            }
        }
    }

    async fn count(&self, tx: &Transaction, error: &str) -> Result<Next, AttemptError> {
        let address = &*self.address;
        let Some(lock) = lock::held_by(tx, address, self.acquired.fence).await? else {
            return Ok(Next::Lost);
        };
        let attempts = lock.attempts.saturating_add(1);
        if attempts < address.options.max_attempts {
            let error = Some(dead_letters::shortened(error));
            Hold::Locked(Lock {
                attempts,
                error,
                ..lock
            })
            .write(tx, &address.keys)?;
            return Ok(Next::Again(attempts));
        }
        let death = Death {
            error: dead_letters::shortened(error),
            attempts,
        };
        lock::release(tx, address, &lock)?;
        let envelope = bytes_of(&self.acquired.envelope);
        let buried = dead_letters::bury(tx, address, &envelope, death).await?;
        Ok(Next::Dead(buried))
    }
}
