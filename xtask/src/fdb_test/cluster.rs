//! The cluster that the tests run on.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{
    fdb_test::{Options, fdbcli, interrupt::Interrupt, programs::Programs, server::Server},
    outcome::Outcome,
};

/// Which cluster it shall be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// That of a cluster file.
    Given(PathBuf),
    /// A server of our own, with this storage engine.
    Start { engine: &'static str, is_kept: bool },
}

impl Choice {
    /// `file` is what the variable `FDB_CLUSTER_FILE` says. It counts less than an option that
    /// speaks of a server.
    ///
    /// # Errors
    ///
    /// The cluster file is not there.
    pub(super) fn new(options: &Options, file: Option<OsString>) -> Outcome<Self> {
        let starts = options.fdbserver.is_some() || options.memory || options.keep;
        let (path, source) = match (&options.cluster_file, file) {
            (Some(path), _) => (path.clone(), "--cluster-file"),
            (None, Some(path)) if !starts && !path.is_empty() => {
                (PathBuf::from(path), "FDB_CLUSTER_FILE")
            }
            (None, _) => {
                return Ok(Self::Start {
                    engine: if options.memory { "memory" } else { "ssd" },
                    is_kept: options.keep,
                });
            }
        };
        if !path.is_file() {
            return Err(format!("{source}: {} is not a file", path.display()).into());
        }
        // Tests run in folders of their own.
        Ok(Self::Given(std::path::absolute(path)?))
    }
}

/// A cluster that is available. Dropped, it stops the server that was started for it.
pub(super) enum Cluster {
    Given(PathBuf),
    Started(Server),
}

impl Cluster {
    /// Starts what `choice` says, and waits until the database is available.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub(super) fn new(choice: Choice, programs: &Programs, interrupt: &Interrupt) -> Outcome<Self> {
        let fdbserver = programs.fdbserver.as_ref().map_err(String::as_str);
        let fdbcli = programs.fdbcli.as_ref().map_err(String::as_str);
        match choice {
            Choice::Given(file) => {
                println!("the cluster of {}", file.display());
                match fdbcli {
                    Ok(fdbcli) => {
                        fdbcli::wait_until_available(fdbcli, &file, || interrupt.check())?
                    }
                    Err(_) => println!("there is no fdbcli to ask whether it is available"),
                }
                println!();
                Ok(Self::Given(file))
            }
            Choice::Start { engine, is_kept } => {
                let mut server = Server::start(fdbserver?, is_kept)?;
                server.create_database(fdbcli?, engine, interrupt)?;
                println!("{server}");
                if is_kept {
                    server.keep();
                    println!("it goes on when the tests have ended");
                }
                println!();
                Ok(Self::Started(server))
            }
        }
    }

    /// Its cluster file, with an absolute path.
    pub(super) fn file(&self) -> &Path {
        match self {
            Self::Given(file) => file,
            Self::Started(server) => server.cluster_file(),
        }
    }

    /// An error if the server that was started has ended.
    pub(super) fn check(&self) -> Outcome {
        match self {
            Self::Given(_) => Ok(()),
            Self::Started(server) => server.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSD: Choice = Choice::Start {
        engine: "ssd",
        is_kept: false,
    };

    fn file() -> tempfile::NamedTempFile {
        tempfile::NamedTempFile::new().unwrap()
    }

    fn given(file: &tempfile::NamedTempFile) -> Choice {
        Choice::Given(file.path().to_owned())
    }

    #[test]
    fn the_option_wins_over_the_variable_and_the_variable_over_a_server() {
        let (named, of_variable) = (file(), file());
        let variable = || Some(OsString::from(of_variable.path()));
        let options = Options {
            cluster_file: Some(named.path().to_owned()),
            ..Options::default()
        };
        assert_eq!(Choice::new(&options, variable()).unwrap(), given(&named));
        let none = Options::default();
        assert_eq!(Choice::new(&none, variable()).unwrap(), given(&of_variable));
        assert_eq!(Choice::new(&none, None).unwrap(), SSD);
        assert_eq!(Choice::new(&none, Some(OsString::new())).unwrap(), SSD);
    }

    #[test]
    fn an_option_of_the_server_starts_one() {
        let of_variable = file();
        let variable = || Some(OsString::from(of_variable.path()));
        let pointed_at = Options {
            fdbserver: Some("/some/fdbserver".into()),
            ..Options::default()
        };
        assert_eq!(Choice::new(&pointed_at, variable()).unwrap(), SSD);
        let memory = Options {
            memory: true,
            keep: true,
            ..Options::default()
        };
        assert_eq!(
            Choice::new(&memory, variable()).unwrap(),
            Choice::Start {
                engine: "memory",
                is_kept: true
            }
        );
    }

    #[test]
    fn a_cluster_file_that_is_not_there_is_named_with_who_named_it() {
        let options = Options {
            cluster_file: Some("/nowhere/fdb.cluster".into()),
            ..Options::default()
        };
        let error = Choice::new(&options, None).unwrap_err().to_string();
        assert_eq!(error, "--cluster-file: /nowhere/fdb.cluster is not a file");
        let variable = Some(OsString::from("/nowhere/fdb.cluster"));
        let error = Choice::new(&Options::default(), variable).unwrap_err();
        assert_eq!(
            error.to_string(),
            "FDB_CLUSTER_FILE: /nowhere/fdb.cluster is not a file"
        );
    }
}
