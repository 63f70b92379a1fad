//! Flushes that fail and disks that are full.

use super::*;
use crate::disk::Disk;

fn group(version: u64) -> Group {
    Group {
        version,
        writes: vec![set(&format!("key{version}"), vec![version as u8; 1000])],
    }
}

/// SPEC L2: after a failed flush nothing is retried; the store says why it is closed.
#[test]
fn failed_flush_closes_the_store() {
    let disk = MemoryDisk::new();
    let store = open(&disk).unwrap();
    commit(&store, &group(1)).unwrap();
    let snapshot = store.snapshot().unwrap();
    disk.fail_sync_after(0);
    let error = store.append(&group(2)).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");

    let operations = disk.operations();
    let is_closed = |result: Result<(), StoreError>| matches!(result, Err(StoreError::Closed { reason }) if reason.contains("log-"));
    assert!(is_closed(store.apply(&group(2))));
    assert!(is_closed(store.append(&group(3))));
    assert!(is_closed(store.checkpoint()));
    assert!(is_closed(store.close()));
    assert!(is_closed(store.snapshot().map(drop)));
    assert!(is_closed(snapshot.get(b"key1").map(drop)));
    drop((snapshot, store));
    assert_eq!(disk.operations(), operations, "a closed store wrote");

    let store = open(&disk.crash_image(|| 0)).unwrap();
    assert_eq!(store.version(), 1);
}

/// SPEC L2: every flush of a run may fail; the store is closed, and what was acknowledged stays.
#[test]
fn any_flush_may_fail() {
    for failing in 0.. {
        let disk = MemoryDisk::new();
        disk.fail_sync_after(failing);
        let mut model = Model::new();
        let mut acknowledged = 0;
        let mut failures = 0;
        if let Ok(store) = open(&disk) {
            for version in 1..=16 {
                model.push(&group(version));
                match commit(&store, &group(version)) {
                    Ok(()) => acknowledged = version,
                    Err(_) => failures += 1,
                }
            }
            if store.close().is_err() {
                failures += 1;
            }
        } else {
            failures += 1;
        }
        let mut random = Random(failing);
        let image = disk.crash_image(|| random.next());
        model.check(&open(&image).unwrap(), acknowledged).unwrap();
        if failures == 0 {
            assert!(failing > 20, "only {failing} flushes in the run");
            return;
        }
    }
}

/// SPEC L2: a full disk is told from other errors wherever it strikes, and the store is whole
/// once there is room again.
#[test]
fn full_disk_is_named_and_survived() {
    let mut struck = 0;
    for room in (0..200).map(|step| step * 1500) {
        let disk = MemoryDisk::new();
        drop(open(&disk).unwrap());
        disk.fill_after_bytes(room);
        let mut model = Model::new();
        let mut acknowledged = 0;
        match open(&disk) {
            Err(error) => assert!(matches!(error, OpenError::NoSpace { .. }), "{error}"),
            Ok(store) => {
                for version in 1..=40 {
                    model.push(&group(version));
                    if let Err(error) = commit(&store, &group(version)) {
                        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
                        struck += 1;
                        break;
                    }
                    acknowledged = version;
                }
            }
        }
        disk.clear_faults();
        for image in [disk.kill_image(), disk.crash_image(|| 0)] {
            let store = open(&image).unwrap();
            model.check(&store, acknowledged).unwrap();
            commit(&store, &group(store.version() + 1)).unwrap();
        }
    }
    assert!(struck > 20, "the disk was full only {struck} times");
}

/// SPEC L2: groups out of order are refused.
#[test]
fn versions_must_increase() {
    let store = open(&MemoryDisk::new()).unwrap();
    commit(&store, &group(5)).unwrap();
    store.append(&group(5)).unwrap_err();
    assert!(matches!(
        store.append(&group(6)),
        Err(StoreError::Closed { .. })
    ));

    let disk = MemoryDisk::new();
    let store = open(&disk).unwrap();
    store.append(&group(1)).unwrap();
    store.append(&group(2)).unwrap_err();
    assert!(disk.exists("data").unwrap());
}
