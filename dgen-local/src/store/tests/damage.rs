//! Damage at every kind of place: it is reported, or it did no harm.
//!
//! Three states are damaged: one closed cleanly, one killed, and one that lost power right after
//! its last group was acknowledged, so that the seal of that group never reached the disk.
//!
//! Bytes that may change without harm, and why:
//! - the fill of a log segment behind the last record: nothing was written there;
//! - a seal: the groups around it stand for themselves;
//! - one copy of the data file's header block if the other is as new, and the gap behind each;
//! - blocks of the data file that the last checkpoint does not reach.

use super::*;
use crate::disk::Disk;

const LOG: &str = "log-00000000000000000001";
const LOG_HEADER_BYTES: u64 = 4096;

struct Sample {
    name: &'static str,
    disk: MemoryDisk,
    model: Model,
    acknowledged: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Reported, with the file and the place.
    Reported,
    /// Everything acknowledged is there.
    Harmless,
}

fn samples() -> Vec<Sample> {
    ["closed", "killed", "lost power"]
        .into_iter()
        .map(|name| {
            let disk = MemoryDisk::new();
            let store = open(&disk).unwrap();
            let mut model = Model::new();
            for version in 1..=5 {
                let group = Group {
                    version,
                    writes: vec![
                        set("first", vec![version as u8; 40]),
                        set(&format!("key{version}"), vec![0x40 + version as u8; 700]),
                        Write::Clear {
                            key: Bytes::from_static(b"key2"),
                        },
                    ],
                };
                model.push(&group);
                commit(&store, &group).unwrap();
                if version == 3 {
                    store.checkpoint().unwrap();
                }
            }
            let disk = match name {
                "closed" => {
                    store.close().unwrap();
                    disk.crash_image(|| 0)
                }
                "killed" => disk.kill_image(),
                _ => disk.crash_image(|| 0),
            };
            Sample {
                name,
                disk,
                model,
                acknowledged: 5,
            }
        })
        .collect()
}

impl Sample {
    /// What happens after `damage`; fails the test if anything is wrong or missing silently.
    fn outcome(&self, place: &str, damage: impl FnOnce(&MemoryDisk)) -> Outcome {
        let disk = self.disk.kill_image();
        damage(&disk);
        let store = match open(&disk) {
            Ok(store) => store,
            Err(OpenError::Damaged { path, what, .. }) => {
                assert!(path.starts_with("memory") && !what.is_empty());
                return Outcome::Reported;
            }
            Err(error) => panic!("{}, {place}: {error}", self.name),
        };
        match self.model.check(&store, self.acknowledged) {
            Ok(()) => {}
            Err(StoreError::Damaged { .. }) => return Outcome::Reported,
            Err(error) => panic!("{}, {place}: {error}", self.name),
        }
        // What did no harm must not do any later.
        let next = Group {
            version: store.version() + 1,
            writes: vec![set("after", "damage")],
        };
        let committed = commit(&store, &next).and_then(|()| store.close());
        match committed {
            Ok(()) => assert_eq!(open(&disk).unwrap().version(), next.version),
            Err(StoreError::Damaged { .. }) => return Outcome::Reported,
            Err(error) => panic!("{}, {place}: {error}", self.name),
        }
        Outcome::Harmless
    }

    fn flip(&self, name: &str, offset: u64) -> Outcome {
        self.outcome(&format!("bit of {name} at {offset}"), |disk| {
            disk.flip_bit(name, offset, (offset % 7) as u8);
        })
    }

    fn zero(&self, name: &str, offset: u64, count: u64) -> Outcome {
        self.outcome(&format!("{count} zeros in {name} at {offset}"), |disk| {
            disk.zero(name, offset, count);
        })
    }

    fn truncate(&self, name: &str, len: u64) -> Outcome {
        self.outcome(&format!("{name} cut to {len}"), |disk| {
            disk.truncate(name, len)
        })
    }

    /// Where the groups are in the log: the start and the end of each.
    fn groups(&self) -> Vec<(u64, u64)> {
        let bytes = self.disk.bytes(LOG).unwrap();
        (0..bytes.len() - 8)
            .step_by(8)
            .filter(|start| bytes[*start..].starts_with(b"dgR1\x01"))
            .map(|start| {
                let payload = u32::from_le_bytes(bytes[start + 40..start + 44].try_into().unwrap());
                let end = start + 56 + payload.next_multiple_of(8) as usize + 8;
                (start as u64, end as u64)
            })
            .collect()
    }

    /// Whether both copies of the header block are the newest. The second is written without a
    /// flush, so power loss may take it; damage to the first then leaves an older header, which
    /// the log gives away.
    fn has_two_copies(&self) -> bool {
        self.name != "lost power"
    }

    fn written_end(&self) -> u64 {
        let bytes = self.disk.bytes(LOG).unwrap();
        bytes.iter().rposition(|byte| *byte != 0xFF).unwrap() as u64 + 1
    }
}

/// SPEC L2: a changed bit in any group of the log, the last included, is reported.
#[test]
fn flipped_bits_in_groups_are_reported() {
    for sample in samples() {
        let groups = sample.groups();
        assert_eq!(groups.len(), 5);
        for (start, end) in groups {
            let inside = (start..end).step_by(5);
            for offset in (start..start + 56).chain(inside).chain(end - 8..end) {
                let outcome = sample.flip(LOG, offset);
                assert_eq!(outcome, Outcome::Reported, "{}, {offset}", sample.name);
            }
        }
    }
}

/// SPEC L2: a changed bit in the header of a log segment is reported; one in a seal or in the
/// fill does no harm, or is reported.
#[test]
fn flipped_bits_around_groups_do_no_harm() {
    for sample in samples() {
        for offset in (0..LOG_HEADER_BYTES).step_by(41) {
            assert_eq!(sample.flip(LOG, offset), Outcome::Reported, "{offset}");
        }
        for (start, end) in sample.groups() {
            for offset in (start - 64..start).chain(end..end + 64) {
                sample.flip(LOG, offset);
            }
        }
        let len = sample.disk.bytes(LOG).unwrap().len() as u64;
        for offset in (sample.written_end() + 600..len).step_by(97) {
            assert_eq!(sample.flip(LOG, offset), Outcome::Harmless, "{offset}");
        }
    }
}

/// SPEC L2: zeros over any part of a group are reported.
#[test]
fn zeros_in_the_log_are_reported() {
    for sample in samples() {
        let groups = sample.groups();
        let (_, last_end) = groups[groups.len() - 1];
        for count in [8, 64, 512, 4096] {
            for offset in (0..last_end).step_by(193) {
                let touches = |(start, end): &(u64, u64)| offset < *end && offset + count > *start;
                let outcome = sample.zero(LOG, offset, count);
                if groups.iter().any(touches) {
                    let place = format!("{}, {count} at {offset}", sample.name);
                    assert_eq!(outcome, Outcome::Reported, "{place}");
                }
            }
        }
        for (start, _) in groups {
            assert_eq!(sample.zero(LOG, start, 8), Outcome::Reported);
        }
    }
}

/// SPEC L2: a log or a data file that was cut at any length is reported.
#[test]
fn cut_files_are_reported() {
    for sample in samples() {
        for name in [LOG, "data"] {
            let len = sample.disk.bytes(name).unwrap().len() as u64;
            let step = len / 60 + 1;
            for cut in (0..len).step_by(step as usize).chain([len - 1]) {
                assert_eq!(
                    sample.truncate(name, cut),
                    Outcome::Reported,
                    "{}, {name} cut to {cut}",
                    sample.name
                );
            }
        }
    }
}

/// SPEC L2: a missing file of a store is reported, and no empty store takes its place.
#[test]
fn missing_files_are_reported() {
    for sample in samples() {
        for name in [LOG, "data"] {
            let outcome = sample.outcome(name, |disk| disk.remove(name).unwrap());
            assert_eq!(outcome, Outcome::Reported, "{}, {name}", sample.name);
        }
    }
}

/// SPEC L2: a changed bit anywhere in the data file is reported or does no harm, and in a block
/// that holds rows it is reported.
#[test]
fn flipped_bits_in_the_data_file_are_found() {
    for sample in samples() {
        let bytes = sample.disk.bytes("data").unwrap();
        let mut reported = 0;
        for offset in (0..4096).step_by(53) {
            assert_eq!(sample.flip("data", offset), Outcome::Reported, "{offset}");
        }
        for offset in (4096..20480).step_by(101) {
            let outcome = sample.flip("data", offset);
            if sample.has_two_copies() {
                assert_eq!(outcome, Outcome::Harmless, "{}, {offset}", sample.name);
            }
        }
        for block in (20480..bytes.len()).step_by(4104) {
            let stored = &bytes[block..block + 4104];
            if stored.iter().all(|byte| *byte == 0) {
                continue;
            }
            for inside in [0, 17, 2049, 4095, 4096, 4103] {
                let outcome = sample.flip("data", (block + inside) as u64);
                reported += usize::from(outcome == Outcome::Reported);
            }
        }
        assert!(reported > 12, "{}: only {reported} reported", sample.name);
    }
}

/// SPEC L2: zeros anywhere in the data file are reported or do no harm.
#[test]
fn zeros_in_the_data_file_are_found() {
    for sample in samples() {
        let len = sample.disk.bytes("data").unwrap().len() as u64;
        assert_eq!(sample.zero("data", 4096, 16384), Outcome::Reported);
        let mut reported = 0;
        for (count, step) in [(4104, 4104), (40_000, 39_000)] {
            for offset in (20480..len).step_by(step) {
                let outcome = sample.zero("data", offset, count);
                reported += usize::from(outcome == Outcome::Reported);
            }
        }
        assert!(reported > 3, "{}: only {reported} reported", sample.name);
        for offset in [4096, 12288] {
            let outcome = sample.zero("data", offset, 4160);
            if sample.has_two_copies() {
                assert_eq!(outcome, Outcome::Harmless, "{}, {offset}", sample.name);
            }
        }
    }
}

/// SPEC L2: a block that another store, or another place, wrote is reported.
#[test]
fn misplaced_blocks_are_reported() {
    for sample in samples() {
        let bytes = sample.disk.bytes("data").unwrap();
        let written: Vec<usize> = (20480..bytes.len())
            .step_by(4104)
            .filter(|block| bytes[*block..block + 4104].iter().any(|byte| *byte != 0))
            .collect();
        let mut reported = 0;
        for pair in written.windows(2) {
            let outcome = sample.outcome("moved block", |disk| {
                disk.damage("data", |data| {
                    data.copy_within(pair[0]..pair[0] + 4104, pair[1])
                });
            });
            reported += usize::from(outcome == Outcome::Reported);
        }
        assert!(reported > 1, "{}: only {reported} reported", sample.name);
    }
}

/// SPEC L2: a data file from before the last checkpoint, under a log from after it, is reported
/// and not rolled back to.
#[test]
fn older_data_file_is_reported() {
    let disk = MemoryDisk::new();
    let store = open(&disk).unwrap();
    let group = |version| Group {
        version,
        writes: vec![set("key", vec![version as u8; 500])],
    };
    commit(&store, &group(1)).unwrap();
    let older = disk.bytes("data").unwrap();
    let older_log = disk.bytes(LOG).unwrap();
    store.checkpoint().unwrap();
    commit(&store, &group(2)).unwrap();
    let same_segment = disk.kill_image();
    same_segment.damage("data", |bytes| *bytes = older.clone());
    assert!(matches!(
        open(&same_segment),
        Err(OpenError::Damaged { .. })
    ));

    for version in 3..60 {
        commit(&store, &group(version)).unwrap();
    }
    let later_segment = disk.kill_image();
    later_segment.damage("data", |bytes| *bytes = older);
    assert!(matches!(
        open(&later_segment),
        Err(OpenError::Damaged { .. })
    ));

    // Even with its own log back, it must not hide the groups in the later segment.
    let log = later_segment.open(LOG, true).unwrap();
    log.write_at(0, &older_log).unwrap();
    assert!(matches!(
        open(&later_segment),
        Err(OpenError::Damaged { .. })
    ));
}
