//! The files of an embedded store: a real one, parts of which are overwritten, with checksums that are
//! put right where the first byte of the input says so. Checksums find damage; they keep out nobody
//! who computes them.
//!
//! docs/wire-format.md describes the files, and this is written from it.

use std::sync::{Arc, LazyLock};

use dgen_backend::{Database, Error, KeyRange};
use dgen_local::{Options, disk::MemoryDisk};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::{block_on, hush, patches};

const DATA: &str = "data";
const LOG: &str = "log-00000000000000000001";
const K1: u64 = 0x9E37_79B9_7F4A_7C15;
const K2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const BLOCKS_OFFSET: usize = 20_480;
const STRIDE_BYTES: usize = 4_104;

/// A store that was killed, so that its log is needed.
static KILLED: LazyLock<MemoryDisk> = LazyLock::new(|| {
    block_on(async {
        let disk = MemoryDisk::new();
        let db = options().open_on(Arc::new(disk.clone())).unwrap();
        for number in 0..8u8 {
            set(&db, &[number], &[number; 300]).await.unwrap();
        }
        let clear = db.transact(async |tx| tx.clear_range(&KeyRange::new([2], [4])));
        clear.await.unwrap();
        disk.kill_image()
    })
});

fn options() -> Options {
    Options::default()
        .segment_size_bytes(1 << 14)
        .cache_size_bytes(1 << 20)
}

async fn set(db: &Database, key: &[u8], value: &[u8]) -> Result<(), Error> {
    db.transact(async |tx| tx.set(key, value)).await
}

pub(crate) fn run_log(data: &[u8]) {
    run(LOG, data, seal_log);
}

pub(crate) fn run_data(data: &[u8]) {
    run(DATA, data, seal_data);
}

fn run(name: &str, data: &[u8], seal: fn(&mut [u8])) {
    hush();
    let Some((mode, patches)) = data.split_first() else {
        return;
    };
    let disk = KILLED.kill_image();
    disk.damage(name, |file| {
        // Shorter, too.
        if mode & 2 != 0 {
            let (len, _) = patches.split_first_chunk().unwrap_or((&[0; 2], patches));
            file.truncate(usize::from(u16::from_le_bytes(*len)));
        }
        patches::apply(patches, file);
        if mode & 1 != 0 {
            seal(file);
        }
    });
    block_on(async {
        let Ok(db) = options().open_on(Arc::new(disk.clone())) else {
            return;
        };
        // What is found may be anything; it is read, or said to be damaged.
        let read = db.transact(async |tx| tx.collect_range(KeyRange::new([], [0xff])).await);
        let Ok(rows) = read.await else {
            return;
        };
        if set(&db, b"after", b"value").await.is_err() {
            return;
        }
        drop(db);
        let Ok(db) = options().open_on(Arc::new(disk)) else {
            return;
        };
        let tx = db.begin().unwrap();
        if let Ok(again) = tx.collect_range(KeyRange::new([], [0xff])).await {
            let others = again.iter().filter(|row| row.key != b"after"[..]);
            let before = rows.iter().filter(|row| row.key != b"after"[..]);
            assert!(
                others.eq(before),
                "it reads otherwise when it is opened anew"
            );
        }
    });
}

fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    file.get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}

fn put(file: &mut [u8], at: usize, checksum: u64) {
    if let Some(place) = file.get_mut(at..at + 8) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
}

fn seal_header(file: &mut [u8]) {
    if let Some(header) = file.get(..4_088) {
        let checksum = xxh3_64_with_seed(header, 0);
        put(file, 4_088, checksum);
    }
}

/// Puts the header right, and each record that begins where one did.
fn seal_log(file: &mut [u8]) {
    seal_header(file);
    let (Some(store_id), Some(sequence)) = (u64_at(file, 16), u64_at(file, 24)) else {
        return;
    };
    let mut at = 4_096;
    while file.get(at..at + 4) == Some(b"dgR1") && file.len() >= at + 64 {
        let seed = store_id ^ sequence.wrapping_mul(K1) ^ (at as u64).wrapping_mul(K2);
        let checksum = xxh3_64_with_seed(&file[at..at + 48], seed);
        put(file, at + 48, checksum);
        let len = u64_at(file, at + 40).unwrap_or(0) as u32 as usize;
        let end = at + 56 + len.next_multiple_of(8);
        let Some(record) = file.get(at..end) else {
            return;
        };
        let checksum = xxh3_64_with_seed(record, seed);
        put(file, end, checksum);
        at = end + 8;
    }
}

/// Puts the header, the copies of block 0, and each block right.
fn seal_data(file: &mut [u8]) {
    seal_header(file);
    let Some(store_id) = u64_at(file, 16) else {
        return;
    };
    for at in [4_096, 12_288] {
        if let Some(slot) = file.get(at..at + 4_160) {
            let mut hash = Xxh3::with_seed(store_id ^ K1);
            hash.update(&slot[..56]);
            hash.update(&slot[64..]);
            let checksum = hash.digest();
            put(file, at + 56, checksum);
        }
    }
    let mut at = BLOCKS_OFFSET;
    for number in 1u64.. {
        let Some(block) = file.get(at..at + 4_096) else {
            return;
        };
        let seed = store_id ^ (number + 1).wrapping_mul(K1);
        let checksum = xxh3_64_with_seed(block, seed);
        put(file, at + 4_096, checksum);
        at += STRIDE_BYTES;
    }
}

/// Each with checksums as they are and put right: a byte in the header, in the first record or block,
/// and the file cut.
fn seeds(places: [(u32, &[u8]); 3]) -> Vec<(&'static str, Vec<u8>)> {
    let mut patches = vec![0];
    for (at, bytes) in places {
        patches.extend(patches::encode(at, bytes));
    }
    let sealed = [&[1], &patches[1..]].concat();
    let cut = [&[3, 0, 48], &patches[1..]].concat();
    vec![
        ("damaged", patches),
        ("sealed", sealed),
        ("cut", cut),
        ("sound", vec![1]),
    ]
}

pub(crate) fn log_seeds() -> Vec<(&'static str, Vec<u8>)> {
    seeds([(32, &[0, 16]), (4_136, &[9]), (4_217, &[200, 1])])
}

pub(crate) fn data_seeds() -> Vec<(&'static str, Vec<u8>)> {
    seeds([(4_112, &[0, 32]), (4_160, b"redb"), (20_482, &[255, 1])])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str) -> Vec<u8> {
        KILLED.bytes(name).unwrap()
    }

    /// What is put right here is what docs/wire-format.md says.
    #[test]
    fn sealing_a_sound_file_changes_nothing() {
        for (name, seal) in [(LOG, seal_log as fn(&mut [u8])), (DATA, seal_data)] {
            let mut sealed = sample(name);
            if name == LOG {
                seal(&mut sealed);
                assert!(sealed == sample(name), "{name}");
            } else {
                // Blocks that were never written have no checksum yet.
                let header = BLOCKS_OFFSET + STRIDE_BYTES;
                seal(&mut sealed);
                assert!(sealed[..header] == sample(name)[..header], "{name}");
            }
        }
    }
}
