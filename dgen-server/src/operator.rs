//! What an operator does to a server from outside: kill it, break its lock.

use std::sync::Arc;

use dgen_backend::Transaction;
use dgen_codec::read_chunks;

use crate::{
    Failure, address::Address, control::Request, dead_letters, hold::Hold, lock,
    outbox::LocalAnswers, remedy::AttemptError, reply::Death,
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
    let answers = broken.await.map_err(|error| error.into_failure(address))?;
    let Some(answers) = answers else {
        return Ok(false);
    };
    for (from, answer) in answers {
        address.registry.answer(&from, answer);
    }
    Ok(true)
}

async fn break_in(
    tx: &Transaction,
    address: &Address,
) -> Result<Option<LocalAnswers>, AttemptError> {
    let Some(hold) = tx.get(address.keys.hold()).await? else {
        return Ok(None);
    };
    let attempts = match Hold::from_bytes(&hold) {
        Ok(Hold::Locked(lock)) => lock.attempts,
        Ok(Hold::Failing(_)) => return Ok(None),
        // One that can't be read is to be broken all the more.
        Err(_) => 0,
    };
    let message = read_chunks(tx, &address.keys.locked()).await?;
    lock::release(tx, address)?;
    let death = Death {
        error: "its lock was broken".to_owned(),
        attempts,
    };
    let message = message.unwrap_or_default();
    dead_letters::bury(tx, address, &message, death)
        .await
        .map(Some)
}
