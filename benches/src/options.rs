//! What the command line says.

use std::path::PathBuf;

use clap::Parser;

/// Benchmarks of dgen.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
pub(crate) struct Options {
    /// Every flush takes so many simulated milliseconds; nothing is flushed for real. Without it,
    /// the real disk is measured.
    #[arg(long, value_name = "N")]
    pub(crate) flush_ms: Option<u64>,
    /// Runs only the cases whose name begins so, those that they are compared with, and `floor/1`.
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub(crate) case: String,
    /// How long a case is measured, in seconds, from 0.1 to 3600. `queue/million` takes as long as
    /// it takes.
    #[arg(long, value_name = "S", default_value_t = 5.0, value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// To see that it runs: half a second a case, and 50,000 items through the queue, 1,000 servers.
    #[arg(long)]
    pub(crate) quick: bool,
    /// How many servers there are in `grow/servers` and `idle`.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) servers: usize,
    /// Where the temporary folder is made; a folder in memory has no flush worth measuring.
    /// Default: the system's place for temporary files.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    /// Says what came of each case since an earlier run, whose output is in this file: the figure's ratio.
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// Draws how far each case is from its target, as SVG, into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// The program that `http` measures. Default: `examples/service`, built beside the benchmarks.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) service: Option<PathBuf>,
    /// Is the server that `http` compares with instead, in this folder, until it is killed.
    #[arg(long, value_name = "FOLDER", hide = true)]
    pub(crate) bare_server: Option<PathBuf>,
    /// Runs the cases on a FoundationDB cluster, instead of the others. They write to it, and clear
    /// what they have written.
    #[arg(long, conflicts_with_all = ["flush_ms", "dir"])]
    pub(crate) fdb: bool,
    /// The file that names the cluster. Default: the variable FDB_CLUSTER_FILE, else the machine's own.
    #[arg(long, value_name = "FILE", requires = "fdb")]
    pub(crate) cluster_file: Option<PathBuf>,
    /// Runs a consumer of the run of this number instead of cases, until its input ends.
    #[arg(long, value_name = "NUMBER", requires = "fdb", hide = true)]
    pub(crate) fdb_consumer: Option<u64>,
}

impl Options {
    /// How many servers there are where there are many.
    pub(crate) fn servers(&self) -> usize {
        match self.quick {
            true => self.servers.min(1_000),
            false => self.servers,
        }
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| (0.1..=3_600.0).contains(seconds))
        .ok_or_else(|| "not a number from 0.1 to 3600".to_owned())
}
