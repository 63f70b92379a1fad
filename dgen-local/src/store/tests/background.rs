//! Checkpoints that are written while groups go on to be committed: at every disk operation of one, a group
//! is committed, the machine stops, a flush fails, or the disk is full.
//!
//! One thread plays both, so that each run is the same: the disk calls back at each operation on the tree.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, Weak, mpsc};

use dgen_backend::env::Env;

use super::*;
use crate::disk::{Disk, DiskFile};

/// A disk whose owner is called back before each operation that changes the tree.
#[derive(Clone)]
struct Calling {
    inner: MemoryDisk,
    callback: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

#[derive(Debug)]
struct CallingFile {
    inner: Arc<dyn DiskFile>,
    /// `None` for other files.
    disk: Option<Calling>,
}

impl fmt::Debug for Calling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calling")
    }
}

impl CallingFile {
    fn call(&self) {
        let callback = self.disk.as_ref().and_then(|disk| disk.callback.get());
        if let Some(callback) = callback {
            callback();
        }
    }
}

impl Disk for Calling {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(CallingFile {
            inner: self.inner.open(name, create)?,
            disk: (name == "data").then(|| self.clone()),
        }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.inner.exists(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.inner.path(name)
    }
}

impl DiskFile for CallingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.call();
        self.inner.write_at(offset, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call();
        self.inner.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.call();
        self.inner.set_len(len)
    }
}

/// So many groups in one checkpoint leave room in the segment: whoever waits for the next one here would wait for
/// himself.
const MEANWHILE_MAX: u64 = 25;

/// A store whose checkpoints are written by [`commit`](Life::commit), some time after they are due, with a
/// group committed before each disk operation of theirs.
struct Life {
    store: Arc<RedbStore>,
    work: Arc<Work>,
}

/// What is committed and expected.
struct Work {
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    model: Model,
    acknowledged: u64,
    /// Groups that were committed in the middle of this checkpoint.
    meanwhile: u64,
    checkpoints: u64,
    is_over: bool,
}

impl Life {
    fn open(disk: &MemoryDisk) -> Result<Self, OpenError> {
        let calling = Calling {
            inner: disk.clone(),
            callback: Arc::default(),
        };
        let store = Arc::new(RedbStore::open_on(Arc::new(calling.clone()), &small())?);
        store.use_thread_beside();
        let work = Arc::new(Work {
            progress: Mutex::new(Progress {
                model: Model::new(),
                acknowledged: store.version(),
                ..Progress::default()
            }),
        });
        let callback = {
            let (store, work): (Weak<RedbStore>, _) = (Arc::downgrade(&store), Arc::clone(&work));
            move || {
                if let Some(store) = store.upgrade()
                    && store.checkpoints().is_one_written()
                    && work.progress.lock().unwrap().meanwhile < MEANWHILE_MAX
                    && work.commit(&store, 40).is_ok()
                {
                    work.progress.lock().unwrap().meanwhile += 1;
                }
            }
        };
        assert!(calling.callback.set(Box::new(callback)).is_ok());
        Ok(Self { store, work })
    }

    /// Commits groups of `len` bytes until `checkpoints` more have been written.
    fn run(&self, checkpoints: u64, len: usize) -> Result<(), StoreError> {
        let target = self.work.progress.lock().unwrap().checkpoints + checkpoints;
        while self.work.progress.lock().unwrap().checkpoints < target {
            self.work.commit(&self.store, len)?;
            let is_late = self.work.progress.lock().unwrap().checkpoints % 2 == 1;
            if self.store.checkpoints().is_segment_wanted() && !is_late {
                self.store.work_beside().expect("a segment is wanted")?;
            }
            if self.store.checkpoints().is_one_due() {
                // Some time later.
                self.work.commit(&self.store, 60)?;
                self.work.commit(&self.store, 60)?;
                self.store.work_beside().expect("one is due")?;
                let mut progress = self.work.progress.lock().unwrap();
                assert!(progress.meanwhile > 10, "only {}", progress.meanwhile);
                progress.meanwhile = 0;
                progress.checkpoints += 1;
            }
        }
        Ok(())
    }
}

impl Work {
    /// Commits a row of `len` bytes of its own, and one that all groups write; and clears an older one.
    fn commit(&self, store: &RedbStore, len: usize) -> Result<(), StoreError> {
        let mut progress = self.progress.lock().unwrap();
        if progress.is_over {
            return Ok(());
        }
        let version = progress.acknowledged + 1;
        let group = Group {
            version,
            writes: vec![
                set(&format!("key{version:04}"), vec![version as u8; len]),
                set("last", version.to_string()),
            ],
        };
        progress.model.push(&group);
        let committed = store.append(&group).and_then(|()| {
            progress.acknowledged = version;
            store.apply(&group)
        });
        progress.is_over = committed.is_err();
        committed
    }
}

/// Three checkpoints with groups in the middle of each, and a close. Returns the model and what was
/// acknowledged.
fn scenario(disk: &MemoryDisk) -> (Model, u64, Result<(), StoreError>) {
    let life = match Life::open(disk) {
        Ok(life) => life,
        Err(_) => return (Model::new(), 0, Ok(())),
    };
    let run = life.run(3, 3000).and_then(|()| life.store.close());
    let mut progress = life.work.progress.lock().unwrap();
    progress.is_over = true;
    let model = std::mem::take(&mut progress.model);
    (model, progress.acknowledged, run)
}

/// SPEC L2: a crash at any disk operation of checkpoints, of changes of the segment, and of commits
/// between the operations of a checkpoint is survived, whatever the disk kept of it; and so is a second crash
/// at any operation of the recovery.
#[test]
fn a_crash_in_the_middle_of_a_checkpoint_keeps_whole_groups() {
    let whole = MemoryDisk::new();
    scenario(&whole).2.unwrap();
    let operations = whole.operations();
    assert!(operations > 200, "only {operations} operations");
    let mut recovered_in_two = 0;
    for stop in 0..operations {
        let disk = MemoryDisk::new();
        disk.stop_after(stop);
        let (model, acknowledged, _) = scenario(&disk);
        let mut random = Random(stop);
        let images = [
            disk.kill_image(),
            disk.crash_image(|| 0),
            disk.crash_image(|| random.next()),
            disk.crash_image(|| random.next()),
        ];
        for (index, image) in images.iter().enumerate() {
            let again = image.kill_image();
            let logs = image.list().unwrap();
            recovered_in_two +=
                u64::from(logs.iter().filter(|name| name.starts_with("log-")).count() > 1);
            let what = format!("operation {stop}, image {index}");
            expect_recovered(image, &model, acknowledged, &what);

            again.stop_after(random.below(30));
            let _ = open(&again);
            let again = again.crash_image(|| random.next());
            let store = open(&again)
                .unwrap_or_else(|error| panic!("operation {stop}, image {index}, again: {error}"));
            model.check(&store, acknowledged).unwrap();
        }
    }
    assert!(recovered_in_two > 100, "only {recovered_in_two} times");
}

/// SPEC L2: any flush may fail, also one of a checkpoint that runs beside commits: the store closes, and what
/// was acknowledged stays.
#[test]
fn any_flush_of_a_checkpoint_may_fail() {
    for failing in 0.. {
        let disk = MemoryDisk::new();
        drop(open(&disk).unwrap());
        disk.fail_sync_after(failing);
        let (model, acknowledged, run) = scenario(&disk);
        if run.is_ok() && acknowledged > 0 {
            assert!(failing > 40, "only {failing} flushes in the run");
            return;
        }
        let mut random = Random(failing);
        for image in [disk.kill_image(), disk.crash_image(|| random.next())] {
            model.check(&open(&image).unwrap(), acknowledged).unwrap();
        }
    }
}

/// SPEC L2: a disk that is full in the middle of a checkpoint is told from other errors, also to whoever commits,
/// and the store is whole once there is room again.
#[test]
fn a_disk_full_in_a_checkpoint_is_named_and_survived() {
    let mut struck = 0;
    for room in (0..200).map(|step| step * 1500) {
        let disk = MemoryDisk::new();
        drop(open(&disk).unwrap());
        disk.fill_after_bytes(room);
        let (model, acknowledged, run) = scenario(&disk);
        if let Err(error) = run {
            struck += 1;
            let is_named = match &error {
                StoreError::NoSpace { .. } => true,
                StoreError::Closed { reason } => reason.contains("no space left"),
                _ => false,
            };
            assert!(is_named, "{error}");
        }
        disk.clear_faults();
        for image in [disk.kill_image(), disk.crash_image(|| 0)] {
            model.check(&open(&image).unwrap(), acknowledged).unwrap();
        }
    }
    assert!(struck > 20, "the disk was full only {struck} times");
}

/// SPEC L2: between a change of the segment and its checkpoint, a damaged end of the older segment is reported:
/// it is no torn tail, since another segment follows it.
#[test]
fn a_damaged_end_before_a_later_segment_is_reported() {
    let disk = MemoryDisk::new();
    let life = Life::open(&disk).unwrap();
    while !life.store.checkpoints().is_one_due() {
        life.work.commit(&life.store, 3000).unwrap();
    }
    let older = "log-00000000000000000001";
    let bytes = disk.bytes(older).unwrap();
    let groups: Vec<usize> = (0..bytes.len() - 8)
        .step_by(8)
        .filter(|start| bytes[*start..].starts_with(b"dgR1\x01"))
        .collect();
    let last = groups[groups.len() - 1];
    let image = |damage: &dyn Fn(&mut [u8])| {
        let image = disk.kill_image();
        image.damage(older, |bytes| damage(bytes));
        image
    };
    // What a tear would leave: the last record and its seal, or some sectors of it, never written.
    let sector = (last + 1024) / 512 * 512;
    let images = [
        image(&|bytes| bytes[last..].fill(0xFF)),
        image(&|bytes| bytes[sector..].fill(0xFF)),
        image(&|bytes| bytes[sector..sector + 512].fill(0xFF)),
    ];
    for (index, image) in images.iter().enumerate() {
        let before = image.bytes(older);
        let outcome = open(image).err();
        assert!(
            matches!(&outcome, Some(OpenError::Damaged { path, .. }) if path.ends_with(older)),
            "{index}: {outcome:?}"
        );
        assert_eq!(image.bytes(older), before, "{index}: it was overwritten");
    }
    // And a segment that is missing between the two is.
    let gap = disk.kill_image();
    gap.rename("log-00000000000000000002", "log-00000000000000000003")
        .unwrap();
    assert!(matches!(open(&gap), Err(OpenError::Damaged { .. })));
    open(&disk.kill_image()).unwrap();
}

/// SPEC L3: while a checkpoint can't be written, commits go on until a second one is due, which is after a bounded
/// number of bytes; then they wait, and reads do not. Afterwards all goes on.
#[test]
fn commits_wait_for_a_checkpoint_and_reads_do_not() {
    const LEN: usize = 500;
    let disk = MemoryDisk::new();
    let store = Arc::new(open(&disk).unwrap());
    store.use_thread_beside();
    let (acknowledge, acknowledged) = mpsc::channel();
    let committing = {
        let store = Arc::clone(&store);
        move || {
            for version in 1..=1000 {
                let group = Group {
                    version,
                    writes: vec![set(&format!("key{version:04}"), vec![version as u8; LEN])],
                };
                commit(&store, &group).unwrap();
                acknowledge.send(version).unwrap();
            }
        }
    };
    Env::system()
        .spawn_thread("committing", committing)
        .unwrap();
    let mut last = 0;
    while last < 900 {
        let before = last;
        while !store.checkpoints().is_somebody_waiting() {
            last = acknowledged.try_iter().last().unwrap_or(last);
            // Of two segments at most, and of one before.
            let bytes = (last - before) * LEN as u64;
            assert!(bytes <= 3 * small().segment_size_bytes, "{bytes} bytes");
            std::thread::yield_now();
        }
        last = acknowledged.try_iter().last().unwrap_or(last);
        let snapshot = store.snapshot().unwrap();
        assert_eq!(snapshot.version(), last);
        for version in 1..=last {
            let value = snapshot.get(format!("key{version:04}").as_bytes());
            assert_eq!(value.unwrap().unwrap().len(), LEN);
        }
        assert_eq!(rows(&store).unwrap().len() as u64, last);
        store.work_beside().unwrap().unwrap();
    }
    // The rest, with a thread.
    let writing = {
        let store = Arc::clone(&store);
        move || while store.work_beside().is_some() {}
    };
    Env::system().spawn_thread("writing", writing).unwrap();
    assert_eq!(acknowledged.iter().last(), Some(1000));
    store.close().unwrap();
    assert_eq!(rows(&open(&disk).unwrap()).unwrap().len(), 1000);
}
