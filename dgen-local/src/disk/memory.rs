//! A [`Disk`] in memory that can lose power, run full, fail a flush, and be damaged.
//!
//! Keeps, for each file, the bytes that are durable and the writes that are not yet. After
//! [`crash_image`](MemoryDisk::crash_image) each unsynced write is kept, dropped or torn at
//! [`SECTOR_BYTES`], and each unsynced creation, removal or rename is kept or dropped. That is
//! more hostile than common file systems, which keep more order than they promise.
//!
//! Leaves out: torn sectors, and writes that a device reported durable and lost anyway.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, DiskFile, SECTOR_BYTES};

/// A disk in memory, for crash tests. Clones share the same files.
///
/// # Examples
///
/// ```
/// use dgen_local::disk::{Disk, DiskFile, MemoryDisk};
///
/// # fn main() -> std::io::Result<()> {
/// let disk = MemoryDisk::new();
/// let file = disk.open("a", true)?;
/// disk.sync_dir()?;
/// file.write_at(0, b"kept")?;
/// file.sync_data()?;
/// file.write_at(0, b"lost")?;
///
/// // A random source that always says zero drops every unsynced write.
/// let after = disk.crash_image(|| 0);
/// assert_eq!(after.bytes("a").as_deref(), Some(&b"kept"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

impl MemoryDisk {
    /// An empty disk without limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as it might be found after power loss now; this one is left as it is.
    ///
    /// `random` decides the fate of each unsynced change: a draw of 0 modulo 4 drops it, 1 and 2
    /// keep it, 3 tears a write, sector by sector. The image has no faults set.
    #[must_use]
    pub fn crash_image(&self, mut random: impl FnMut() -> u64) -> Self {
        let state = self.lock();
        let mut entries = state.durable_entries.clone();
        for change in &state.unsynced_changes {
            if !random().is_multiple_of(4) {
                change.apply(&mut entries);
            }
        }
        let mut files = Vec::new();
        for file in &state.files {
            let mut bytes = file.durable.clone();
            for write in &file.unsynced {
                write.apply_torn(&mut bytes, &mut random);
            }
            files.push(FileState::durable(bytes));
        }
        Self::from_parts(entries, files)
    }

    /// The disk as found after `kill -9`: everything written is there, synced or not.
    #[must_use]
    pub fn kill_image(&self) -> Self {
        let state = self.lock();
        let files = state
            .files
            .iter()
            .map(|file| FileState::durable(file.current.clone()))
            .collect();
        Self::from_parts(state.entries.clone(), files)
    }

    /// Lets `count` more `sync_data` calls pass, fails the next one, and then works again.
    ///
    /// The failed call leaves its writes unsynced and visible to reads, as Linux does.
    pub fn fail_sync_after(&self, count: u64) {
        self.lock().syncs_until_failure = Some(count);
    }

    /// Fails writes with `StorageFull` once `bytes` more have been written. The first that fails
    /// has written the sectors that there was room for.
    pub fn fill_after_bytes(&self, bytes: u64) {
        self.lock().bytes_until_full = Some(bytes);
    }

    /// Lets `count` more changing operations happen (writes, syncs, creations, removals, renames,
    /// length changes); every later one fails and changes nothing, as if the machine had stopped.
    pub fn stop_after(&self, count: u64) {
        let mut state = self.lock();
        state.stop_at = Some(state.operations + count);
    }

    /// Removes every fault set by the methods above.
    pub fn clear_faults(&self) {
        let mut state = self.lock();
        state.syncs_until_failure = None;
        state.bytes_until_full = None;
        state.stop_at = None;
    }

    /// How many changing operations have been asked for since the disk was made.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// The current bytes of a file, or `None` if there is no such file.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        let index = *state.entries.get(name)?;
        Some(state.files[index].current.clone())
    }

    /// Changes the bytes of a file behind everybody's back, durably, as a fault of the medium.
    /// Does nothing if there is no such file.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        if let Some(&index) = state.entries.get(name) {
            let file = &mut state.files[index];
            change(&mut file.current);
            file.durable = file.current.clone();
            file.unsynced.clear();
        }
    }

    /// Flips bit `bit` (0 to 7) of the byte at `offset`, if the file has one.
    pub fn flip_bit(&self, name: &str, offset: u64, bit: u8) {
        self.damage(name, |bytes| {
            if let Some(byte) = bytes.get_mut(offset as usize) {
                *byte ^= 1 << (bit % 8);
            }
        });
    }

    /// Overwrites `count` bytes from `offset` with zeros, inside the file.
    pub fn zero(&self, name: &str, offset: u64, count: u64) {
        self.damage(name, |bytes| {
            let start = bytes.len().min(offset as usize);
            let end = bytes.len().min((offset + count) as usize);
            bytes[start..end].fill(0);
        });
    }

    /// Cuts the file to `len` bytes if it is longer.
    pub fn truncate(&self, name: &str, len: u64) {
        self.damage(name, |bytes| bytes.truncate(len as usize));
    }

    fn from_parts(entries: BTreeMap<String, usize>, files: Vec<FileState>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                durable_entries: entries.clone(),
                entries,
                files,
                ..State::default()
            })),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics holding this lock")
    }
}

impl Disk for MemoryDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.lock();
        let index = match state.entries.get(name) {
            Some(&index) => index,
            None if create => {
                state.begin_operation()?;
                let index = state.files.len();
                state.files.push(FileState::default());
                state.change(Change::Link(name.to_owned(), index));
                index
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            index,
        }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        Ok(self.lock().entries.contains_key(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().entries.keys().cloned().collect())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.begin_operation()?;
        if !state.entries.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Unlink(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.begin_operation()?;
        if !state.entries.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.begin_operation()?;
        state.durable_entries = state.entries.clone();
        state.unsynced_changes.clear();
        state.drop_unreachable_files();
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("memory/{name}"))
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    index: usize,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.lock();
        let bytes = &state.files[self.index].current;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buffer.len());
        match bytes.get(start..end) {
            Some(found) => {
                buffer.copy_from_slice(found);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.begin_operation()?;
        let room = state.take_space(offset as usize, data.len());
        if room > 0 || data.is_empty() {
            let written = data[..room].to_vec();
            state.files[self.index].push(Write::Bytes(offset as usize, written));
        }
        if room < data.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.begin_operation()?;
        state.begin_sync()?;
        state.files[self.index].sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.lock().files[self.index].current.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.begin_operation()?;
        state.files[self.index].push(Write::Length(len as usize));
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    /// Names as programs see them; the number indexes `files`.
    entries: BTreeMap<String, usize>,
    /// Names as of the last directory sync.
    durable_entries: BTreeMap<String, usize>,
    unsynced_changes: Vec<Change>,
    /// Never shrinks, so that an index stays good for an open file that was removed.
    files: Vec<FileState>,
    operations: u64,
    stop_at: Option<u64>,
    syncs_until_failure: Option<u64>,
    bytes_until_full: Option<u64>,
}

impl State {
    fn begin_operation(&mut self) -> io::Result<()> {
        let is_stopped = self.stop_at.is_some_and(|stop| self.operations >= stop);
        self.operations += 1;
        if is_stopped {
            return Err(io::Error::other("the machine has stopped"));
        }
        Ok(())
    }

    fn begin_sync(&mut self) -> io::Result<()> {
        match &mut self.syncs_until_failure {
            None => Ok(()),
            Some(0) => {
                self.syncs_until_failure = None;
                Err(io::Error::other("the flush failed"))
            }
            Some(count) => {
                *count -= 1;
                Ok(())
            }
        }
    }

    /// How many of `len` bytes at `offset` there is room for, in whole sectors. They are taken.
    fn take_space(&mut self, offset: usize, len: usize) -> usize {
        let Some(left) = &mut self.bytes_until_full else {
            return len;
        };
        if *left >= len as u64 {
            *left -= len as u64;
            return len;
        }
        let end = (offset + *left as usize) / SECTOR_BYTES * SECTOR_BYTES;
        *left = 0;
        end.saturating_sub(offset)
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.entries);
        self.unsynced_changes.push(change);
    }

    /// Frees the bytes of removed files, so that a long run does not keep every log segment. A
    /// file that is still open reads as empty from here on; the store closes files it removes.
    fn drop_unreachable_files(&mut self) {
        let reachable: BTreeSet<usize> = self.entries.values().copied().collect();
        for (index, file) in self.files.iter_mut().enumerate() {
            if !reachable.contains(&index) {
                *file = FileState::default();
            }
        }
    }
}

#[derive(Debug)]
enum Change {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

impl Change {
    fn apply(&self, entries: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, index) => {
                entries.insert(name.clone(), *index);
            }
            Self::Unlink(name) => {
                entries.remove(name);
            }
            Self::Rename(from, to) => {
                // The creation of `from` may have been dropped by a crash; then so is this.
                if let Some(index) = entries.remove(from) {
                    entries.insert(to.clone(), index);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct FileState {
    current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Write>,
}

impl FileState {
    fn durable(bytes: Vec<u8>) -> Self {
        Self {
            current: bytes.clone(),
            durable: bytes,
            unsynced: Vec::new(),
        }
    }

    fn push(&mut self, write: Write) {
        write.apply(&mut self.current);
        self.unsynced.push(write);
    }

    fn sync(&mut self) {
        for write in self.unsynced.drain(..) {
            write.apply(&mut self.durable);
        }
    }
}

#[derive(Debug)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl Write {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Bytes(offset, data) => put(bytes, *offset, data),
            Self::Length(len) => bytes.resize(*len, 0),
        }
    }

    fn apply_torn(&self, bytes: &mut Vec<u8>, random: &mut impl FnMut() -> u64) {
        match (random() % 4, self) {
            (0, _) => {}
            (3, Self::Bytes(offset, data)) => {
                let mut start = 0;
                while start < data.len() {
                    let position = offset + start;
                    let sector_end = (position / SECTOR_BYTES + 1) * SECTOR_BYTES;
                    let end = data.len().min(sector_end - offset);
                    if random().is_multiple_of(2) {
                        put(bytes, position, &data[start..end]);
                    }
                    start = end;
                }
            }
            _ => self.apply(bytes),
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source that repeats `draws`.
    fn repeating(draws: &'static [u64]) -> impl FnMut() -> u64 {
        let mut next = 0;
        move || {
            next += 1;
            draws[(next - 1) % draws.len()]
        }
    }

    fn disk_with_file(bytes: &[u8]) -> (MemoryDisk, Arc<dyn DiskFile>) {
        let disk = MemoryDisk::new();
        let file = disk.open("a", true).unwrap();
        file.write_at(0, bytes).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir().unwrap();
        (disk, file)
    }

    /// SPEC L2: what was synced is there after power loss, what was not may not be.
    #[test]
    fn crash_keeps_drops_and_tears_unsynced_writes() {
        let (disk, file) = disk_with_file(&[1; 2048]);
        file.write_at(0, &[2; 2048]).unwrap();
        let after = |draws| disk.crash_image(repeating(draws)).bytes("a").unwrap();
        assert_eq!(after(&[0]), vec![1; 2048]);
        assert_eq!(after(&[1]), vec![2; 2048]);
        let torn = after(&[3, 0, 1, 0, 1]);
        assert_eq!(torn[..512], [2; 512]);
        assert_eq!(torn[512..1024], [1; 512]);
        assert_eq!(torn[1024..1536], [2; 512]);
        file.sync_data().unwrap();
        assert_eq!(disk.crash_image(|| 0).bytes("a").unwrap(), vec![2; 2048]);
    }

    /// SPEC L2: a rename or a creation that was not synced may be gone.
    #[test]
    fn crash_forgets_unsynced_directory_changes() {
        let (disk, _file) = disk_with_file(b"x");
        disk.open("b", true).unwrap();
        disk.rename("a", "c").unwrap();
        assert_eq!(disk.crash_image(|| 0).list().unwrap(), vec!["a"]);
        assert_eq!(disk.kill_image().list().unwrap(), vec!["b", "c"]);
        disk.sync_dir().unwrap();
        assert_eq!(disk.crash_image(|| 0).list().unwrap(), vec!["b", "c"]);
    }

    /// SPEC L2: the faults that the store's tests rely on do what they say.
    #[test]
    fn faults_fire_when_asked() {
        let (disk, file) = disk_with_file(b"abc");
        disk.fail_sync_after(1);
        file.write_at(0, b"z").unwrap();
        file.sync_data().unwrap();
        file.write_at(0, b"y").unwrap();
        file.sync_data().unwrap_err();
        assert_eq!(disk.crash_image(|| 0).bytes("a").unwrap(), b"zbc");

        disk.fill_after_bytes(2);
        file.write_at(0, b"12").unwrap();
        let full = file.write_at(0, b"3").unwrap_err();
        assert!(crate::disk::is_no_space(&full));
        disk.fill_after_bytes(600);
        let large = disk.open("large", true).unwrap();
        large.write_at(0, &[7; 1_000]).unwrap_err();
        assert_eq!(large.len().unwrap(), SECTOR_BYTES as u64, "whole sectors");

        disk.clear_faults();
        disk.stop_after(1);
        file.write_at(0, b"4").unwrap();
        file.write_at(0, b"5").unwrap_err();
        disk.remove("a").unwrap_err();
        assert_eq!(disk.bytes("a").unwrap(), b"42c");
    }
}
