//! Taking and keeping a server's lock.
//!
//! The lock is a lease: its holder renews it, and it may be taken over by who has seen it not
//! renewed for its whole length. Each holder has a fence, a number greater than all before it: the
//! read version of the transaction that took the lock, since that has read what the last holder's
//! transaction wrote. Whatever a holder writes, it writes in a transaction that reads its own fence
//! in the hold. So one that was taken over can't commit (SPEC S7).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use dgen_backend::{
    Transaction,
    env::Env,
    planted::{self, Bug},
};
use dgen_codec::{LoadError, PlainError, clear_chunks, write_chunks};

use crate::{
    Failure, LockedWork, Server,
    address::Address,
    clock,
    dead_letters::{self, Buried},
    handling::shield,
    hold::{Failing, Hold, Lock},
    message::{Envelope, Message},
    outbox::bytes_of,
    remedy::AttemptError,
    reply::Death,
    state::Cached,
};

/// The shortest lease, so that renewing it is no busy loop.
const LEASE_MIN: Duration = Duration::from_millis(30);

/// A lock that a transaction takes.
pub(crate) struct Locking {
    pub(crate) fence: u64,
    pub(crate) envelope: Envelope,
}

/// A lock that is held: what there is to work on.
pub(crate) struct Acquired<S: Server> {
    pub(crate) fence: u64,
    pub(crate) envelope: Envelope,
    pub(crate) work: LockedWork<S>,
    /// The state when the lock was taken.
    pub(crate) cached: Arc<Cached<S>>,
}

/// What became of a lock whose holder is gone.
pub(crate) enum TakenOver<S: Server> {
    Acquired(Acquired<S>),
    /// This version does not know the message: a newer one may.
    Unknown(Lock),
    /// And none has come for it: it is a dead letter.
    Buried(Buried),
}

/// Takes the lock for `envelope`. The caller has read, in this transaction, that it is free; `fence` is
/// its read version.
pub(crate) fn acquire(
    tx: &Transaction,
    address: &Address,
    envelope: Envelope,
    failing: Option<Failing>,
    fence: u64,
) -> Result<Locking, AttemptError> {
    let lock = Lock {
        fence,
        process: *address.calls.process(),
        renewals: 0,
        lease: clock::millis(lease(address)),
        since: clock::to_millis(address.tenant.env().wall_clock()),
        attempts: 0,
        takeovers: 0,
        is_free: false,
        error: None,
        failing,
    };
    Hold::Locked(lock).write(tx, &address.keys)?;
    write_chunks(tx, &address.keys.locked(), &bytes_of(&envelope))?;
    Ok(Locking { fence, envelope })
}

/// Takes over the lock of a holder that is gone, or has let it go, and was not seen to change for
/// `unchanged_for`.
pub(crate) async fn take_over<S: Server>(
    tx: &Transaction,
    address: &Address,
    lock: Lock,
    unchanged_for: Duration,
    cached: Arc<Cached<S>>,
) -> Result<TakenOver<S>, AttemptError> {
    let message = read_message(tx, address).await?;
    let known = shield(|| {
        let envelope = Envelope::from_bytes(&message)?;
        let work = work_of(envelope.message()?);
        Ok::<_, PlainError>((envelope, work))
    });
    let known = known.map_err(|panic| panic.to_string());
    let known = known.and_then(|known| known.map_err(|error| error.to_string()));
    let (envelope, work) = match known {
        Ok((envelope, Some(work))) => (envelope, work),
        Ok((_, None)) => return Ok(TakenOver::Unknown(lock)),
        Err(_) if unchanged_for < address.options.unknown_message_grace => {
            return Ok(TakenOver::Unknown(lock));
        }
        Err(reason) => {
            release(tx, address, &lock)?;
            let death = Death {
                error: dead_letters::shortened(&Failure::UnknownMessage { reason }.to_string()),
                attempts: lock.attempts,
            };
            let buried = dead_letters::bury(tx, address, &message, death).await?;
            return Ok(TakenOver::Buried(buried));
        }
    };
    let fence = tx.read_version().await?;
    let takeovers = lock.takeovers.saturating_add(u32::from(!lock.is_free));
    let lock = Lock {
        fence,
        process: *address.calls.process(),
        renewals: 0,
        lease: clock::millis(lease(address)),
        takeovers,
        is_free: false,
        ..lock
    };
    Hold::Locked(lock).write(tx, &address.keys)?;
    Ok(TakenOver::Acquired(Acquired {
        fence,
        envelope,
        work,
        cached,
    }))
}

/// The lock, if its holder is the one with `fence`. A read that counts: whoever takes the lock over
/// meanwhile makes this transaction conflict.
pub(crate) async fn held_by(
    tx: &Transaction,
    address: &Address,
    fence: u64,
) -> Result<Option<Lock>, AttemptError> {
    let Some(bytes) = tx.get(&address.keys.hold()).await? else {
        return Ok(None);
    };
    Ok(match Hold::from_bytes(&bytes)? {
        Hold::Locked(lock) if lock.fence == fence || planted::is(Bug::UnfencedLock) => Some(lock),
        _ => None,
    })
}

/// Unlocks the server: those who wait for that watch this key.
pub(crate) fn release(
    tx: &Transaction,
    address: &Address,
    lock: &Lock,
) -> Result<(), dgen_backend::Error> {
    match &lock.failing {
        Some(failing) => Hold::Failing(failing.clone()).write(tx, &address.keys)?,
        None => tx.clear(&address.keys.hold())?,
    }
    clear_chunks(tx, &address.keys.locked())
}

/// The bytes of the message that locked; none if they are damaged.
pub(crate) async fn read_message(
    tx: &Transaction,
    address: &Address,
) -> Result<Bytes, AttemptError> {
    match dgen_codec::read_chunks(tx, &address.keys.locked()).await {
        Ok(message) => Ok(message.unwrap_or_default()),
        Err(LoadError::Damaged { .. }) => Ok(Bytes::new()),
        Err(error) => Err(error.into()),
    }
}

/// The work of a message that locked.
pub(crate) fn work_of<S: Server>(message: Message<S>) -> Option<LockedWork<S>> {
    match message {
        Message::Call(call) => Some(LockedWork::Call(call)),
        Message::Casts(mut casts) => casts.pop().map(LockedWork::Cast),
        Message::Info(_) => None,
    }
}

/// Renews the lock until it is lost.
pub(crate) async fn renew_until_lost(address: &Address, fence: u64) {
    let env: &Env = address.tenant.env();
    loop {
        env.sleep(lease(address) / 3).await;
        let renewed = address.tenant.transact(|tx| async move {
            let Some(lock) = held_by(&tx, address, fence).await? else {
                return Ok::<_, AttemptError>(false);
            };
            let renewals = lock.renewals.saturating_add(1);
            Hold::Locked(Lock { renewals, ..lock }).write(&tx, &address.keys)?;
            Ok(true)
        });
        match renewed.await {
            Ok(true) => {}
            Ok(false) => return,
            // The lock may be lost or not: the commit of the work's result will tell.
            Err(error) => tracing::warn!(server = %address, %error, "a lock was not renewed"),
        }
    }
}

/// Lets the lock go, so that another consumer takes it over at once.
pub(crate) async fn let_go(address: &Address, fence: u64) -> Result<(), AttemptError> {
    address
        .tenant
        .transact(|tx| async move {
            if let Some(lock) = held_by(&tx, address, fence).await? {
                let is_free = true;
                Hold::Locked(Lock { is_free, ..lock }).write(&tx, &address.keys)?;
            }
            Ok(())
        })
        .await
}

fn lease(address: &Address) -> Duration {
    address.options.lock_lease.max(LEASE_MIN)
}
