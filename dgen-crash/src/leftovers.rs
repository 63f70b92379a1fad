//! What is left in the store once everything is done and every window is over: the states, and
//! nothing that somebody should have taken away.

use dgen_backend::{
    KeyRange, RangeRead,
    tuple::{Element, unpack},
};
use dgen_server::{Error, Tenant};

use crate::{caller::Wrong, own_key};

/// The keys that should not be there any more, as text to read.
pub(crate) async fn leftovers(tenant: &Tenant) -> Result<Vec<String>, Wrong> {
    let range = RangeRead::from(KeyRange::subspace(tenant.subspace()));
    let range = &range;
    let rows = tenant.transact(|tx| async move { tx.collect_range(range.clone()).await });
    let rows = rows
        .await
        .map_err(|error: Error| Wrong(format!("a read failed: {error}")))?;
    let prefix = tenant.subspace().bytes().len();
    let mut found = Vec::new();
    for row in rows {
        let key: Vec<Element<'_>> = unpack(&row.key[prefix..])
            .map_err(|error| Wrong(format!("the key {:?} is no tuple: {error}", row.key)))?;
        if !stays(&key) {
            found.push(format!("{key:?}"));
        }
    }
    Ok(found)
}

/// Whether docs/keyspace.md lets a key stay.
fn stays(key: &[Element<'_>]) -> bool {
    let text = |place: usize| match key.get(place) {
        Some(Element::String(text)) => Some(&**text),
        _ => None,
    };
    if matches!(key.first(), Some(Element::Int(0))) {
        // Commit markers, which whoever is elsewhere writes: cleared when a tenant is opened.
        return true;
    }
    match (text(0), text(2)) {
        (Some(own_key::NAME), _) => true,
        // The state, and how many changes and dead letters there were.
        (Some(_), Some("s" | "c" | "n")) => true,
        (Some(_), Some("q")) => matches!(text(3), Some("pushed" | "popped" | "wake")),
        _ => false,
    }
}
