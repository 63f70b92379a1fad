//! The cases: how many do what to how many, and what that is compared with.

use crate::fdb::load::Load;

/// Callers, and servers, of the cases with one figure for each pair.
const CALLERS: [usize; 4] = [1, 8, 64, 256];
const SERVERS: [usize; 2] = [1, SERVERS_MAX];

/// No case has more callers.
pub(super) const CALLERS_MAX: usize = 256;

/// No case has more servers.
pub(super) const SERVERS_MAX: usize = 64;

/// One after the other, straight through the client library.
const RAW_SERIAL: &str = "fdb/raw/1";
/// From 64 tasks.
const RAW_CROWD: &str = "fdb/raw/64";
/// Calls to one consumer in another OS process.
const ONE_CONSUMER: &str = "fdb/consumers/1";

/// A case before it is measured.
#[derive(Debug)]
pub(super) struct Bout {
    pub(super) name: String,
    pub(super) load: Load,
    pub(super) callers: usize,
    pub(super) servers: usize,
    /// The case that the ratio is to.
    pub(super) of: &'static str,
    pub(super) target: Option<f64>,
}

/// All cases, each behind those that it is compared with.
pub(super) fn bouts() -> Vec<Bout> {
    let mut bouts = Vec::new();
    for (what, load) in [
        ("raw", Load::Raw),
        ("database", Load::Database),
        ("tenant", Load::Tenant),
    ] {
        bouts.push(Bout::new(format!("{what}/1"), load, 1, 1, RAW_SERIAL));
        bouts.push(Bout::new(format!("{what}/64"), load, 64, 64, RAW_CROWD));
    }
    for (what, load) in [("call", Load::Call), ("cast", Load::Cast)] {
        for (callers, servers) in SERVERS
            .into_iter()
            .flat_map(|servers| CALLERS.map(|callers| (callers, servers)))
        {
            let of = match callers.min(servers) {
                1 => RAW_SERIAL,
                _ => RAW_CROWD,
            };
            let name = format!("{what}/{callers}x{servers}");
            bouts.push(Bout::new(name, load, callers, servers, of));
        }
    }
    // The number of casts in a batch takes the place of the callers.
    for (what, load) in [
        ("cast/100x1", Load::CastBatches),
        ("queued-cast/100x1", Load::QueuedCastBatches),
    ] {
        bouts.push(Bout::new(what.to_owned(), load, 1, 1, RAW_SERIAL));
    }
    for callers in [1, 64] {
        let name = format!("queued-call/{callers}x1");
        bouts.push(Bout::new(name, Load::QueuedCall, callers, 1, RAW_SERIAL));
    }
    for (name, consumers) in [("consumers/1", 1), ("contention", 2)] {
        let load = Load::Contention { consumers };
        bouts.push(Bout::new(name.to_owned(), load, 64, 1, ONE_CONSUMER));
    }
    bouts
}

impl Bout {
    /// `name` without the group.
    fn new(name: String, load: Load, callers: usize, servers: usize, of: &'static str) -> Self {
        let target = match &*name {
            "call/1x1" => Some(0.8),
            "call/64x1" | "cast/100x1" => Some(15.0),
            "call/64x64" => Some(0.6),
            "contention" => Some(0.8),
            _ => None,
        };
        Self {
            name: format!("fdb/{name}"),
            load,
            callers,
            servers,
            of,
            target,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_a_reference_before_it() {
        let bouts = bouts();
        for (place, bout) in bouts.iter().enumerate() {
            let earlier = &bouts[..place];
            assert!(earlier.iter().all(|other| other.name != bout.name));
            assert!(
                bouts[..=place].iter().any(|other| other.name == bout.of),
                "{bout:?}"
            );
        }
    }
}
