//! Which cluster: the file that names it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::OpenError;

/// What the client library looks at too.
const VARIABLE: &str = "FDB_CLUSTER_FILE";

const IN_WORKING_DIRECTORY: &str = "fdb.cluster";

#[cfg(target_os = "macos")]
const OF_MACHINE: &str = "/usr/local/etc/foundationdb/fdb.cluster";
#[cfg(not(target_os = "macos"))]
const OF_MACHINE: &str = "/etc/foundationdb/fdb.cluster";

/// The file that was `asked_for`, or else the one in the environment, the working directory or the
/// machine's configuration, as the client library would find it.
pub(crate) fn find(asked_for: Option<&Path>) -> Result<PathBuf, OpenError> {
    let path = match asked_for {
        Some(path) => path.to_owned(),
        None => default(),
    };
    match fs::read(&path) {
        Ok(content) if content.trim_ascii().is_empty() => {
            let source = std::io::Error::other("the file is empty");
            Err(OpenError::ClusterFile { path, source })
        }
        Ok(_) => Ok(path),
        Err(source) => Err(OpenError::ClusterFile { path, source }),
    }
}

fn default() -> PathBuf {
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return path.into();
    }
    let here = Path::new(IN_WORKING_DIRECTORY);
    if here.exists() {
        here.to_owned()
    } else {
        OF_MACHINE.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC F1: a cluster file that is not there is a clear error with its path.
    #[test]
    fn missing_file_is_an_error_with_its_path() {
        let error = find(Some(Path::new("no/such/fdb.cluster"))).expect_err("there is none");
        assert!(error.to_string().contains("no/such/fdb.cluster"), "{error}");
    }

    /// SPEC F1: so is an empty one, which the client library would wait for without end.
    #[test]
    fn empty_file_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("fdb.cluster");
        fs::write(&path, " \n").expect("a file can be written");
        let error = find(Some(&path)).expect_err("it is empty");
        assert!(matches!(error, OpenError::ClusterFile { .. }), "{error}");
    }
}
