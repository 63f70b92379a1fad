//! A key of the caller's own, written in one transaction with messages to servers.

use dgen_backend::tuple::Subspace;
use dgen_server::{CastError, Error, Failure, Tenant};

use crate::{caller::Wrong, desk::DeskHandle};

pub(crate) const NAME: &str = "own key";

fn key(tenant: &Tenant, caller: &str) -> Vec<u8> {
    let own: Subspace = tenant.subspace().subspace(&NAME);
    own.pack(&caller)
}

/// The number that `caller` wrote last.
pub(crate) async fn read(tenant: &Tenant, caller: &str) -> Result<u64, Wrong> {
    let key = &key(tenant, caller);
    let bytes = tenant.transact(|tx| async move { tx.get(key).await }).await;
    let bytes = bytes.map_err(|error: Error| Wrong(format!("a read failed: {error}")))?;
    let Some(bytes) = bytes else { return Ok(0) };
    let number = <[u8; 8]>::try_from(&bytes[..]);
    let number = number.map_err(|_| Wrong(format!("{caller} wrote a number, read {bytes:?}")))?;
    Ok(u64::from_le_bytes(number))
}

/// Writes `number`, and has `desks` take it, or nothing of it.
pub(crate) async fn write(
    tenant: &Tenant,
    caller: &str,
    number: u64,
    desks: [&DeskHandle; 2],
) -> Result<(), CastError> {
    let (key, desks) = (&key(tenant, caller), &desks);
    let write = tenant.transact(|tx| async move {
        for desk in desks {
            desk.note(caller.to_owned(), number).enqueue(&tx)?;
        }
        tx.set(key, &number.to_le_bytes())
            .map_err(Failure::Transaction)?;
        Ok::<_, CastError>(())
    });
    write.await
}
