//! A failing world, made small: whatever can be left out while it still fails is.

use crate::world::{Part, World};

/// So many worlds are played for it at most.
const PLAYS_MAX: usize = 400;

/// A small world that fails, and what was left out of the one it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The small one.
    pub world: World,
    /// What it lacks.
    pub without: Vec<Part>,
}

/// What kind of failure that is: its words without their numbers.
#[must_use]
pub fn kind(violations: &[String]) -> Option<String> {
    let words = violations
        .first()?
        .chars()
        .filter(|letter| !letter.is_ascii_digit());
    Some(words.take(28).collect())
}

/// The smallest of the worlds that are found by leaving out parts of `world`, one after the other, for
/// which `fails` still says yes.
pub fn shrink(world: &World, mut fails: impl FnMut(&World) -> bool) -> Shrunk {
    let mut shrunk = Shrunk {
        world: world.clone(),
        without: Vec::new(),
    };
    let mut plays = 0;
    loop {
        let before = shrunk.without.len();
        for part in shrunk.world.parts() {
            let Some(smaller) = shrunk.world.without(part) else {
                continue;
            };
            if plays == PLAYS_MAX {
                return shrunk;
            }
            plays += 1;
            if fails(&smaller) {
                shrunk.world = smaller;
                shrunk.without.push(part);
            }
        }
        // Something that was needed may not be, without the rest.
        if shrunk.without.len() == before {
            return shrunk;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Order;

    /// The first seed whose world has a message that swaps.
    fn world_that_swaps() -> World {
        let mut worlds = (0..).map(World::random);
        let found = worlds.find(|world| swaps(world) && world.parts().len() > 20);
        found.expect("there are many")
    }

    fn swaps(world: &World) -> bool {
        let mut steps = world.clients().flat_map(|(_, client)| &client.steps);
        steps.any(|step| matches!(step.order, Order::Swap(_)))
    }

    #[test]
    fn only_what_is_needed_is_left() {
        let world = world_that_swaps();
        let shrunk = shrink(&world, swaps);
        assert!(swaps(&shrunk.world));
        assert_eq!(shrunk.world.clients().count(), 1);
        let (_, client) = shrunk.world.clients().next().expect("one is left");
        assert_eq!(client.steps.len(), 1);
        assert_eq!(shrunk.world.servers().count(), 1);
        assert_eq!(shrunk.world.troubles().count(), 0);
    }

    #[test]
    fn what_was_left_out_names_the_small_world() {
        let world = world_that_swaps();
        let shrunk = shrink(&world, swaps);
        let again = shrunk
            .without
            .iter()
            .try_fold(world, |world, part| world.without(*part));
        assert_eq!(again, Some(shrunk.world));
    }
}
