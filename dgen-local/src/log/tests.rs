//! The log alone: its bytes, and where recovery draws the line.

use std::sync::Arc;

use super::*;
use crate::disk::MemoryDisk;
use crate::store::damage::Damage;

const STORE_ID: u64 = 0x0807_0605_0403_0201;
const SIZE_BYTES: u64 = 16 * 1024;
const FIRST_GROUP: u64 = 4096 + 64;

type Groups = Vec<(u64, Vec<u8>)>;

fn open_from(disk: &MemoryDisk, checkpoint: u64) -> Result<(Log, Groups), RecoveryError> {
    let mut groups = Groups::new();
    let log = Log::open(
        Arc::new(disk.clone()),
        STORE_ID,
        1,
        checkpoint,
        &mut |version, payload| {
            groups.push((version, payload.to_vec()));
            Ok(())
        },
    )?;
    Ok((log, groups))
}

fn new_log() -> (MemoryDisk, Log) {
    let disk = MemoryDisk::new();
    create_first(&disk, STORE_ID, SIZE_BYTES, 1).unwrap();
    let (log, groups) = open_from(&disk, 0).unwrap();
    assert_eq!(groups, Groups::new());
    (disk, log)
}

fn damage(result: Result<(Log, Groups), RecoveryError>) -> Damage {
    match result {
        Err(RecoveryError::Damage(damage)) => damage,
        Err(error) => panic!("{error:?}"),
        Ok((_, groups)) => panic!("recovered {} groups", groups.len()),
    }
}

fn name() -> String {
    segment_name(1)
}

/// SPEC L2: the stored form of a segment, a group and a seal is fixed.
#[test]
fn stored_bytes_are_stable() {
    let (disk, mut log) = new_log();
    log.append(258, b"payload").unwrap();
    assert_eq!(name(), "log-00000000000000000001");
    let bytes = disk.bytes(&name()).unwrap();
    assert_eq!(bytes.len() as u64, SIZE_BYTES);
    assert_eq!(bytes[..16], *b"dgenLOG\0\x01\0\0\0\0\0\0\0");
    assert_eq!(bytes[16..24], STORE_ID.to_le_bytes());
    assert_eq!(bytes[4096..4104], *b"dgR1\x02\0\0\0");
    let group = &bytes[FIRST_GROUP as usize..];
    assert_eq!(group[..16], *b"dgR1\x01\0\0\0\x01\0\0\0\0\0\0\0");
    assert_eq!(group[16..24], [2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(group[24..40], [0; 16]);
    assert_eq!(group[40..48], [7, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(group[56..64], *b"payload\0");
    assert_eq!(group[72..80], *b"dgR1\x02\0\0\0");
    assert!(group[72 + 64..].iter().all(|byte| *byte == 0xFF));
    let whole = xxhash_rust::xxh3::xxh3_64(&bytes);
    assert_eq!(
        whole, 10_613_885_978_680_494_550,
        "the format changed: raise its version"
    );
}

/// SPEC L2: groups come back in order, those before the checkpoint are skipped, and appending
/// goes on behind them.
#[test]
fn groups_come_back_in_order() {
    let (disk, mut log) = new_log();
    log.append(3, b"three").unwrap();
    log.append(7, b"").unwrap();
    let (mut log, groups) = open_from(&disk, 0).unwrap();
    assert_eq!(groups, [(3, b"three".to_vec()), (7, Vec::new())]);
    log.append(8, b"eight").unwrap();
    let (log, groups) = open_from(&disk.crash_image(|| 0), 7).unwrap();
    assert_eq!(groups, [(8, b"eight".to_vec())]);
    assert_eq!(log.version(), 8);
}

/// SPEC L2: each way in which a group's sectors can fail to reach the disk is a torn tail, the
/// group before it stays, and the place is used again.
#[test]
fn every_tear_is_a_torn_tail() {
    let (disk, mut log) = new_log();
    log.append(1, b"first").unwrap();
    let before = disk.kill_image();
    log.append(2, &[5; 2000]).unwrap();
    let written = disk.bytes(&name()).unwrap();
    let start = (FIRST_GROUP + 72 + 64) as usize;
    let end = start + 56 + 2000 + 8;
    let sectors: Vec<(usize, usize)> = (start / 512..end.div_ceil(512))
        .map(|sector| (start.max(sector * 512), end.min((sector + 1) * 512)))
        .collect();
    for kept in 0..1_u32 << sectors.len() {
        let torn = before.kill_image();
        torn.damage(&name(), |bytes| {
            for (index, (from, to)) in sectors.iter().enumerate() {
                if kept & (1 << index) != 0 {
                    bytes[*from..*to].copy_from_slice(&written[*from..*to]);
                }
            }
        });
        let is_whole = kept == (1 << sectors.len()) - 1;
        let (mut log, groups) = open_from(&torn, 0).unwrap();
        assert_eq!(groups.len(), if is_whole { 2 } else { 1 }, "{kept:b}");
        log.append(3, &[6; 900]).unwrap();
        let (_, groups) = open_from(&torn.crash_image(|| 0), 0).unwrap();
        assert_eq!(groups.last(), Some(&(3, vec![6; 900])), "{kept:b}");
    }
}

/// SPEC L2: after power loss took the last seal, a change in the last group is still told from a
/// tear.
#[test]
fn damage_to_an_unsealed_group_is_reported() {
    let (disk, mut log) = new_log();
    log.append(1, &[5; 2000]).unwrap();
    let disk = disk.crash_image(|| 0);
    for offset in FIRST_GROUP..FIRST_GROUP + 56 + 2000 + 8 {
        let image = disk.kill_image();
        image.flip_bit(&name(), offset, 2);
        assert_eq!(damage(open_from(&image, 0)).offset, FIRST_GROUP);
    }
}

/// SPEC L2: a group that is missing from the middle, or repeated, is reported.
#[test]
fn the_chain_of_versions_is_checked() {
    let (disk, mut log) = new_log();
    for version in 1..=3 {
        log.append(version, b"12345678").unwrap();
    }
    let stride = 72 + 64;
    let image = disk.kill_image();
    image.damage(&name(), |bytes| {
        let second = (FIRST_GROUP + stride) as usize;
        bytes.copy_within(FIRST_GROUP as usize..second, second);
    });
    assert_eq!(damage(open_from(&image, 0)).offset, FIRST_GROUP + stride);
    let past_the_end = damage(open_from(&disk, 9));
    assert!(
        past_the_end.what.contains("before the checkpoint"),
        "{past_the_end}"
    );
}

/// SPEC L2: bytes of a log inside a user's value are not taken for a record.
#[test]
fn a_copy_of_the_log_in_a_value_is_not_a_record() {
    let (disk, mut log) = new_log();
    log.append(1, b"first").unwrap();
    let copy = disk.bytes(&name()).unwrap()[4096..4096 + 1024].to_vec();
    let before = disk.kill_image();
    log.append(2, &copy).unwrap();
    let written = disk.bytes(&name()).unwrap();
    let start = (FIRST_GROUP + 72 + 64) as usize;
    // The first sector of the group is lost, the copies in the later ones are not.
    let torn = before.kill_image();
    torn.damage(&name(), |bytes| {
        let second = (start / 512 + 1) * 512;
        let end = start + 56 + copy.len() + 8;
        bytes[second..end].copy_from_slice(&written[second..end]);
    });
    assert_eq!(open_from(&torn, 0).unwrap().1.len(), 1);
}

/// SPEC L2: a segment that was used is not mistaken for a leftover.
#[test]
fn used_segments_are_not_leftovers() {
    let disk = MemoryDisk::new();
    create_first(&disk, STORE_ID, SIZE_BYTES, 1).unwrap();
    check_is_unused(&disk, 1).unwrap();
    let (mut log, _) = open_from(&disk, 0).unwrap();
    log.append(1, b"x").unwrap();
    assert!(matches!(
        check_is_unused(&disk, 1),
        Err(RecoveryError::Damage(_))
    ));
    assert_eq!(list_segments(&disk).unwrap(), [1]);
}

/// SPEC L2: a seal tells damage from a tear where the sectors alone cannot: in an acknowledged
/// group, sectors that were blanked are damage.
#[test]
fn blanked_sectors_of_a_sealed_group_are_reported() {
    let (disk, mut log) = new_log();
    log.append(1, &[5; 3000]).unwrap();
    for (from, to) in [(FIRST_GROUP, 4608), (4608, 5120), (5120, 6656)] {
        let image = disk.kill_image();
        image.damage(&name(), |bytes| {
            bytes[from as usize..to as usize].fill(0xFF);
        });
        assert_eq!(damage(open_from(&image, 0)).offset, FIRST_GROUP);
    }
}
