//! Nothing is left behind: long after, only what docs/keyspace.md says stays is in the store.

use dgen_backend::tuple::{Element, unpack};

use super::Evidence;

pub(super) fn check(evidence: &Evidence) -> Vec<String> {
    let (prefix, keys) = &evidence.keys;
    let left = keys.iter().filter_map(|key| {
        let path = key.get(prefix.len()..)?;
        let elements: Vec<Element<'_>> = unpack(path).unwrap_or_default();
        (!may_stay(&elements)).then(|| format!("left behind: {elements:?} ({})", hex(path)))
    });
    left.collect()
}

/// Whether a key below the tenant is a marker, or of a server with an empty queue.
fn may_stay(path: &[Element<'_>]) -> bool {
    match path {
        [Element::Int(0), ..] => true,
        [
            Element::String(_),
            Element::Tuple(_),
            Element::String(part),
            rest @ ..,
        ] => {
            match (&**part, rest) {
                // The state, the number of dead letters, the number of changes.
                ("s", _) | ("c" | "n", []) => true,
                ("q", [Element::String(what)]) => ["pushed", "popped", "wake"].contains(&&**what),
                _ => false,
            }
        }
        _ => false,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
