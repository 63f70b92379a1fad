//! What the layer above relies on, without faults.

use super::*;
use crate::disk::{CountingDisk, Disk};

fn page(
    snapshot: &impl BaseSnapshot,
    is_reverse: bool,
    limit_rows: usize,
    limit_bytes: usize,
) -> (Vec<String>, bool) {
    let found = snapshot
        .range(&RangeRequest {
            begin: b"b",
            end: b"e",
            is_reverse,
            limit_rows,
            limit_bytes,
        })
        .unwrap();
    let keys = found
        .rows
        .iter()
        .map(|(key, _)| String::from_utf8(key.to_vec()).unwrap())
        .collect();
    (keys, found.has_more)
}

fn abcde() -> Group {
    Group {
        version: 1,
        writes: ["a", "b", "c", "d", "e"]
            .into_iter()
            .map(|key| set(key, "value"))
            .collect(),
    }
}

/// SPEC L1: ranges are ordered both ways, half open, and come in pages.
#[test]
fn ranges_come_in_pages_both_ways() {
    let store = RedbStore::in_memory();
    commit(&store, &abcde()).unwrap();
    let snapshot = store.snapshot().unwrap();
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let all = usize::MAX;
    assert_eq!(
        page(&snapshot, false, all, all),
        (owned(&["b", "c", "d"]), false)
    );
    assert_eq!(
        page(&snapshot, true, all, all),
        (owned(&["d", "c", "b"]), false)
    );
    assert_eq!(
        page(&snapshot, false, 3, all),
        (owned(&["b", "c", "d"]), false)
    );
    assert_eq!(page(&snapshot, false, 2, all), (owned(&["b", "c"]), true));
    assert_eq!(page(&snapshot, true, all, 1), (owned(&["d"]), true));
    assert_eq!(page(&snapshot, true, all, 7), (owned(&["d", "c"]), true));
    let inverted = RangeRequest {
        begin: b"e",
        end: b"b",
        is_reverse: false,
        limit_rows: all,
        limit_bytes: all,
    };
    assert_eq!(snapshot.range(&inverted).unwrap(), RangeRows::default());
}

/// SPEC L1: a snapshot stays at its version while groups are applied, in memory and on disk.
#[test]
fn snapshots_are_isolated() {
    let disk = MemoryDisk::new();
    for store in [RedbStore::in_memory(), open(&disk).unwrap()] {
        commit(&store, &abcde()).unwrap();
        let before = store.snapshot().unwrap();
        let group = Group {
            version: 9,
            writes: vec![
                set("b", "new"),
                Write::ClearRange {
                    begin: Bytes::from_static(b"c"),
                    end: Bytes::from_static(b"e"),
                },
                set("d", "again"),
                Write::Clear {
                    key: Bytes::from_static(b"absent"),
                },
            ],
        };
        store.append(&group).unwrap();
        assert_eq!(store.version(), 1);
        store.apply(&group).unwrap();
        store.checkpoint().unwrap();
        let after = store.snapshot().unwrap();
        assert_eq!((before.version(), after.version()), (1, 9));
        assert_eq!(before.get(b"b").unwrap().unwrap(), "value");
        assert_eq!(before.get(b"c").unwrap().unwrap(), "value");
        assert_eq!(after.get(b"b").unwrap().unwrap(), "new");
        assert_eq!(after.get(b"c").unwrap(), None);
        assert_eq!(after.get(b"d").unwrap().unwrap(), "again");
    }
}

/// SPEC L2: random groups with closes, drops and kills in between end as in the model.
#[test]
fn random_groups_match_the_model() {
    let mut random = Random(7);
    let mut disk = MemoryDisk::new();
    let mut model = Model::new();
    for _life in 0..12 {
        let store = open(&disk).unwrap();
        model.check(&store, model.latest().0).unwrap();
        for _ in 0..random.below(30) {
            let group = random.group(store.version());
            model.push(&group);
            commit(&store, &group).unwrap();
        }
        model.check(&store, model.latest().0).unwrap();
        match random.below(3) {
            0 => store.close().unwrap(),
            1 => disk = disk.kill_image(),
            _ => {}
        }
    }
}

/// SPEC L3: a group costs exactly one flush.
#[test]
fn a_group_costs_one_flush() {
    let disk = CountingDisk::new(Arc::new(MemoryDisk::new()));
    let store = RedbStore::open_on(Arc::new(disk.clone()), &small()).unwrap();
    for version in 1..=20 {
        let group = Group {
            version,
            writes: vec![set("key", vec![0; 100])],
        };
        let before = disk.counts().syncs;
        commit(&store, &group).unwrap();
        assert_eq!(disk.counts().syncs - before, 1);
    }
}

/// SPEC L2: a clean close leaves nothing to replay, and the log does not grow for ever.
#[test]
fn segments_are_replaced_and_closed() {
    let disk = MemoryDisk::new();
    let store = open(&disk).unwrap();
    for version in 1..=50 {
        let group = Group {
            version,
            writes: vec![set("key", vec![version as u8; 2000])],
        };
        commit(&store, &group).unwrap();
        let logs = disk
            .list()
            .unwrap()
            .iter()
            .filter(|name| name.starts_with("log-"))
            .count();
        assert_eq!(logs, 1);
    }
    let big = Group {
        version: 51,
        writes: vec![set("big", vec![1; 200_000])],
    };
    commit(&store, &big).unwrap();
    store.close().unwrap();
    assert!(matches!(store.snapshot(), Err(StoreError::Closed { .. })));
    let store = open(&disk).unwrap();
    assert_eq!(store.version(), 51);
    assert_eq!(rows(&store).unwrap().len(), 2);
}

/// SPEC L4: space that groups gave up is used again.
#[test]
fn cleared_space_comes_back() {
    let disk = MemoryDisk::new();
    let store = open(&disk).unwrap();
    let mut version = 0;
    let mut size_bytes = Vec::new();
    for _round in 0..6 {
        for step in 0..40 {
            version += 1;
            let group = Group {
                version,
                writes: vec![
                    set(&format!("{version:08}"), vec![1; 20_000]),
                    Write::ClearRange {
                        begin: Bytes::new(),
                        end: Bytes::from(format!("{:08}", version.saturating_sub(10))),
                    },
                ],
            };
            commit(&store, &group).unwrap();
            if step % 10 == 0 {
                store.checkpoint().unwrap();
            }
        }
        size_bytes.push(disk.bytes("data").unwrap().len());
    }
    assert!(size_bytes[5] <= size_bytes[1] * 2, "{size_bytes:?}");
}

/// SPEC L1: two opens of one directory clash, and a close frees it.
#[test]
fn a_directory_is_open_once() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("store");
    let store = RedbStore::open(&path, &small(), |disk| disk).unwrap();
    commit(&store, &abcde()).unwrap();
    let Err(error) = RedbStore::open(&path, &small(), |disk| disk) else {
        panic!("opened twice");
    };
    assert!(
        matches!(&error, OpenError::InUse { path: named, pid: Some(_) } if *named == path),
        "{error}"
    );
    store.close().unwrap();
    let again = RedbStore::open(&path, &small(), |disk| disk).unwrap();
    assert_eq!(rows(&again).unwrap().len(), 5);

    let file = temporary.path().join("file");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(
        RedbStore::open(&file, &small(), |disk| disk),
        Err(OpenError::NotADirectory { path }) if path == file
    ));
    assert!(matches!(
        RedbStore::open(&file.join("below"), &small(), |disk| disk),
        Err(OpenError::NotADirectory { .. })
    ));
}

/// SPEC L1: a file of another program, or of a later version, is named and left alone.
#[test]
fn unknown_formats_are_refused() {
    let disk = MemoryDisk::new();
    let file = disk.open("data", true).unwrap();
    file.write_at(0, b"SQLite format 3\0").unwrap();
    assert!(matches!(open(&disk), Err(OpenError::UnknownFormat { .. })));
    assert_eq!(disk.bytes("data").unwrap(), b"SQLite format 3\0");
}
