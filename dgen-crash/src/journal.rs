//! What a program did to its disk, operation by operation, in a file that outlives it.
//!
//! An operation is in the journal before it returns to whoever asked for it. So after a kill the
//! journal says what was written and what of it was flushed; the operation that the kill
//! interrupted may be missing.
//!
//! Each operation is its length (4 bytes, little endian) and its MessagePack.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use dgen_local::disk::{Disk, DiskFile, MemoryDisk};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A change of a directory or of a file in it. Files have the number of the open file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    Open {
        file: u64,
        name: String,
    },
    Write {
        file: u64,
        offset: u64,
        data: ByteBuf,
    },
    SetLen {
        file: u64,
        len: u64,
    },
    Sync {
        file: u64,
    },
    Remove {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    SyncDir,
}

/// Takes operations.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
}

impl Journal {
    /// Goes on in the file `path`, which is made if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { file })
    }

    pub(crate) fn push(&mut self, operation: &Operation) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        rmp_serde::encode::write(&mut bytes, operation).map_err(io::Error::other)?;
        let len = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        self.file.write_all(&bytes)
    }
}

/// Does to `disk` what the journal at `path` says. `cut` says how many bytes of the last operation
/// came to the disk, if that is a write.
pub(crate) fn replay(
    path: &Path,
    disk: &MemoryDisk,
    mut cut: impl FnMut(u64, usize) -> usize,
) -> io::Result<()> {
    let bytes = match fs::read(path) {
        // Killed before it had a disk.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        bytes => bytes?,
    };
    let mut files = BTreeMap::new();
    let mut operations = operations(&bytes).peekable();
    while let Some(operation) = operations.next() {
        let mut operation = operation?;
        if let Operation::Write { offset, data, .. } = &mut operation
            && operations.peek().is_none()
        {
            let len = cut(*offset, data.len());
            data.truncate(len);
        }
        apply(operation, disk, &mut files)?;
    }
    Ok(())
}

/// All that are whole: the kill may have cut the last one.
fn operations(mut bytes: &[u8]) -> impl Iterator<Item = io::Result<Operation>> + '_ {
    std::iter::from_fn(move || {
        let (len, rest) = bytes.split_first_chunk::<4>()?;
        let (operation, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        bytes = rest;
        Some(rmp_serde::from_slice(operation).map_err(io::Error::other))
    })
}

fn apply(
    operation: Operation,
    disk: &MemoryDisk,
    files: &mut BTreeMap<u64, Arc<dyn DiskFile>>,
) -> io::Result<()> {
    let open = |number: &u64| {
        files
            .get(number)
            .ok_or_else(|| io::Error::other("the journal writes to a file that was never opened"))
    };
    match operation {
        Operation::Open { file, name } => {
            files.insert(file, disk.open(&name, true)?);
            Ok(())
        }
        Operation::Write { file, offset, data } => open(&file)?.write_at(offset, &data),
        Operation::SetLen { file, len } => open(&file)?.set_len(len),
        Operation::Sync { file } => open(&file)?.sync_data(),
        Operation::Remove { name } => disk.remove(&name),
        Operation::Rename { from, to } => disk.rename(&from, &to),
        Operation::SyncDir => disk.sync_dir(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: u64) -> Operation {
        let name = "a".to_owned();
        Operation::Open { file, name }
    }

    fn write(data: &[u8]) -> Operation {
        let data = ByteBuf::from(data);
        Operation::Write {
            file: 1,
            offset: 0,
            data,
        }
    }

    /// SPEC L2: a kill may cut the journal's last entry, and come inside of the last write.
    #[test]
    fn what_was_under_way_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        journal.push(&open(1)).unwrap();
        journal.push(&write(b"abcd")).unwrap();
        let whole = fs::read(&path).unwrap();
        journal.push(&write(b"efgh")).unwrap();
        let bytes = |cut: &dyn Fn(usize) -> usize| {
            let disk = MemoryDisk::new();
            replay(&path, &disk, |_, len| cut(len)).unwrap();
            disk.bytes("a").unwrap()
        };
        assert_eq!(bytes(&|len| len), b"efgh");
        assert_eq!(bytes(&|_| 2), b"efcd");
        let end = fs::metadata(&path).unwrap().len();
        for len in (whole.len() as u64..end).rev() {
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(len)
                .unwrap();
            assert_eq!(bytes(&|len| len), b"abcd");
        }
    }
}
