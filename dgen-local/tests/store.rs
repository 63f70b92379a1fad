//! The embedded store from outside: what survives what, and what is said when something can't.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex},
};

use dgen_backend::{Database, Error, KeyRange};
use dgen_local::{
    OpenError, Options,
    disk::{CountingDisk, MemoryDisk, SlowDisk},
};
use dgen_testkit::Random;
use futures_util::future::join_all;

const FOLDER: &str = "DGEN_HOLD_FOLDER";

async fn set(db: &Database, key: &[u8], value: &[u8]) -> Result<(), Error> {
    db.transact(|tx| std::future::ready(tx.set(key, value)))
        .await
}

async fn get(db: &Database, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let value = db.transact(|tx| async move { tx.get(key).await }).await?;
    Ok(value.map(|value| value.to_vec()))
}

/// SPEC L1, L2: what was committed is there after the store was closed and opened.
#[tokio::test]
async fn commits_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5u8 {
        let db = dgen_local::open(folder.path()).unwrap();
        for earlier in 0..round {
            assert_eq!(
                get(&db, &[b'k', earlier]).await.unwrap(),
                Some(vec![earlier])
            );
        }
        set(&db, &[b'k', round], &[round]).await.unwrap();
    }
}

/// SPEC B3: versionstamps grow over restarts, clean or not.
#[tokio::test]
async fn versionstamps_grow_over_restarts() {
    let mut disk = Arc::new(MemoryDisk::new());
    let mut last = [0; 10];
    for round in 0..6 {
        let db = Options::default().open_on(disk.clone()).unwrap();
        for _ in 0..3 {
            let tx = db.begin().unwrap();
            tx.set(b"key", b"value").unwrap();
            let stamp = tx.versionstamp();
            tx.commit().await.unwrap();
            let stamp = stamp.await.unwrap();
            assert!(stamp > last, "{stamp:?} is not behind {last:?}");
            last = stamp;
        }
        if round % 2 == 0 {
            let killed = disk.kill_image();
            drop(db);
            disk = Arc::new(killed);
        }
    }
}

/// SPEC L2: power is lost in the middle of concurrent commits, again and again: what was
/// acknowledged is there, and each transaction as a whole or not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_loss_keeps_acknowledged_commits_whole() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let disk = Arc::new(MemoryDisk::new());
        let options = Options::default().segment_size_bytes(1 << 16);
        let db = options.open_on(disk.clone()).unwrap();
        // Each writes two keys; the disk stops somewhere among them.
        disk.stop_after(random.below(120) as u64);
        let commits = (0..40u8).map(|number| {
            let db = &db;
            async move {
                let tx = db.begin().ok()?;
                let value = vec![number; 700];
                tx.set(&[b'a', number], &value).unwrap();
                tx.set(&[b'b', number], &value).unwrap();
                tx.commit().await.ok().map(|()| number)
            }
        });
        let acknowledged: Vec<u8> = join_all(commits).await.into_iter().flatten().collect();
        let after = Arc::new(disk.crash_image(|| random.next_u64()));
        drop(db);

        let db = options.open_on(after).unwrap();
        for number in 0..40u8 {
            let value = vec![number; 700];
            let (a, b) = (
                get(&db, &[b'a', number]).await,
                get(&db, &[b'b', number]).await,
            );
            let (a, b) = (a.unwrap(), b.unwrap());
            assert_eq!(a, b, "seed {seed}: transaction {number} is there in part");
            if acknowledged.contains(&number) {
                assert_eq!(a, Some(value), "seed {seed}: acknowledged {number} is lost");
            }
        }
    }
}

/// SPEC L2: a flush that fails closes the store, says so, and is not tried again; what was
/// acknowledged before is there when it is opened anew.
#[tokio::test]
async fn a_failed_flush_closes_the_store() {
    let disk = Arc::new(MemoryDisk::new());
    let counting = Arc::new(CountingDisk::new(disk.clone()));
    let db = Options::default().open_on(counting.clone()).unwrap();
    set(&db, b"before", b"1").await.unwrap();
    let watch = {
        let tx = db.begin().unwrap();
        let watch = tx.watch(b"before").unwrap();
        tx.commit().await.unwrap();
        watch
    };
    disk.fail_sync_after(0);
    let tx = db.begin().unwrap();
    tx.set(b"after", b"2").unwrap();
    let unknown = tx.commit().await.unwrap_err();
    assert!(unknown.maybe_executed(), "{unknown}");
    let flushes = counting.counts().syncs;
    disk.clear_faults();

    let closed = set(&db, b"later", b"3").await.unwrap_err();
    assert!(matches!(closed, Error::Closed { .. }), "{closed}");
    assert!(
        closed.to_string().contains("could not be made durable"),
        "{closed}"
    );
    assert!(matches!(
        get(&db, b"before").await,
        Err(Error::Closed { .. })
    ));
    assert!(matches!(watch.await, Err(Error::Closed { .. })));
    assert_eq!(counting.counts().syncs, flushes, "a flush was tried again");
    drop(db);

    let db = Options::default()
        .open_on(Arc::new(disk.kill_image()))
        .unwrap();
    assert_eq!(get(&db, b"before").await.unwrap(), Some(b"1".to_vec()));
}

/// SPEC L2: a full disk is an error of its own; nothing acknowledged is lost, and with space again
/// the store goes on.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let disk = Arc::new(MemoryDisk::new());
    let options = Options::default().segment_size_bytes(1 << 16);
    let db = options.open_on(disk.clone()).unwrap();
    disk.fill_after_bytes(200_000);
    let mut acknowledged = 0u32;
    let error = loop {
        match set(&db, &acknowledged.to_be_bytes(), &[7; 5_000]).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("no space left"), "{error}");
    drop(db);
    let disk = Arc::new(disk.kill_image());
    disk.clear_faults();
    let db = options.open_on(disk).unwrap();
    for number in 0..acknowledged {
        assert!(
            get(&db, &number.to_be_bytes()).await.unwrap().is_some(),
            "{number} is lost"
        );
    }
    set(&db, b"goes on", b"").await.unwrap();
}

/// SPEC L2: a bit that flipped in the tree is found when it is read, at the latest, by an error that
/// says where.
#[tokio::test]
async fn damage_is_found_when_it_is_read() {
    let disk = Arc::new(MemoryDisk::new());
    let db = Options::default().open_on(disk.clone()).unwrap();
    for number in 0..200u32 {
        set(&db, &number.to_be_bytes(), &[b'v'; 900]).await.unwrap();
    }
    drop(db);
    let bytes = disk.bytes("data").unwrap();
    let is_value = |at: &usize| bytes[*at..].starts_with(&[b'v'; 900]) && bytes[at - 1] != b'v';
    let hits: Vec<usize> = (1..bytes.len()).filter(is_value).step_by(8).collect();
    assert!(hits.len() >= 5, "{hits:?}");
    let mut found_by_reads = 0;
    for hit in hits {
        let disk = Arc::new(disk.kill_image());
        disk.flip_bit("data", hit as u64 + 450, 3);
        let db = match Options::default().open_on(disk) {
            Ok(db) => db,
            Err(OpenError::Damaged { path, .. }) => {
                assert!(path.ends_with("data"));
                continue;
            }
            Err(error) => panic!("{error:?}"),
        };
        let all = KeyRange::new(b"", b"\xff");
        let read = db.transact(|tx| {
            let all = all.clone();
            async move { tx.collect_range(all).await }
        });
        let error: Error = match read.await {
            Ok(rows) => {
                // A page that is free by now: nothing is missing.
                assert_eq!(rows.len(), 200);
                assert!(rows.iter().all(|row| row.value == [b'v'; 900][..]));
                continue;
            }
            Err(error) => error,
        };
        let is_named =
            matches!(&error, Error::Damaged { place, .. } if place.contains("data at byte"));
        assert!(is_named, "{error}");
        found_by_reads += 1;
    }
    assert!(found_by_reads > 0);
}

/// SPEC L3: a commit alone costs exactly one flush.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_alone_costs_one_flush() {
    let disk = Arc::new(CountingDisk::new(Arc::new(MemoryDisk::new())));
    let db = Options::default().open_on(disk.clone()).unwrap();
    let before = disk.counts().syncs;
    for _ in 0..10 {
        set(&db, b"key", b"value").await.unwrap();
    }
    assert_eq!(disk.counts().syncs - before, 10);
}

/// SPEC L3: everything that comes while one flush is under way shares the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_during_a_flush_shares_the_next() {
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let wait = {
        let gate = Arc::clone(&gate);
        move |_| {
            let is_open = gate.0.lock().unwrap();
            drop(gate.1.wait_while(is_open, |is_open| !*is_open).unwrap());
        }
    };
    let memory = Arc::new(MemoryDisk::new());
    let slow = SlowDisk::with_wait(memory, std::time::Duration::ZERO, wait);
    let disk = Arc::new(CountingDisk::new(Arc::new(slow)));
    let db = Options::default().open_on(disk.clone()).unwrap();
    let before = disk.counts().syncs;

    *gate.0.lock().unwrap() = false;
    let keys: Vec<_> = (0..256u16).map(u16::to_be_bytes).collect();
    let begun: Vec<_> = keys
        .iter()
        .map(|key| {
            let tx = db.begin().unwrap();
            tx.set(key, b"value").unwrap();
            // Under way when it returns.
            tx.commit()
        })
        .collect();
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for result in join_all(begun).await {
        result.unwrap();
    }
    let flushes = disk.counts().syncs - before;
    assert!(flushes <= 2, "256 commits took {flushes} flushes");
}

/// SPEC B7: a transaction whose first read is more than five seconds ago does not commit, whether
/// others read meanwhile or not, and though it read nothing that counts.
#[tokio::test]
async fn an_old_snapshot_read_does_not_commit() {
    for others_read in [false, true] {
        let clock = dgen_testkit::MockClock::new(0);
        let db = Options::default().env(clock.env()).in_memory().unwrap();
        let tx = db.begin().unwrap();
        tx.snapshot().get(b"key").await.unwrap();
        clock.advance(std::time::Duration::from_secs(6));
        if others_read {
            db.begin().unwrap().get(b"key").await.unwrap();
        }
        tx.set(b"key", b"value").unwrap();
        let result = tx.commit().await;
        assert!(
            matches!(result, Err(Error::TransactionTooOld)),
            "{result:?}"
        );
    }
}

/// SPEC L1: data far larger than the cache is read back whole.
#[tokio::test]
async fn data_may_be_larger_than_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::default().cache_size_bytes(1 << 20);
    let db = options.open(folder.path()).unwrap();
    let value = |number: u32| vec![number as u8; 90_000];
    for number in 0..300u32 {
        set(&db, &number.to_be_bytes(), &value(number))
            .await
            .unwrap();
    }
    drop(db);
    let db = options.open(folder.path()).unwrap();
    for number in 0..300u32 {
        assert_eq!(
            get(&db, &number.to_be_bytes()).await.unwrap(),
            Some(value(number))
        );
    }
}

/// SPEC B4: too many watches are an error that says so, and those that were dropped make room.
#[tokio::test]
async fn watches_are_bounded_and_dropping_frees_them() {
    let options = Options::default().watches_max(10_000);
    let db = options.in_memory().unwrap();
    let tx = db.begin().unwrap();
    let mut watches: Vec<_> = (0..10_000).map(|_| tx.watch(b"key").unwrap()).collect();
    assert!(matches!(
        tx.watch(b"key"),
        Err(Error::TooManyWatches { limit: 10_000 })
    ));
    tx.commit().await.unwrap();
    watches.truncate(9_999);
    let tx = db.begin().unwrap();
    watches.push(tx.watch(b"key").unwrap());
    tx.commit().await.unwrap();
    set(&db, b"key", b"changed").await.unwrap();
    for watch in watches {
        watch.await.unwrap();
    }
}

/// SPEC L1: a path that is a file, and one below a file.
#[test]
fn a_path_that_is_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = dgen_local::open(&path).unwrap_err();
        assert!(matches!(error, OpenError::NotADirectory { .. }), "{error}");
        assert!(error.to_string().contains("file"), "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

/// SPEC L1: a folder that can't be written says so. Root may write anywhere, so it tries a file
/// system that nobody can write.
#[cfg(target_os = "linux")]
#[test]
fn a_path_that_cannot_be_written_is_refused() {
    let error = dgen_local::open("/proc/dgen-store").unwrap_err();
    assert!(error.to_string().contains("/proc/dgen-store"), "{error}");
    let is_refused = matches!(error, OpenError::NotWritable { .. } | OpenError::Io { .. });
    assert!(is_refused, "{error:?}");
}

/// Not a test of its own: holds a store open until its input ends.
#[test]
fn holder() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let _db = dgen_local::open(&folder).unwrap();
    println!("open");
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// SPEC L1: a store that another process has open names the path and that process.
#[test]
fn a_store_open_elsewhere_names_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let mut holder = hold(folder.path());
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    while !lines.next().unwrap().unwrap().ends_with("open") {}

    let error = dgen_local::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, OpenError::InUse { path, pid } if path == folder.path() && *pid == Some(holder.id())),
        "{error:?}"
    );
    assert!(
        error.to_string().contains(&holder.id().to_string()),
        "{error}"
    );
    holder.kill().unwrap();
    holder.wait().unwrap();
    dgen_local::open(folder.path()).unwrap();
}

fn hold(folder: &Path) -> std::process::Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "holder", "--nocapture"])
        .env(FOLDER, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
