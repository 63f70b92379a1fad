//! Tenants: one type for every backend.

use std::collections::BTreeSet;

use dgen_backend::{Error, KeyRange, Tenant, tuple::Subspace};
use tokio::task::JoinSet;

use super::Outcome;
use crate::Area;

/// SPEC B8: a tenant opened twice is the same part of the store; another is another.
pub async fn tenant_is_its_directory(area: Area) -> Outcome {
    let top = area.unique_name();
    let one = Tenant::open(area.database(), [top, "one"]).await?;
    let again = Tenant::open(area.database(), [top, "one"]).await?;
    let two = Tenant::open(area.database(), [top, "two"]).await?;
    assert_eq!(one.subspace(), again.subspace());
    assert_ne!(one.subspace(), two.subspace());
    assert!(!two.subspace().is_start_of(one.subspace().bytes()));
    super::directories::remove(&area, top).await
}

/// SPEC B8: tenants share no keys.
pub async fn tenants_share_no_keys(area: Area) -> Outcome {
    let top = area.unique_name();
    for name in ["one", "two"] {
        let tenant = Tenant::open(area.database(), [top, name]).await?;
        let key = tenant.subspace().pack(&"name");
        let all = KeyRange::subspace(tenant.subspace());
        let before = tenant
            .transact(async |tx| {
                let before = tx.collect_range(all.clone()).await?.len();
                tx.set(&key, name.as_bytes())?;
                Ok::<_, Error>(before)
            })
            .await?;
        assert_eq!(before, 0, "{name} is empty");
    }
    super::directories::remove(&area, top).await
}

/// SPEC B5: transactions of one tenant that run at the same time and read what they write all take
/// effect, once.
pub async fn concurrent_transactions_take_effect_once(area: Area) -> Outcome {
    const TASKS: u64 = 4;
    const ROUNDS: u64 = 15;
    let tenant = Tenant::new(area.database().clone(), Subspace::from_bytes(area.prefix()));
    let key = tenant.subspace().pack(&"count");
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (tenant, key) = (tenant.clone(), key.clone());
        tasks.spawn(async move {
            let mut seen = Vec::new();
            for _ in 0..ROUNDS {
                seen.push(tenant.transact(|tx| increment(tx, key.clone())).await?);
            }
            Ok::<_, Error>(seen)
        });
    }
    let mut seen = Vec::new();
    while let Some(result) = tasks.join_next().await {
        seen.extend(result??);
    }
    let distinct: BTreeSet<_> = seen.iter().copied().collect();
    assert_eq!(distinct, (1..=TASKS * ROUNDS).collect());
    Ok(())
}

async fn increment(tx: dgen_backend::Transaction, key: Vec<u8>) -> Result<u64, Error> {
    let value = tx.get(&key).await?;
    let value = value.map_or(0, |value| {
        u64::from_le_bytes(value[..].try_into().expect("it is written below"))
    });
    tx.set(&key, &(value + 1).to_le_bytes())?;
    Ok(value + 1)
}
