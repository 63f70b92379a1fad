//! Seeded random runs: one looks for what is not serializable, one for what differs from the
//! model.

use super::Outcome;
use crate::{Area, differential, model, random::seed_from_env, serializability};

/// SPEC B9: random transactions at the same time have the effect of running one after another, in
/// the order of their versionstamps.
pub async fn random_transactions_are_serializable(area: Area) -> Outcome {
    let options = serializability::Options::new(seed_from_env());
    serializability::check(&area, &options).await?;
    Ok(())
}

/// SPEC B9: random transactions show on this backend what they show on the model.
pub async fn random_transactions_agree_with_the_model(area: Area) -> Outcome {
    let options = differential::Options::new(seed_from_env());
    differential::compare(&model::in_memory(), area.database(), &options).await?;
    Ok(())
}
