//! Runs the built examples as a user does: as programs of their own, that can be killed.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(dead_code, reason = "no test needs all of it")]

#[cfg(feature = "fdb")]
mod cluster;

use std::{
    env,
    hash::{BuildHasher, RandomState},
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    thread,
};

use tempfile::TempDir;

/// Where an example keeps its servers, for one test: in a folder, or on a cluster.
pub(crate) struct Store {
    folder: TempDir,
    #[cfg(feature = "fdb")]
    cluster: Option<cluster::Cluster>,
}

impl Store {
    pub(crate) fn in_folder() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            #[cfg(feature = "fdb")]
            cluster: None,
        }
    }

    #[cfg(feature = "fdb")]
    pub(crate) fn on_cluster() -> Self {
        Self {
            cluster: Some(cluster::Cluster::of_this_test()),
            ..Self::in_folder()
        }
    }

    /// What the example calls it. A cluster's has a folder too, for what is no server's.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The example of this name, on this store.
    pub(crate) fn example(&self, name: &str) -> Command {
        let mut example = example(name);
        example.env_remove("DGEN_CLUSTER_FILE");
        #[cfg(feature = "fdb")]
        if let Some(cluster) = &self.cluster {
            cluster.show(&mut example);
        }
        // A counter's is its only argument.
        match name {
            "counter" => example.arg(self.path()),
            _ => example.arg("--data").arg(self.path()),
        };
        example
    }

    /// What changes with each write.
    fn last_write(&self) -> Vec<u8> {
        #[cfg(feature = "fdb")]
        if let Some(cluster) = &self.cluster {
            return cluster.last_write(self.path());
        }
        // When a file was written last.
        let files = self.path().read_dir().unwrap().filter_map(Result::ok);
        let times = files.filter_map(|file| file.metadata().ok()?.modified().ok());
        format!("{:?}", times.max()).into()
    }
}

/// The example of this name. `cargo test` builds it, but `cargo test --test ..` does not.
fn example(name: &str) -> Command {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{name}.rs"));
    let tests = env::current_exe().unwrap(); // in `deps`, and the examples next to that
    let built = tests
        .parent()
        .unwrap()
        .with_file_name("examples")
        .join(name);
    let age = |file: &PathBuf| file.metadata()?.modified();
    assert!(
        age(&built).is_ok_and(|age_of_built| age_of_built >= age(&source).unwrap()),
        "{name} is not built: run `cargo build -p dgen-examples --examples` first"
    );
    Command::new(built)
}

/// Runs `program` to its end; returns what it printed. It must succeed.
pub(crate) fn output(program: &mut Command) -> String {
    let output = program.output().unwrap();
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), output.stderr);
    let errors = String::from_utf8_lossy(&errors);
    assert!(
        output.status.success(),
        "{program:?} failed:\n{text}{errors}"
    );
    text
}

/// A program that runs. Dropped, it is killed.
pub(crate) struct Running {
    program: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(program: &mut Command) -> Self {
        let mut program = program.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap()).lines();
        Self { program, lines }
    }

    /// Waits for a line that contains `text`, and returns it.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        let mut lines = self.lines.by_ref().map(Result::unwrap);
        let line = lines.find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("the program has ended without {text:?}"))
    }

    /// Waits until it has written to its store a random number of times, fewer than `max`, and a little
    /// longer; or until it has ended.
    pub(crate) fn wait_for_some_writes(&mut self, store: &Store, max: u64) {
        let (mut writes, mut last) = (random_below(max), Vec::new());
        while writes > 0 && self.program.try_wait().unwrap().is_none() {
            let now = store.last_write();
            if now != last {
                (writes, last) = (writes - 1, now);
            }
            thread::yield_now();
        }
        // Also in the middle of what follows a write.
        for _ in 0..random_below(1_000) {
            thread::yield_now();
        }
    }

    /// Kills it with SIGKILL, which it can't see coming. Returns whether it was alive.
    pub(crate) fn kill(mut self) -> bool {
        let is_alive = self.program.try_wait().unwrap().is_none();
        self.program.kill().unwrap();
        self.program.wait().unwrap();
        is_alive
    }

    /// Its id, for the operating system.
    pub(crate) fn id(&self) -> u32 {
        self.program.id()
    }

    /// Waits for its end; returns what it still printed. It must succeed.
    pub(crate) fn finish(mut self) -> String {
        let rest: Vec<_> = self.lines.by_ref().map(Result::unwrap).collect();
        let status = self.program.wait().unwrap();
        assert!(status.success(), "{status}; it said:\n{}", rest.join("\n"));
        rest.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.program.kill().ok();
        self.program.wait().ok();
    }
}

fn random_below(end: u64) -> u64 {
    RandomState::new().hash_one(0) % end
}
