//! Random worlds, some of them at each test run; `cargo xtask sim` plays many.

use dgen_sim::{campaign, world::World};

/// SPEC S2, S3, S7, S9, S11, T1, T2, T3: what must hold in a world does, whatever goes wrong in it.
#[test]
fn what_must_hold_holds_in_sixty_worlds() {
    campaign::hush();
    let mut told = Vec::new();
    let summary = campaign::run(0..60, |world, verdict| {
        told.push(campaign::explain(world, verdict));
    });
    assert!(told.is_empty(), "{}\n{summary}", told.join("\n"));
    assert!(summary.messages > 500, "{summary:?}");
}

/// A seed says all: two runs of it do the same, step by step.
#[test]
fn a_world_is_played_the_same_again() {
    campaign::hush();
    for seed in 100..110 {
        let world = World::random(seed);
        assert_eq!(world.play(), world.play(), "seed {seed}");
    }
}
