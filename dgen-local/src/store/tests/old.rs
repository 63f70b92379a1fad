//! Stores as the first version of dgen left them, which checkpointed the tree before it went on in the next segment:
//! they open, with all that was acknowledged. The files beside this one are never written anew.
//!
//! Each line is `file NAME LENGTH FILL`, or bytes at an offset, or one byte at an offset so many times.

use super::*;
use crate::disk::Disk;

/// A disk with the files that `text` describes, and the version that was acknowledged last.
fn disk(text: &str) -> (MemoryDisk, u64) {
    let disk = MemoryDisk::new();
    let mut acknowledged = None;
    let mut name = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["version", version] => acknowledged = version.parse().ok(),
            ["file", named, len, fill] => {
                named.clone_into(&mut name);
                let file = disk.open(named, true).unwrap();
                let bytes = vec![u8::from_str_radix(fill, 16).unwrap(); len.parse().unwrap()];
                file.write_at(0, &bytes).unwrap();
            }
            [offset, byte, count] => {
                let byte = u8::from_str_radix(byte, 16).unwrap();
                write(&disk, &name, offset, &vec![byte; count.parse().unwrap()]);
            }
            [offset, bytes] => {
                let bytes: Vec<u8> = (0..bytes.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap())
                    .collect();
                write(&disk, &name, offset, &bytes);
            }
            _ => panic!("{line}"),
        }
    }
    (disk.kill_image(), acknowledged.unwrap())
}

fn write(disk: &MemoryDisk, name: &str, offset: &str, bytes: &[u8]) {
    let offset = u64::from_str_radix(offset, 16).unwrap();
    disk.open(name, false)
        .unwrap()
        .write_at(offset, bytes)
        .unwrap();
}

/// What those stores hold: each group sets a row, clears the one of three groups before, and says its version.
fn model(acknowledged: u64) -> Model {
    let mut model = Model::new();
    for version in 1..=acknowledged + 1 {
        model.push(&Group {
            version,
            writes: vec![
                set(&format!("key{version:02}"), vec![version as u8; 1200]),
                Write::Clear {
                    key: Bytes::from(format!("key{:02}", version.saturating_sub(3))),
                },
                set("last", version.to_string()),
            ],
        });
    }
    model
}

/// SPEC L1, L2: a store that an older dgen left, killed in the middle of its work and killed while it changed its log
/// segment, opens with what was acknowledged, goes on, and is checkpointed.
#[test]
fn stores_of_the_first_version_open() {
    let killed = include_str!("old/killed.txt");
    let switching = include_str!("old/switching.txt");
    for (text, logs) in [(killed, 1), (switching, 2)] {
        let (disk, acknowledged) = disk(text);
        let count = |disk: &MemoryDisk| {
            let names = disk.list().unwrap();
            names.iter().filter(|name| name.starts_with("log-")).count()
        };
        assert_eq!(count(&disk), logs);
        let mut model = model(acknowledged);
        let store = open(&disk).unwrap();
        model.check(&store, acknowledged).unwrap();
        assert_eq!(count(&disk), 1);
        for version in store.version() + 1..store.version() + 40 {
            let group = Group {
                version,
                writes: vec![set("new", vec![version as u8; 1000])],
            };
            model.states.retain(|known, _| *known < version);
            model.push(&group);
            commit(&store, &group).unwrap();
        }
        model.check(&store, store.version()).unwrap();
        store.close().unwrap();
        let store = open(&disk).unwrap();
        model.check(&store, model.latest().0).unwrap();
    }
}
