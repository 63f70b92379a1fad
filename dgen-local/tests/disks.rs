//! Disks that are read-only, private, slow, or whose calendar is wrong: what is promised, or said.
//!
//! A user who may do anything, such as root, is refused by no permission bit. So what a refusal
//! leads to is tested on a disk that refuses; that real bits refuse is tested where they do.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime},
};

use dgen_backend::{
    Database, Error, KeyRange,
    env::{BoxFuture, Env, Environment},
};
use dgen_local::{
    OpenError, Options,
    disk::{CountingDisk, Disk, DiskFile, MemoryDisk, SlowDisk},
};
use dgen_testkit::MockClock;
use futures_util::{FutureExt as _, future::join_all};

const LOG: &str = "log-00000000000000000001";

async fn set(db: &Database, key: &[u8], value: &[u8]) -> Result<(), Error> {
    db.transact(|tx| std::future::ready(tx.set(key, value)))
        .await
}

async fn get(db: &Database, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let value = db.transact(|tx| async move { tx.get(key).await }).await?;
    Ok(value.map(|value| value.to_vec()))
}

/// What a [`Refusing`] disk refuses, and with which word.
type Refusal = fn(&str, Operation) -> Option<io::ErrorKind>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Open,
    Create,
    Write,
    Remove,
}

/// A disk whose files or whose directory may be read and not written.
#[derive(Clone)]
struct Refusing {
    inner: MemoryDisk,
    refusal: Arc<Mutex<Refusal>>,
}

fn refuse_nothing(_name: &str, _operation: Operation) -> Option<io::ErrorKind> {
    None
}

/// As after `mount -o remount,ro`, which Linux does by itself when a disk fails.
fn refuse_all_writes(_name: &str, operation: Operation) -> Option<io::ErrorKind> {
    match operation {
        Operation::Open | Operation::Create | Operation::Write | Operation::Remove => {
            Some(io::ErrorKind::ReadOnlyFilesystem)
        }
    }
}

impl Refusing {
    fn new(refusal: Refusal) -> Self {
        Self::on(MemoryDisk::new(), refusal)
    }

    fn on(inner: MemoryDisk, refusal: Refusal) -> Self {
        Self {
            inner,
            refusal: Arc::new(Mutex::new(refusal)),
        }
    }

    fn set(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap() = refusal;
    }

    fn ask(&self, name: &str, operation: Operation) -> io::Result<()> {
        let refusal = *self.refusal.lock().unwrap();
        refusal(name, operation).map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl fmt::Debug for Refusing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refusing")
    }
}

impl Disk for Refusing {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        // A file that is not there is opened by nobody.
        let operation = match (self.inner.exists(name)?, create) {
            (true, _) => Operation::Open,
            (false, true) => Operation::Create,
            (false, false) => return Err(io::ErrorKind::NotFound.into()),
        };
        self.ask(name, operation)?;
        Ok(Arc::new(RefusingFile {
            inner: self.inner.open(name, create)?,
            name: name.to_owned(),
            disk: self.clone(),
        }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.inner.exists(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.ask(name, Operation::Remove)?;
        self.inner.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.ask(from, Operation::Remove)?;
        self.inner.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.path(name)
    }
}

#[derive(Debug)]
struct RefusingFile {
    inner: Arc<dyn DiskFile>,
    name: String,
    disk: Refusing,
}

impl DiskFile for RefusingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.ask(&self.name, Operation::Write)?;
        self.inner.write_at(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.ask(&self.name, Operation::Write)?;
        self.inner.set_len(len)
    }
}

/// A store that was closed without a farewell, so that its log is needed.
async fn killed_store() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let db = Options::default().open_on(Arc::new(disk.clone())).unwrap();
    for number in 0..20u8 {
        set(&db, &[number], &[number; 500]).await.unwrap();
    }
    let killed = disk.kill_image();
    drop(db);
    killed
}

fn is_not_writable(error: &OpenError, name: &str) -> bool {
    matches!(error, OpenError::NotWritable { path, .. } if path.ends_with(name))
        && error.to_string().contains("cannot be written")
}

/// SPEC L1: a file that may not be written is named, whichever it is, and nothing is changed; with
/// the bit set right everything is there.
#[tokio::test]
async fn a_file_that_is_read_only_is_named() {
    let refusals: [(&str, Refusal); 2] = [
        ("data", |name, _| {
            (name == "data").then_some(io::ErrorKind::PermissionDenied)
        }),
        (LOG, |name, _| {
            (name == LOG).then_some(io::ErrorKind::PermissionDenied)
        }),
    ];
    for (name, refusal) in refusals {
        let disk = Refusing::on(killed_store().await, refusal);
        let before = disk.inner.bytes(LOG);
        let error = Options::default()
            .open_on(Arc::new(disk.clone()))
            .unwrap_err();
        assert!(is_not_writable(&error, name), "{name}: {error}");
        assert_eq!(disk.inner.bytes(LOG), before, "the log was changed");
        disk.set(refuse_nothing);
        let db = Options::default().open_on(Arc::new(disk)).unwrap();
        for number in 0..20u8 {
            let value = get(&db, &[number]).await.unwrap();
            assert_eq!(value, Some(vec![number; 500]));
        }
    }
}

/// SPEC L1: a directory in which nothing can be made is named with the file that was to be made,
/// and nothing is left there.
#[test]
fn a_directory_that_is_read_only_is_named() {
    let disk = Refusing::new(refuse_all_writes);
    let error = Options::default()
        .open_on(Arc::new(disk.clone()))
        .unwrap_err();
    assert!(is_not_writable(&error, "data.new"), "{error}");
    assert_eq!(disk.inner.list().unwrap(), [""; 0]);
}

/// SPEC L1: so it is with real permission bits, for a user whom they count for.
#[cfg(unix)]
#[tokio::test]
async fn real_permission_bits_are_respected() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let db = dgen_local::open(&path).unwrap();
    set(&db, b"key", b"value").await.unwrap();
    drop(db);
    let set_mode = |name: &str, mode| {
        fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    for name in ["data", LOG, "LOCK"] {
        set_mode(name, 0o400);
        let is_root = fs::OpenOptions::new()
            .write(true)
            .open(path.join(name))
            .is_ok();
        match dgen_local::open(&path) {
            Err(error) => assert!(is_not_writable(&error, name), "{name}: {error}"),
            Ok(_) => assert!(is_root, "{name} was opened against its mode"),
        }
        set_mode(name, 0o600);
    }
    let below = path.join("below");
    set_mode("", 0o500);
    match dgen_local::open(&below) {
        Err(error) => assert!(is_not_writable(&error, "below"), "{error}"),
        Ok(_) => assert!(below.exists()),
    }
    set_mode("", 0o700);
    let db = dgen_local::open(&path).unwrap();
    assert_eq!(get(&db, b"key").await.unwrap(), Some(b"value".to_vec()));
}

/// SPEC L2: a file system that turns read-only while the store is open: the commit's outcome is
/// unknown, later ones are refused, and nothing acknowledged is lost.
#[tokio::test]
async fn a_disk_that_turns_read_only_loses_nothing() {
    let disk = Refusing::new(refuse_nothing);
    let db = Options::default().open_on(Arc::new(disk.clone())).unwrap();
    set(&db, b"before", b"1").await.unwrap();
    disk.set(refuse_all_writes);
    let tx = db.begin().unwrap();
    tx.set(b"during", b"2").unwrap();
    let error = tx.commit().await.unwrap_err();
    assert!(matches!(error, Error::CommitUnknown { .. }), "{error}");
    assert!(error.to_string().contains(LOG), "{error}");
    let later = set(&db, b"later", b"3").await.unwrap_err();
    assert!(matches!(later, Error::Closed { .. }), "{later}");
    assert!(!later.is_retryable(), "{later}");
    drop(db);

    let again = Options::default().open_on(Arc::new(disk.clone()));
    assert!(is_not_writable(&again.unwrap_err(), "data"));
    disk.set(refuse_nothing);
    let db = Options::default().open_on(Arc::new(disk)).unwrap();
    assert_eq!(get(&db, b"before").await.unwrap(), Some(b"1".to_vec()));
    assert_eq!(get(&db, b"later").await.unwrap(), None);
    set(&db, b"after", b"4").await.unwrap();
}

/// SPEC L1: what the store makes is for its owner only: its directory, and every file in it, also
/// those that it makes later. A directory that was there keeps its mode.
#[cfg(unix)]
#[tokio::test]
async fn everything_that_is_made_is_private() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755)).unwrap();
    let own = folder.path().join("own");
    for (path, expected) in [(&own, 0o700), (&shared, 0o755)] {
        let options = Options::default().segment_size_bytes(1 << 16);
        for _ in 0..2 {
            let db = options.open(path).unwrap();
            for number in 0..20u8 {
                // Several segments, so that some are made while it is open.
                set(&db, &[number], &[number; 10_000]).await.unwrap();
            }
        }
        assert_eq!(mode(path), expected, "{}", path.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names[..2], ["LOCK", "data"]);
        assert!(names[2].starts_with("log-") && names[2] != LOG, "{names:?}");
    }
}

/// A gate that flushes pass only while it is open, and a count of those that wait at it.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    is_shut: bool,
    waiting: usize,
}

impl Gate {
    fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn shut(&self) {
        self.change(|state| state.is_shut = true);
    }

    fn open(&self) {
        self.change(|state| state.is_shut = false);
    }

    /// Blocks until the gate is open.
    fn pass(&self) {
        self.change(|state| state.waiting += 1);
        let state = self.state.lock().unwrap();
        let state = self.changed.wait_while(state, |state| state.is_shut);
        state.unwrap().waiting -= 1;
    }

    /// Blocks until a flush waits.
    fn until_somebody_waits(&self) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| state.waiting == 0)
                .unwrap(),
        );
    }
}

/// A store whose flushes wait for the test's hand, on a clock that does too.
fn slow_store() -> (Database, Arc<Gate>, Arc<CountingDisk>, MockClock) {
    let gate = Arc::<Gate>::default();
    let wait = {
        let gate = Arc::clone(&gate);
        move |_| gate.pass()
    };
    let slow = SlowDisk::with_wait(Arc::new(MemoryDisk::new()), Duration::ZERO, wait);
    let disk = Arc::new(CountingDisk::new(Arc::new(slow)));
    let clock = MockClock::new(1);
    let options = Options::default().env(clock.env());
    let db = options.open_on(disk.clone()).unwrap();
    (db, gate, disk, clock)
}

/// SPEC L2, L3: a flush takes an hour: nobody is answered before it is done and nobody is told
/// that his transaction took too long; whoever came meanwhile shares the next flush.
#[tokio::test]
async fn commits_wait_for_a_slow_flush() {
    let (db, gate, disk, clock) = slow_store();
    set(&db, b"read", b"before").await.unwrap();
    let before = disk.counts().syncs;
    gate.shut();
    let first = db.begin().unwrap();
    first.get(b"read").await.unwrap();
    first.set(b"first", b"1").unwrap();
    let mut first = first.commit();
    gate.until_somebody_waits();
    let mut others: Vec<_> = (0..100u8)
        .map(|number| {
            let tx = db.begin().unwrap();
            tx.set(&[number], b"value").unwrap();
            tx.commit()
        })
        .collect();
    clock.advance(Duration::from_secs(3_600));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!((&mut first).now_or_never().is_none(), "before the flush");
    for other in &mut others {
        assert!(other.now_or_never().is_none(), "before the flush");
    }
    assert_eq!(get(&db, b"first").await.unwrap(), None, "seen before");
    gate.open();
    first.await.unwrap();
    for other in join_all(others).await {
        other.unwrap();
    }
    assert_eq!(disk.counts().syncs - before, 2);
}

/// SPEC B1, L3: what comes during a flush is checked and added up at once, against what is being flushed: it
/// conflicts with that, and counts on from it.
#[tokio::test]
async fn what_comes_during_a_flush_counts_on_from_it() {
    let (db, gate, disk, _) = slow_store();
    set(&db, b"read", b"before").await.unwrap();
    let before = disk.counts().syncs;
    let late = db.begin().unwrap();
    assert_eq!(late.get(b"read").await.unwrap().unwrap(), "before");
    late.add(b"count", 1_000_000).unwrap();
    gate.shut();
    let first = db.begin().unwrap();
    first.set(b"read", b"after").unwrap();
    first.clear_range(&KeyRange::new(b"c", b"d")).unwrap();
    first.add(b"count", 7).unwrap();
    let first_stamp = first.versionstamp();
    let first = first.commit();
    gate.until_somebody_waits();
    let late = late.commit();
    let mut others = Vec::new();
    let mut stamps = Vec::new();
    for _ in 0..99 {
        let tx = db.begin().unwrap();
        tx.add(b"count", 1).unwrap();
        stamps.push(tx.versionstamp());
        others.push(tx.commit());
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let seen = get(&db, b"count").await;
    gate.open();
    assert_eq!(seen.unwrap(), None, "seen before");
    first.await.unwrap();
    let late = late.await.unwrap_err();
    assert!(matches!(late, Error::Conflict), "{late}");
    for other in join_all(others).await {
        other.unwrap();
    }
    let mut last = first_stamp.await.unwrap();
    for stamp in join_all(stamps).await {
        let stamp = stamp.unwrap();
        assert!(stamp > last, "{stamp:?} is not behind {last:?}");
        last = stamp;
    }
    let count = get(&db, b"count").await.unwrap().unwrap();
    assert_eq!(count, 106i64.to_le_bytes());
    assert_eq!(disk.counts().syncs - before, 2);
}

/// SPEC L2: something else closes the store in the middle of a flush, here a read that finds damage: what was
/// being flushed may be committed, so its caller is not told that it is not.
#[tokio::test]
async fn a_store_that_closes_in_a_flush_says_unknown() {
    let memory = MemoryDisk::new();
    let db = Options::default()
        .open_on(Arc::new(memory.clone()))
        .unwrap();
    // More than is read when it is opened.
    for row in 0..200u8 {
        set(&db, &[row], &[b'v'; 900]).await.unwrap();
    }
    drop(db);
    let gate = Arc::<Gate>::default();
    let wait = {
        let gate = Arc::clone(&gate);
        move |_| gate.pass()
    };
    let slow = SlowDisk::with_wait(Arc::new(memory.clone()), Duration::ZERO, wait);
    let db = Options::default().open_on(Arc::new(slow)).unwrap();
    gate.shut();
    let tx = db.begin().unwrap();
    tx.set(b"during", b"1").unwrap();
    let during = tx.commit();
    gate.until_somebody_waits();
    let data = memory.bytes("data").unwrap();
    let rows = (0..data.len() - 900).filter(|at| data[*at..].starts_with(&[b'v'; 900]));
    let rows: Vec<u64> = rows.map(|at| at as u64 + 450).collect();
    for row in &rows {
        memory.flip_bit("data", *row, 3);
    }
    let read = get(&db, &[100]).await;
    gate.open();
    assert!(matches!(read, Err(Error::Damaged { .. })), "{read:?}");
    let during = during.await.unwrap_err();
    assert!(during.maybe_executed(), "{during}");
    drop(db);
    for row in &rows {
        memory.flip_bit("data", *row, 3);
    }
    let db = Options::default().open_on(Arc::new(memory)).unwrap();
    assert_eq!(get(&db, b"during").await.unwrap(), Some(b"1".to_vec()));
}

/// SPEC L2: a flush fails while others wait behind it: the outcome of what was flushed is unknown, the others are told
/// that the store is closed, and nothing of theirs is there later.
#[tokio::test]
async fn what_waits_behind_a_flush_that_fails_did_not_happen() {
    let gate = Arc::<Gate>::default();
    let wait = {
        let gate = Arc::clone(&gate);
        move |_| gate.pass()
    };
    let memory = MemoryDisk::new();
    let slow = SlowDisk::with_wait(Arc::new(memory.clone()), Duration::ZERO, wait);
    let db = Options::default().open_on(Arc::new(slow)).unwrap();
    set(&db, b"before", b"1").await.unwrap();
    gate.shut();
    let commit = |key: &[u8]| {
        let tx = db.begin().unwrap();
        tx.set(key, b"2").unwrap();
        tx.commit()
    };
    // The first is flushed and waits at the gate; the second's flush fails.
    let first = commit(b"first");
    gate.until_somebody_waits();
    let second: Vec<_> = (0..40u8).map(|number| commit(&[b's', number])).collect();
    memory.fail_sync_after(0);
    gate.open();
    first.await.unwrap();
    for outcome in join_all(second).await {
        let error = outcome.unwrap_err();
        let is_told = error.maybe_executed() || matches!(error, Error::Closed { .. });
        assert!(is_told, "{error}");
    }
    let third = set(&db, b"third", b"3").await.unwrap_err();
    assert!(matches!(third, Error::Closed { .. }), "{third}");
    drop(db);
    let db = Options::default()
        .open_on(Arc::new(memory.crash_image(|| 0)))
        .unwrap();
    assert_eq!(get(&db, b"first").await.unwrap(), Some(b"2".to_vec()));
    assert_eq!(get(&db, &[b's', 0]).await.unwrap(), None);
    assert_eq!(get(&db, b"third").await.unwrap(), None);
}

/// SPEC L2, L3: closing waits for the flush that is under way, and commits what waits behind it.
#[tokio::test]
async fn closing_waits_for_a_slow_flush() {
    let (db, gate, _, _) = slow_store();
    gate.shut();
    // So many that they are collected meanwhile.
    let commits: Vec<_> = (0..100u8)
        .map(|number| {
            let tx = db.begin().unwrap();
            tx.set(&[number], b"value").unwrap();
            tx.commit()
        })
        .collect();
    gate.until_somebody_waits();
    let (said, says) = mpsc::channel();
    let is_open = Arc::new(AtomicBool::new(false));
    let close = {
        let is_open = Arc::clone(&is_open);
        move || {
            said.send(is_open.load(Ordering::SeqCst)).unwrap();
            drop(db);
            said.send(is_open.load(Ordering::SeqCst)).unwrap();
        }
    };
    Env::system().spawn_thread("closer", close).unwrap();
    assert!(!says.recv().unwrap(), "it begins to close");
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    is_open.store(true, Ordering::SeqCst);
    gate.open();
    assert!(says.recv().unwrap(), "closed in the middle of a flush");
    for commit in join_all(commits).await {
        commit.unwrap();
    }
}

/// A clock whose calendar goes back a day at each look.
struct Backwards {
    clock: MockClock,
    looks: Mutex<u32>,
}

impl Environment for Backwards {
    fn now(&self) -> std::time::Instant {
        self.clock.now()
    }

    fn wall_clock(&self) -> SystemTime {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        SystemTime::UNIX_EPOCH + Duration::from_secs(86_400) * 20_000u32.saturating_sub(*looks)
    }

    fn random(&self, buffer: &mut [u8]) {
        self.clock.random(buffer);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<()> {
        self.clock.sleep(duration)
    }

    fn spawn(&self, task: BoxFuture<()>) -> io::Result<()> {
        Environment::spawn(&self.clock, task)
    }

    fn spawn_thread(&self, name: &str, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        self.clock.spawn_thread(name, work)
    }
}

/// SPEC B3: versionstamps grow though the calendar goes back, also over a restart.
#[tokio::test]
async fn versionstamps_grow_while_the_calendar_goes_back() {
    let env = Env::new(Backwards {
        clock: MockClock::new(1),
        looks: Mutex::default(),
    });
    let disk = Arc::new(MemoryDisk::new());
    let mut last = [0; 10];
    for _ in 0..3 {
        let options = Options::default().env(env.clone());
        let db = options.open_on(disk.clone()).unwrap();
        for _ in 0..10 {
            let tx = db.begin().unwrap();
            tx.set(b"key", b"value").unwrap();
            let (stamp, before) = (tx.versionstamp(), env.wall_clock());
            tx.commit().await.unwrap();
            assert!(env.wall_clock() < before, "the calendar goes back");
            let stamp = stamp.await.unwrap();
            assert!(stamp > last, "{stamp:?} is not behind {last:?}");
            last = stamp;
        }
    }
}
