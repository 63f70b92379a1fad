//! Priority and info messages: each in a transaction of its own that looks neither at the queue nor,
//! unless the message has an id or locks, at the lock (SPEC S5).

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dgen_backend::{Error, Transaction};
use tracing::Instrument as _;

use crate::{
    Failure, Server,
    address::Address,
    carrying::{CarriedOut, carry_out},
    clock,
    decision::Work,
    error::text,
    handling::{Trial, shield, shielded},
    hold::{Hold, Lock},
    lock::{self, Acquired, Locking},
    locked_work,
    mailbox::{Done, Refused, Unit},
    memory::Memory,
    message::Envelope,
    remedy::{AttemptError, Remedy},
    state::{self, Cached},
};

/// What a priority or info message came to.
pub(crate) struct Urgent<S: Server> {
    /// The state since then; none if nothing was committed.
    pub(crate) cached: Option<Arc<Cached<S>>>,
    pub(crate) done: Done,
    /// The lock it took.
    pub(crate) lock: Option<Acquired<S>>,
    /// Why the process is to stop, if the handler said so.
    pub(crate) stop: Option<String>,
}

/// An attempt, before its commit.
enum Tried<S: Server> {
    CarriedOut(Box<CarriedOut<S>>),
    Refused(Failure),
}

/// Handles the message of `unit`, and does what is left to do once that is committed.
pub(crate) async fn handle<S: Server>(
    address: &Arc<Address>,
    cached: Option<&Arc<Cached<S>>>,
    unit: &Unit<S>,
) -> Urgent<S> {
    let env = address.tenant.env();
    let begun = env.now();
    let maybe_executed = &AtomicBool::new(false);
    let tried = pin!(address.tenant.transact(|tx| async move {
        maybe_executed.fetch_or(tx.attempt().maybe_executed, Ordering::Relaxed);
        attempt(&tx, address, cached, unit).await
    }));
    let tried = shielded(tried);
    let span = tracing::debug_span!("priority attempt", server = %address);
    let failure = match tried.instrument(span).await {
        Ok(Ok(Tried::CarriedOut(carried_out))) => {
            let took = env.now().saturating_duration_since(begun);
            if carried_out.units.iter().all(Result::is_ok) {
                address.metrics().committed(unit.messages(), took);
            }
            let (cached, mut units, lock, stop) = carried_out.committed(address).await;
            return Urgent {
                lock: lock.and_then(|lock| acquired(lock, &cached)),
                cached: Some(cached),
                done: units.pop().unwrap_or(Err(Refused::NotHandled)),
                stop,
            };
        }
        Ok(Ok(Tried::Refused(failure))) | Err(failure) => failure,
        Ok(Err(error)) => {
            let is_conflict = error.remedy() == Remedy::Again;
            tracing::debug!(server = %address, error = text(&error), is_conflict, "priority message failed");
            error.into_failure(address)
        }
    };
    let failure = match failure {
        // An earlier attempt may have been committed, whatever a later one came to.
        failure if maybe_executed.load(Ordering::Relaxed) && !failure.maybe_executed() => {
            Failure::Transaction(Error::CommitUnknown {
                reason: text(&failure),
            })
        }
        failure => failure,
    };
    Urgent {
        cached: None,
        done: Err(Refused::Failed(failure)),
        lock: None,
        stop: None,
    }
}

/// Handles the message of `unit` where no process of the server is: the caller does it.
pub(crate) async fn handle_here<S: Server>(address: &Arc<Address>, unit: &Unit<S>) -> Done {
    let urgent = handle(address, None, unit).await;
    if let Some(acquired) = urgent.lock {
        let env = address.tenant.env();
        match locked_work::spawn(address, acquired) {
            Ok(task) => task.detach(env),
            Err(error) => {
                tracing::warn!(server = %address, %error, "locked work waits for its lease to end");
            }
        }
    }
    urgent.done
}

/// The lock that was taken, with what there is to work on.
pub(crate) fn acquired<S: Server>(
    Locking { fence, envelope }: Locking,
    cached: &Arc<Cached<S>>,
) -> Option<Acquired<S>> {
    let message = shield(|| envelope.message()).ok()?;
    let work = message.ok().and_then(lock::work_of)?;
    Some(Acquired {
        fence,
        envelope,
        work,
        cached: Arc::clone(cached),
    })
}

async fn attempt<S: Server>(
    tx: &Transaction,
    address: &Arc<Address>,
    cached: Option<&Arc<Cached<S>>>,
    unit: &Unit<S>,
) -> Result<Tried<S>, AttemptError> {
    address.metrics().attempt(tx.attempt());
    let keys = &address.keys;
    let state = state::Asked::new(tx, address, cached);
    let now_millis = clock::to_millis(address.tenant.env().wall_clock());
    let memory = Memory::read(tx, keys, unit.ids(), now_millis).await?;
    let Some(cached) = state.current(tx, address).await? else {
        return Ok(Tried::Refused(Failure::NotStarted {
            server: address.to_string(),
        }));
    };
    if let Some(lock) = worked_on(tx, address, unit).await? {
        return Ok(Tried::Refused(Failure::Locked {
            since: clock::from_millis(lock.since),
        }));
    }
    let work = Work {
        address,
        items: &[],
        may_have_more: false,
        units: std::slice::from_ref(unit),
        is_urgent: true,
        batch_max: 1,
        unanswerable: None,
        memory,
        hold: None,
        now_millis,
    };
    let mut trial = Trial::new(address, &cached);
    let mut decision = work.decide(&mut trial);
    if decision.lock.is_some()
        && let Some(hold) = tx.get(&keys.hold()).await?
    {
        match Hold::from_bytes(&hold)? {
            Hold::Locked(lock) => {
                return Ok(Tried::Refused(Failure::Locked {
                    since: clock::from_millis(lock.since),
                }));
            }
            Hold::Failing(failing) => decision.failing = Some(failing),
        }
    }
    let carried_out = carry_out(tx, address, cached, trial.into_changed(), decision).await?;
    Ok(Tried::CarriedOut(Box::new(carried_out)))
}

/// The lock, if the message that holds it has an id of `unit`'s: then that one takes effect.
async fn worked_on<S: Server>(
    tx: &Transaction,
    address: &Address,
    unit: &Unit<S>,
) -> Result<Option<Lock>, AttemptError> {
    if unit.ids().next().is_none() {
        return Ok(None);
    }
    let Some(hold) = tx.get(&address.keys.hold()).await? else {
        return Ok(None);
    };
    let Hold::Locked(lock) = Hold::from_bytes(&hold)? else {
        return Ok(None);
    };
    let message = lock::read_message(tx, address).await?;
    let envelope = Envelope::from_bytes(&message).ok();
    let id = envelope.and_then(|envelope| envelope.id);
    Ok(id
        .filter(|locked| unit.ids().any(|id| id == *locked))
        .map(|_| lock))
}
