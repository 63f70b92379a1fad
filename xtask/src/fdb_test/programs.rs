//! FoundationDB's programs, where they are installed.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use crate::fdb_test::cluster::Choice;

/// Where FoundationDB's own packages put programs, which need not be on a user's PATH: of Linux,
/// and of macOS.
const FOLDERS: [&str; 5] = [
    "/usr/sbin",
    "/usr/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/local/libexec",
];

/// What was found.
pub(super) struct Programs {
    pub(super) fdbserver: Result<PathBuf, String>,
    pub(super) fdbcli: Result<PathBuf, String>,
}

impl Programs {
    /// Looks for the server at `fdbserver` if that is given, and else on the PATH and where packages
    /// put it. Looks for the command line beside the server first.
    pub(super) fn find(fdbserver: Option<&Path>) -> Self {
        Self::find_among(fdbserver, &folders(std::env::var_os("PATH").as_deref()))
    }

    fn find_among(fdbserver: Option<&Path>, folders: &[PathBuf]) -> Self {
        let fdbserver = match fdbserver {
            Some(path) if path.is_file() => {
                std::path::absolute(path).map_err(|error| format!("fdbserver: {error}"))
            }
            Some(path) => Err(format!("fdbserver: {} is not a file", path.display())),
            None => find_program("fdbserver", "foundationdb-server", folders),
        };
        let beside = fdbserver.iter().filter_map(|path| path.parent());
        let around: Vec<_> = beside
            .map(Path::to_owned)
            .chain(folders.iter().cloned())
            .collect();
        let fdbcli = find_program("fdbcli", "foundationdb-clients", &around);
        Self { fdbserver, fdbcli }
    }

    /// What is not there and `choice` can't do without.
    pub(super) fn missing(&self, choice: &Choice) -> Vec<String> {
        let needed: &[_] = match choice {
            // Only the tests use this cluster.
            Choice::Given(_) => &[],
            Choice::Start { .. } => &[&self.fdbserver, &self.fdbcli],
        };
        needed
            .iter()
            .filter_map(|program| program.as_ref().err().cloned())
            .collect()
    }
}

fn find_program(name: &str, package: &str, folders: &[PathBuf]) -> Result<PathBuf, String> {
    let mut paths = folders.iter().map(|folder| folder.join(name));
    paths.find(|path| path.is_file()).ok_or_else(|| {
        format!(
            "{name}: not on the PATH, nor in {}; it is in FoundationDB's package {package}",
            FOLDERS.join(", "),
        )
    })
}

/// Those of the variable PATH, then [`FOLDERS`].
fn folders(path: Option<&OsStr>) -> Vec<PathBuf> {
    let path = path.into_iter().flat_map(std::env::split_paths);
    path.chain(FOLDERS.map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn start() -> Choice {
        Choice::Start {
            engine: "ssd",
            is_kept: false,
        }
    }

    #[test]
    fn the_command_line_beside_the_server_is_taken_first() {
        let folder = tempfile::tempdir().unwrap();
        let (path, build) = (folder.path().join("path"), folder.path().join("build"));
        for folder in [&path, &build] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("fdbserver"), "").unwrap();
            fs::write(folder.join("fdbcli"), "").unwrap();
        }
        let on_path = std::slice::from_ref(&path);

        let found = Programs::find_among(None, on_path);
        assert_eq!(found.fdbserver, Ok(path.join("fdbserver")));
        assert_eq!(found.fdbcli, Ok(path.join("fdbcli")));

        let pointed_at = Programs::find_among(Some(&build.join("fdbserver")), on_path);
        assert_eq!(pointed_at.fdbserver, Ok(build.join("fdbserver")));
        assert_eq!(pointed_at.fdbcli, Ok(build.join("fdbcli")));

        fs::remove_file(build.join("fdbcli")).unwrap();
        let pointed_at = Programs::find_among(Some(&build.join("fdbserver")), on_path);
        assert_eq!(pointed_at.fdbcli, Ok(path.join("fdbcli")));
        assert_eq!(pointed_at.missing(&start()), Vec::<String>::new());
    }

    #[test]
    fn programs_that_are_missing_are_named_with_their_packages() {
        let missing = Programs::find_among(None, &[]).missing(&start());
        let [server, cli] = missing.as_slice() else {
            panic!("two are missing: {missing:?}");
        };
        assert!(server.starts_with("fdbserver: ") && server.contains("foundationdb-server"));
        assert!(cli.starts_with("fdbcli: ") && cli.contains("foundationdb-clients"));
    }

    #[test]
    fn a_server_that_was_pointed_at_is_not_replaced_by_another() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("fdbserver"), "").unwrap();
        let found = Programs::find_among(
            Some(Path::new("/nowhere/fdbserver")),
            &[folder.path().to_owned()],
        );
        assert_eq!(
            found.fdbserver,
            Err("fdbserver: /nowhere/fdbserver is not a file".to_owned())
        );
    }

    #[test]
    fn a_cluster_that_is_there_needs_no_programs() {
        let missing =
            Programs::find_among(None, &[]).missing(&Choice::Given("/some/fdb.cluster".into()));
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn packages_folders_are_looked_at_after_the_path() {
        let folders = folders(Some(OsStr::new("/first:/second")));
        assert_eq!(folders[..2], [Path::new("/first"), Path::new("/second")]);
        assert_eq!(folders[2..], FOLDERS.map(PathBuf::from));
    }
}
