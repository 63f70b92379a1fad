//! What a caller does, once.

use std::time::Duration;

use dgen_backend::{Error, Transaction};
use foundationdb::{Database, FdbResult};

use crate::{
    Outcome,
    counter::CounterHandle,
    fdb::{consumer::Consumer, stage::Stage},
};

/// The value that a transaction of the cluster's own writes.
const VALUE: [u8; 16] = [7; 16];
const CASTS_A_BATCH: u64 = 100;
/// Whatever the machine is busy with.
const PATIENCE: Duration = Duration::from_secs(60);

/// What callers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// One key read and written, straight through the client library.
    Raw,
    /// The same through `Database::transact`.
    Database,
    /// The same through `Tenant::transact`, which marks its commits.
    Tenant,
    /// A call to a process next door.
    Call,
    /// A cast to a process next door.
    Cast,
    /// Casts in batches to a process next door, until the last is handled.
    CastBatches,
    /// A call to a process that is reached through its queue alone.
    QueuedCall,
    /// Casts in batches to such a process, until the last is handled.
    QueuedCastBatches,
    /// Calls to a server whose consumers are in so many other OS processes.
    Contention { consumers: usize },
}

impl Load {
    /// The consumers in other OS processes that it needs. They end when they are dropped.
    pub(super) fn consumers(self, stage: &Stage) -> Outcome<Vec<Consumer>> {
        match self {
            Self::Contention { consumers } => {
                (0..consumers).map(|_| Consumer::start(stage)).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Caller `caller` does it, to server `server`; returns how often.
    pub(super) async fn once(self, stage: &Stage, caller: usize, server: usize) -> Outcome<u64> {
        match self {
            Self::Raw => {
                read_and_write(stage.raw(), stage.raw_key(caller)).await?;
                Ok(1)
            }
            Self::Database => {
                let key = stage.raw_key(caller);
                let db = stage.tenant().database();
                db.transact(|tx| work(tx, key)).await?;
                Ok(1)
            }
            Self::Tenant => {
                let key = stage.raw_key(caller);
                stage.tenant().transact(|tx| work(tx, key)).await?;
                Ok(1)
            }
            Self::Call => increment(stage.near(server)).await,
            Self::QueuedCall => increment(stage.far(server)).await,
            Self::Contention { .. } => increment(stage.shared()).await,
            Self::Cast => {
                stage.near(server).add(1).await?;
                Ok(1)
            }
            Self::CastBatches => add_batch(stage.near(server)).await,
            Self::QueuedCastBatches => add_batch(stage.far(server)).await,
        }
    }

    /// Waits until all that was cast to a server is handled.
    pub(super) async fn drain(self, stage: &Stage, server: usize) -> Outcome {
        let handle = match self {
            Self::CastBatches => stage.near(server),
            Self::QueuedCastBatches => stage.far(server),
            _ => return Ok(()),
        };
        // It goes behind all of them.
        handle.increment(0).timeout(PATIENCE).await?;
        Ok(())
    }
}

/// What a user of the crate `foundationdb` writes.
async fn read_and_write(db: &Database, key: &[u8]) -> FdbResult<()> {
    let mut tx = db.create_trx()?;
    loop {
        let read = tx.get(key, false).await;
        tx = match read {
            Ok(_) => {
                tx.set(key, &VALUE);
                match tx.commit().await {
                    Ok(_committed) => return Ok(()),
                    Err(failed) => failed.on_error().await?,
                }
            }
            Err(error) => tx.on_error(error).await?,
        };
    }
}

/// The same in a transaction of ours.
async fn work(tx: Transaction, key: &[u8]) -> Result<(), Error> {
    tx.get(key).await?;
    tx.set(key, &VALUE)
}

async fn increment(counter: &CounterHandle) -> Outcome<u64> {
    counter.increment(1).await?;
    Ok(1)
}

async fn add_batch(counter: &CounterHandle) -> Outcome<u64> {
    let batch = (0..CASTS_A_BATCH).fold(counter.batch(), |batch, _| batch.add(1));
    batch.cast().timeout(PATIENCE).await?;
    Ok(CASTS_A_BATCH)
}
