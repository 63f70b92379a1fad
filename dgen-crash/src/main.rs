//! `cargo xtask crash` runs this: the harness, and as `child` the program that it kills.

use std::{io, process::ExitCode};

use clap::{Parser, Subcommand};
use dgen_backend::env::Env;
use dgen_crash::{Child, Harness, Lie};

/// Kills a program on an embedded store, again and again, and checks what is left.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask crash", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// The program that is killed.
    #[command(hide = true)]
    Child(Child),
}

#[derive(Debug, clap::Args)]
struct Run {
    /// How many programs to kill.
    #[arg(long, default_value_t = 1_000)]
    rounds: u64,
    /// What happens follows from it, up to the moment. Drawn if it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Plants a fault, to see it found.
    #[arg(long, hide = true)]
    lie: Option<Lie>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.task {
        Some(Task::Child(child)) => child.run(),
        None => arguments.run.run().unwrap_or_else(|error| {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }),
    }
}

impl Run {
    fn run(&self) -> io::Result<ExitCode> {
        let seed = self.seed;
        // Short, to be typed.
        let seed = seed.unwrap_or_else(|| u32::from_le_bytes(Env::system().random()).into());
        println!("seed {seed}");
        let mut harness = Harness::new(std::env::current_exe()?);
        if let Some(lie) = self.lie {
            harness = harness.with_lie(lie);
        }
        let summary = harness.run(seed, self.rounds, |line| println!("{line}"))?;
        println!("{summary}");
        Ok(if summary.failures.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
