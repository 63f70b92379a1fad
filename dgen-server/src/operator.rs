//! What an operator does to a server from outside: kill it, break its lock.

use std::sync::Arc;

use dgen_backend::Transaction;
use dgen_codec::clear_chunks;

use crate::{
    Failure,
    address::Address,
    control::Request,
    dead_letters::{self, Buried},
    hold::Hold,
    lock,
    remedy::AttemptError,
    reply::Death,
};

/// Deletes the server, and ends its processes here.
pub(crate) async fn kill(address: &Arc<Address>) -> Result<(), Failure> {
    let all = address.keys.all();
    let killed: Result<(), dgen_backend::Error> = address
        .tenant
        .transact(|tx| std::future::ready(tx.clear_range(&all)))
        .await;
    killed?;
    let remotes = address.registry.remotes(address.keys.prefix());
    for (_, remote) in &remotes {
        remote.request(Request::Kill);
    }
    for (_, remote) in remotes {
        remote.ended().await;
    }
    Ok(())
}

/// Takes the lock from whoever holds it.
pub(crate) async fn break_lock(address: &Arc<Address>) -> Result<bool, Failure> {
    let broken = address
        .tenant
        .transact(|tx| async move { break_in(&tx, address).await });
    let buried = broken.await.map_err(|error| error.into_failure(address))?;
    let is_broken = buried.is_some();
    if let Some(buried) = buried {
        buried.announce(address);
    }
    Ok(is_broken)
}

async fn break_in(tx: &Transaction, address: &Address) -> Result<Option<Buried>, AttemptError> {
    let Some(hold) = tx.get(&address.keys.hold()).await? else {
        return Ok(None);
    };
    let message = lock::read_message(tx, address).await?;
    let attempts = match Hold::from_bytes(&hold) {
        Ok(Hold::Locked(lock)) => {
            lock::release(tx, address, &lock)?;
            lock.attempts
        }
        Ok(Hold::Failing(_)) => return Ok(None),
        // One that can't be read is to be broken all the more.
        Err(_) => {
            tx.clear(&address.keys.hold())?;
            clear_chunks(tx, &address.keys.locked())?;
            0
        }
    };
    let death = Death {
        error: "its lock was broken".to_owned(),
        attempts,
    };
    dead_letters::bury(tx, address, &message, death)
        .await
        .map(Some)
}
