//! Carrying out what was decided: first the writes of the transaction and then, once it is
//! committed, what is not in the store.

use std::{ops::ControlFlow, sync::Arc};

use dgen_backend::Transaction;

use crate::{
    Server,
    address::Address,
    decision::Decision,
    effects::Action,
    handling::shield,
    lock::{self, Locking},
    mailbox::Done,
    outbox::{LocalAnswers, write_waiting},
    remedy::AttemptError,
    state::{self, Cached, NewState},
};

/// What was written: it counts once the transaction is committed.
pub(crate) struct CarriedOut<S: Server> {
    pub(crate) state: NewState<S>,
    /// What became of the units, from the first; the rest was not come to.
    pub(crate) units: Vec<Done>,
    /// The lock that a message took.
    pub(crate) lock: Option<Locking>,
    /// Why the process is to stop, if a handler said so.
    pub(crate) stop: Option<String>,
    after: After<S>,
}

/// What is left to do after the commit.
pub(crate) struct After<S> {
    /// Of each handler that has some.
    pub(crate) actions: Vec<Vec<Action<S>>>,
    pub(crate) answers: LocalAnswers,
}

/// Writes what was decided, and the state if it may have `changed`. What was handled of the queue, the caller has removed.
pub(crate) async fn carry_out<S: Server>(
    tx: &Transaction,
    address: &Address,
    cached: Arc<Cached<S>>,
    changed: Option<S>,
    decision: Decision<S>,
) -> Result<CarriedOut<S>, AttemptError> {
    // Reply keys and records first: what is sent may be an answer to them.
    write_waiting(tx, &address.keys, &decision.waiting)?;
    for id in &decision.remembered {
        decision.memory.write(tx, &address.keys, id)?;
    }
    let answers = match decision.outbox.is_empty() {
        true => LocalAnswers::new(),
        false => Box::pin(decision.outbox.write(tx, address)).await?,
    };
    let lock = match decision.lock {
        Some(envelope) => {
            let failing = decision.failing;
            let fence = tx.read_version().await?;
            Some(lock::acquire(tx, address, envelope, failing, fence)?)
        }
        None => None,
    };
    let state = match changed {
        Some(state) => state::write(tx, address, cached, state)?,
        None => NewState::Unchanged(cached),
    };
    Ok(CarriedOut {
        state,
        units: decision.units,
        lock,
        stop: decision.stop,
        after: After {
            actions: decision.actions,
            answers,
        },
    })
}

impl<S: Server> CarriedOut<S> {
    /// The transaction is committed: does what is left, and returns the committed state.
    pub(crate) async fn committed(
        self,
        address: &Address,
    ) -> (Arc<Cached<S>>, Vec<Done>, Option<Locking>, Option<String>) {
        let cached = self.state.committed().await;
        self.after.run(address, &cached.state);
        (cached, self.units, self.lock, self.stop)
    }
}

impl<S: Server> After<S> {
    /// Runs the actions on the committed state, then answers callers in this OS process.
    pub(crate) fn run(self, address: &Address, state: &S) {
        for actions in self.actions {
            run_actions(address, actions, state);
        }
        for (from, answer) in self.answers {
            address.calls.answer(&from, answer);
        }
    }
}

/// Those of one handler, in order, until one halts or panics.
fn run_actions<S: Server>(address: &Address, actions: Vec<Action<S>>, state: &S) {
    for action in actions {
        match shield(|| action(state)) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return,
            Err(panic) => {
                tracing::error!(server = %address, %panic, "an action panicked; those behind it are skipped");
                return;
            }
        }
    }
}
