//! The counters of pushes and pops.

use dgen_backend::Transaction;

use crate::{
    error::{Damage, Error},
    keys::Keys,
};

/// Pushes minus pops. Both reads are issued before this returns.
///
/// They are snapshot reads: a counter changes with every push, and whoever read it otherwise would
/// conflict with all of them (`length_never_conflicts`).
pub(crate) fn read_len(
    tx: &Transaction,
    keys: &Keys,
) -> impl Future<Output = Result<u64, Error>> + Send + use<> {
    let snapshot = tx.snapshot();
    let (pushed_key, popped_key) = (keys.pushed(), keys.popped());
    let (pushed, popped) = (snapshot.get(&pushed_key), snapshot.get(&popped_key));
    async move {
        let pushed = decode(&pushed_key, pushed.await?.as_deref())?;
        let popped = decode(&popped_key, popped.await?.as_deref())?;
        u64::try_from(pushed.wrapping_sub(popped))
            .map_err(|_| Error::damaged(&popped_key, Damage::NegativeLength { pushed, popped }))
    }
}

fn decode(key: &[u8], value: Option<&[u8]>) -> Result<i64, Error> {
    let Some(value) = value else { return Ok(0) };
    match value.try_into() {
        Ok(bytes) => Ok(i64::from_le_bytes(bytes)),
        Err(_) => Err(Error::damaged(
            key,
            Damage::CounterSize {
                size_bytes: value.len(),
            },
        )),
    }
}
