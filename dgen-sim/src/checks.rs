//! What must hold in every world, once it is calm again: each check takes all that is known of it
//! and says what is wrong, in words.

mod answers;
mod keys;
mod linear;
mod locks;
mod money;
mod once;
mod order;
#[cfg(test)]
mod tests;
mod timers;

use std::{collections::BTreeMap, time::Duration};

use crate::{
    history::Record,
    scene::Run,
    servers::State,
    world::{Kind, What, World},
};

/// All that is known of a world when it has ended.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// What it was.
    pub world: World,
    /// What clients saw.
    pub records: Vec<Record>,
    /// Whoever deleted a server: which one, and between which two moments of the clients' order, if
    /// that is known.
    pub kills: Vec<(usize, u64, Option<u64>)>,
    /// What is stored of each server.
    pub states: BTreeMap<usize, State>,
    /// All locked work.
    pub runs: Vec<Run>,
    /// How long a lock lasts that is not renewed.
    pub lease: Duration,
    /// The calendar's time at the beginning, from 1970.
    pub begun: Duration,
    /// The tenant's prefix, and all keys below it that are left long after.
    pub keys: (Vec<u8>, Vec<Vec<u8>>),
}

impl Evidence {
    /// What does not hold.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let checks: [fn(&Self) -> Vec<String>; 8] = [
            once::check,
            order::check,
            answers::check,
            linear::check,
            money::check,
            locks::check,
            timers::check,
            keys::check,
        ];
        checks.iter().flat_map(|check| check(self)).collect()
    }

    /// What was sent to that server.
    fn sent_to(&self, server: usize) -> impl Iterator<Item = &Record> {
        let records = self.records.iter();
        records.filter(move |record| record.server == server)
    }

    /// The servers whose states tell all that ever happened to them.
    fn lasting(&self) -> impl Iterator<Item = (usize, &State)> {
        let states = self.states.iter().map(|(server, state)| (*server, state));
        states.filter(|(server, _)| !self.is_killed(*server))
    }

    fn is_killed(&self, server: usize) -> bool {
        let kind = self.world.kind(server);
        matches!(
            kind,
            Some(Kind::Register {
                is_killed: true,
                ..
            })
        )
    }

    /// So far from each other are two machines' calendars at most.
    fn skew_max(&self) -> Duration {
        let jumps = self
            .world
            .troubles()
            .map(|(_, trouble)| match trouble.what {
                What::Jump(_, millis) => Duration::from_millis(millis.unsigned_abs()),
                _ => Duration::ZERO,
            });
        2 * (self.world.skew_max + jumps.sum::<Duration>())
    }
}
