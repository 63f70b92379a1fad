//! The block file alone, without redb.

use redb::StorageBackend;

use super::*;
use crate::disk::{Disk, MemoryDisk};

const STORE_ID: u64 = 0x0102_0304_0506_0708;

fn create(disk: &MemoryDisk) -> BlockFile {
    let file = disk.open("data", true).unwrap();
    let blocks = BlockFile::create(file, disk.path("data"), STORE_ID).unwrap();
    disk.sync_dir().unwrap();
    blocks
}

fn open(disk: &MemoryDisk) -> Result<BlockFile, HeaderError> {
    BlockFile::open(disk.open("data", false).unwrap(), disk.path("data"))
}

fn read(blocks: &BlockFile, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    blocks.read(offset, &mut bytes)?;
    Ok(bytes)
}

fn damage(error: &io::Error) -> &Damage {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

/// SPEC L2: the stored form of the data file is fixed.
#[test]
fn stored_bytes_are_stable() {
    let disk = MemoryDisk::new();
    let blocks = create(&disk);
    blocks.set_len(2 * 4096).unwrap();
    blocks.write(0, &[0xAA; 320]).unwrap();
    blocks.write(4096, &[0xBB; 4096]).unwrap();
    blocks.sync_data().unwrap();
    let bytes = disk.bytes("data").unwrap();
    assert_eq!(bytes.len(), 20480 + 4104);
    assert_eq!(bytes[..8], *b"dgenDATA");
    assert_eq!(bytes[8..16], [1, 0, 0, 0, 0, 0x10, 0, 0]);
    assert_eq!(bytes[16..24], STORE_ID.to_le_bytes());
    for slot in [&bytes[4096..8256], &bytes[12288..16448]] {
        assert_eq!(slot[..8], *b"dgenSLOT");
        // Once for the length, once for the header.
        assert_eq!(slot[8..16], 2_u64.to_le_bytes());
        assert_eq!(slot[16..24], 8192_u64.to_le_bytes());
        assert_eq!(slot[64..64 + 320], [0xAA; 320]);
    }
    assert_eq!(bytes[20480..24576], [0xBB; 4096]);
    let whole = xxhash_rust::xxh3::xxh3_64(&bytes);
    assert_eq!(
        whole, 6_430_120_941_879_913_863,
        "the format changed: raise its version"
    );
}

/// SPEC L2: what was synced is read back after a reopen, in any pieces.
#[test]
fn reads_back_across_blocks() {
    let disk = MemoryDisk::new();
    let blocks = create(&disk);
    let data: Vec<u8> = (0..4 * 4096_u32).map(|index| (index % 251) as u8).collect();
    blocks.set_len(4 * 4096).unwrap();
    blocks.write(0, &data).unwrap();
    blocks.write(5000, &[9; 100]).unwrap();
    blocks.sync_data().unwrap();
    let mut expected = data;
    expected[5000..5100].fill(9);
    let image = disk.crash_image(|| 0);
    let blocks = open(&image).unwrap();
    assert_eq!(read(&blocks, 0, 4 * 4096).unwrap(), expected);
    assert_eq!(read(&blocks, 4000, 9000).unwrap(), expected[4000..13000]);
    assert_eq!(blocks.len().unwrap(), 4 * 4096);
}

/// SPEC L2: a header write that was torn is as if it had not happened.
#[test]
fn torn_header_writes_never_happened() {
    for seed in 0..64_u64 {
        let disk = MemoryDisk::new();
        let blocks = create(&disk);
        blocks.set_len(4096).unwrap();
        blocks.write(0, &[1; 4096]).unwrap();
        blocks.sync_data().unwrap();
        // Two writes before one flush must not take both copies.
        blocks.write(0, &[2; 4096]).unwrap();
        blocks.write(0, &[3; 4096]).unwrap();
        let mut draws = seed;
        let image = disk.crash_image(|| {
            draws = draws.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed;
            draws >> 32
        });
        let found = read(&open(&image).unwrap(), 0, 4096).unwrap();
        assert!(
            (1..=3).any(|value| found == [value; 4096]),
            "seed {seed}: a mixture"
        );
    }
}

/// SPEC L2: changed, zeroed and never written blocks are reported with their place, and the
/// first report is kept.
#[test]
fn bad_blocks_are_reported_with_their_place() {
    let disk = MemoryDisk::new();
    let blocks = create(&disk);
    blocks.set_len(4 * 4096).unwrap();
    blocks.write(4096, &[1; 2 * 4096]).unwrap();
    blocks.sync_data().unwrap();
    disk.flip_bit("data", 20480 + 4104 + 7, 3);
    let error = read(&blocks, 4096, 2 * 4096).unwrap_err();
    assert_eq!(damage(&error).offset, 20480 + 4104);
    assert!(damage(&error).what.contains("checksum"), "{error}");

    disk.zero("data", 20480, 4104);
    let error = read(&blocks, 4096, 4096).unwrap_err();
    assert_eq!(damage(&error).offset, 20480);
    assert!(damage(&error).what.contains("zeros"), "{error}");
    read(&blocks, 3 * 4096, 4096).unwrap_err();
    let past_end = read(&blocks, 4 * 4096, 4096).unwrap_err();
    assert!(
        damage(&past_end).what.contains("past the end"),
        "{past_end}"
    );

    let Some(Failure::Damage(first)) = blocks.first_failure() else {
        panic!("no damage kept");
    };
    assert_eq!(first.offset, 20480 + 4104);
}

/// SPEC L2: a file shorter than its header says is reported; one that shrank is not.
#[test]
fn length_is_checked_and_may_shrink() {
    let disk = MemoryDisk::new();
    let blocks = create(&disk);
    blocks.set_len(8 * 4096).unwrap();
    blocks.write(0, &[1; 8 * 4096]).unwrap();
    blocks.sync_data().unwrap();
    blocks.set_len(3 * 4096).unwrap();
    for image in [disk.kill_image(), disk.crash_image(|| 0)] {
        let blocks = open(&image).unwrap();
        assert_eq!(read(&blocks, 0, 3 * 4096).unwrap(), [1; 3 * 4096]);
        read(&blocks, 3 * 4096, 1).unwrap_err();
    }
    disk.truncate("data", 20480 + 4104);
    assert!(
        matches!(open(&disk), Err(HeaderError::Damage(damage)) if damage.offset == 20480 + 4104)
    );
}

/// SPEC L2: a stopped file refuses everything and writes nothing.
#[test]
fn stopped_file_refuses_calls() {
    let disk = MemoryDisk::new();
    let blocks = create(&disk);
    blocks.set_len(4096).unwrap();
    let operations = disk.operations();
    blocks.stop();
    blocks.write(0, &[1]).unwrap_err();
    blocks.sync_data().unwrap_err();
    blocks.set_len(9000).unwrap_err();
    read(&blocks, 0, 1).unwrap_err();
    assert_eq!(disk.operations(), operations);
}

/// SPEC L2: a crash while the file grows is survived, whichever of the changes reached the disk.
#[test]
fn growth_may_be_interrupted() {
    let disk = MemoryDisk::new();
    let blocks = create(&disk);
    blocks.set_len(4096).unwrap();
    blocks.write(0, &[1; 4096]).unwrap();
    blocks.sync_data().unwrap();
    blocks.set_len(8 * 4096).unwrap();
    for kept in 0..8_u64 {
        let mut change = 0;
        let image = disk.crash_image(|| {
            change += 1;
            (kept >> (change - 1)) & 1
        });
        let blocks = open(&image).unwrap();
        assert_eq!(read(&blocks, 0, 4096).unwrap(), [1; 4096]);
    }
}
