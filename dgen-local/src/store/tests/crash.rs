//! Power loss and `kill -9`, at random moments and at every disk operation.

use super::*;

/// SPEC L2: after power loss at any moment the store holds every acknowledged group, and the
/// unacknowledged one as a whole or not at all. Crashes follow on crashes, so recovery is
/// interrupted too.
#[test]
fn power_loss_keeps_whole_groups() {
    for seed in 0..seeds() {
        let mut random = Random(seed);
        let mut disk = MemoryDisk::new();
        let mut model = Model::new();
        let mut acknowledged = 0;
        for _life in 0..5 {
            let groups = random.below(12);
            let stop = 1 + random.below(80);
            disk.stop_after(stop);
            match open(&disk) {
                Ok(store) => {
                    model.check(&store, acknowledged).unwrap();
                    model
                        .states
                        .retain(|version, _| *version <= store.version());
                    // What was seen must not vanish later.
                    acknowledged = store.version();
                    run(&store, &mut model, &mut acknowledged, &mut random, groups);
                }
                // The machine stopped. A crash must never look like damage.
                Err(OpenError::Io { .. }) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            disk = match random.below(4) {
                0 => disk.kill_image(),
                _ => disk.crash_image(|| random.next()),
            };
        }
        let store = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        model.check(&store, acknowledged).unwrap();
    }
}

/// Default: 60. `DGEN_CRASH_SEEDS` asks for more.
fn seeds() -> u64 {
    std::env::var("DGEN_CRASH_SEEDS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(60)
}

fn run(
    store: &RedbStore,
    model: &mut Model,
    acknowledged: &mut u64,
    random: &mut Random,
    groups: u64,
) {
    for _ in 0..groups {
        let group = random.group(*acknowledged);
        model.push(&group);
        if store.append(&group).is_err() {
            return;
        }
        *acknowledged = group.version;
        if store.apply(&group).is_err() {
            return;
        }
        if random.below(10) == 0 && store.checkpoint().is_err() {
            return;
        }
    }
    if random.below(3) == 0 {
        let _ = store.close();
    }
}

/// SPEC L2: a crash at any disk operation of making a store, filling segments, checkpoints and a
/// close is survived, whatever the disk kept of it.
#[test]
fn every_operation_may_be_the_last() {
    let scenario = |disk: &MemoryDisk, model: &mut Model| -> u64 {
        let mut acknowledged = 0;
        let Ok(store) = open(disk) else { return 0 };
        for version in 1..=8 {
            let group = Group {
                version,
                writes: vec![
                    set(&format!("key{version}"), vec![version as u8; 3000]),
                    set("last", vec![version as u8]),
                ],
            };
            model.push(&group);
            if store.append(&group).is_err() {
                return acknowledged;
            }
            acknowledged = version;
            if store.apply(&group).is_err() {
                return acknowledged;
            }
        }
        let _ = store.close();
        acknowledged
    };
    let whole = MemoryDisk::new();
    assert_eq!(scenario(&whole, &mut Model::new()), 8);
    let operations = whole.operations();
    assert!(
        operations > 60,
        "the scenario has only {operations} operations"
    );
    assert!(whole.bytes("log-00000000000000000001").is_none());

    for stop in 0..operations {
        let disk = MemoryDisk::new();
        disk.stop_after(stop);
        let mut model = Model::new();
        let acknowledged = scenario(&disk, &mut model);
        let mut random = Random(stop);
        let images = [
            disk.kill_image(),
            disk.crash_image(|| 0),
            disk.crash_image(|| random.next()),
            disk.crash_image(|| random.next()),
        ];
        for (index, image) in images.iter().enumerate() {
            let what = format!("operation {stop}, image {index}");
            expect_recovered(image, &model, acknowledged, &what);
        }
    }
}

/// SPEC L2: a crash at any disk operation of a recovery is survived.
#[test]
fn recovery_may_be_interrupted() {
    let disk = MemoryDisk::new();
    let mut model = Model::new();
    let store = open(&disk).unwrap();
    for version in 1..=3 {
        let group = Group {
            version,
            writes: vec![set("key", vec![version as u8; 2000])],
        };
        model.push(&group);
        commit(&store, &group).unwrap();
    }
    // A group that was written in part: a torn tail to clean up.
    let torn = Group {
        version: 4,
        writes: vec![set("torn", vec![7; 3000])],
    };
    model.push(&torn);
    disk.fail_sync_after(0);
    store.append(&torn).unwrap_err();
    let mut draws = [3, 0, 1, 0, 1, 0, 1].into_iter();
    let crashed = disk.crash_image(|| draws.next().unwrap_or(0));

    let whole = crashed.kill_image();
    drop(open(&whole).unwrap());
    for stop in 0..whole.operations() {
        let image = crashed.kill_image();
        image.stop_after(stop);
        let _ = open(&image);
        let mut random = Random(stop);
        for image in [image.kill_image(), image.crash_image(|| random.next())] {
            model.check(&open(&image).unwrap(), 3).unwrap();
        }
    }
}

/// SPEC L2: a group that a killed process wrote and did not flush is not shown to readers before
/// it is durable: it cannot be seen, and then lost to power.
#[test]
fn what_recovery_shows_is_durable() {
    let disk = MemoryDisk::new();
    let store = open(&disk).unwrap();
    let group = Group {
        version: 1,
        writes: vec![set("key", "value")],
    };
    // The write happens, the flush does not: killed in between. The file cache outlives us.
    disk.stop_after(1);
    store.append(&group).unwrap_err();
    drop(store);
    disk.clear_faults();
    let seen = open(&disk).unwrap();
    assert_eq!(rows(&seen).unwrap().len(), 1);
    assert_eq!(open(&disk.crash_image(|| 0)).unwrap().version(), 1);
}
