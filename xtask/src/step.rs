//! The steps of a task: each is named before it runs, and its time is printed behind it.

use std::time::Duration;

use crate::{outcome::Outcome, stopwatch::Stopwatch};

/// The steps that were run.
pub(crate) struct Steps {
    all: Stopwatch,
    passed: Vec<(&'static str, Duration)>,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self {
            all: Stopwatch::start(),
            passed: Vec::new(),
        }
    }

    /// Runs a step. The first that fails ends the task.
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Outcome) -> Outcome {
        println!("==> {name}");
        let watch = Stopwatch::start();
        let result = step();
        let seconds = watch.elapsed().as_secs_f64();
        match result {
            Ok(()) => {
                println!("<== {name}: passed in {seconds:.1} s\n");
                self.passed.push((name, watch.elapsed()));
                Ok(())
            }
            Err(error) => Err(format!("{name}: failed after {seconds:.1} s: {error}").into()),
        }
    }

    /// Says that a step was left out, and why.
    pub(crate) fn skip(&self, name: &str, why: &str) {
        println!("==> {name}: not run: {why}\n");
    }

    /// Prints what every step took, and all together on the last line.
    pub(crate) fn finish(self) {
        for (name, took) in &self.passed {
            println!("{name:20} {:8.1} s", took.as_secs_f64());
        }
        println!("passed in {:.1} s", self.all.elapsed().as_secs_f64());
    }
}
