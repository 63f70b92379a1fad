//! A [`Disk`] on a real directory.
//!
//! Files are made readable by their owner only (mode 0600) on Unix. `sync_data` is `fdatasync`
//! where the system has it. On Windows directories cannot be synced, so `sync_dir` does nothing.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskFile};

/// A directory of the local file system.
#[derive(Debug, Clone)]
pub struct DirectoryDisk {
    path: PathBuf,
}

impl DirectoryDisk {
    /// Uses the existing directory `path`.
    ///
    /// Touches nothing: a missing directory shows at the first use.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Makes `path` a directory that only its owner can enter (mode 0700), if it is not there.
    /// Makes missing parents too, with the system's default mode.
    ///
    /// The new entry is synced, so that the directory does not vanish at power loss.
    ///
    /// # Errors
    ///
    /// What the system says; `AlreadyExists` when the path is a file.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        if !path.is_dir() {
            let parent = parent_of(&path);
            fs::create_dir_all(parent)?;
            create_private_dir(&path)?;
            sync_directory(parent)?;
        }
        Ok(Self { path })
    }
}

impl Disk for DirectoryDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(create);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.path(name))?;
        Ok(Arc::new(DirectoryFile { file }))
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        self.path(name).try_exists()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // A name that is not UTF-8 cannot be one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

#[derive(Debug)]
struct DirectoryFile {
    file: File,
}

impl DiskFile for DirectoryFile {
    #[cfg(unix)]
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => {
                    buffer = &mut buffer[count..];
                    offset += count as u64;
                }
            }
        }
        Ok(())
    }

    #[cfg(unix)]
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, data, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, mut offset: u64, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(&self.file, data, offset)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => {
                    data = &data[count..];
                    offset += count as u64;
                }
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // Another process made it first: the same outcome.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        result => result,
    }
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(not(unix))]
fn sync_directory(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC L1: what a store writes is for its owner only.
    #[cfg(unix)]
    #[test]
    fn files_and_directories_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a").join("store");
        let disk = DirectoryDisk::create(&path).unwrap();
        disk.open("data", true).unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.clone()), 0o700);
        assert_eq!(mode(path.join("data")), 0o600);
    }

    /// SPEC L2: the real files do what the seam promises.
    #[test]
    fn reads_back_what_was_written() {
        let temporary = tempfile::tempdir().unwrap();
        let disk = DirectoryDisk::new(temporary.path());
        assert_eq!(
            disk.open("a", false).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        let file = disk.open("a", true).unwrap();
        file.write_at(3, b"xyz").unwrap();
        file.sync_data().unwrap();
        let mut buffer = [9; 6];
        file.read_at(0, &mut buffer).unwrap();
        assert_eq!(&buffer, b"\0\0\0xyz");
        let past_end = file.read_at(4, &mut buffer).unwrap_err();
        assert_eq!(past_end.kind(), io::ErrorKind::UnexpectedEof);
        disk.rename("a", "b").unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(disk.list().unwrap(), vec!["b".to_owned()]);
        file.set_len(2).unwrap();
        assert_eq!(disk.open("b", false).unwrap().len().unwrap(), 2);
        disk.remove("b").unwrap();
        assert!(!disk.exists("b").unwrap());
    }
}
