//! What handlers know of the world that they are in, and what it sees of them: one world a thread,
//! since a handler is a plain function of a stored state.

use std::{
    cell::RefCell,
    time::{Duration, Instant},
};

use dgen_backend::env::Env;

use crate::history::Op;

thread_local! {
    static SCENE: RefCell<Option<Scene>> = const { RefCell::new(None) };
}

struct Scene {
    truth: Env,
    begun: Instant,
    is_stormy: bool,
    runs: Vec<Run>,
}

/// A run of locked work.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The worker's place.
    pub server: usize,
    /// What it works on.
    pub op: Op,
    /// Its holder's fence.
    pub fence: u64,
    /// When it began, from the world's beginning.
    pub begun: Duration,
    /// When it ended, and how; none while it goes on.
    pub ended: Option<(Duration, End)>,
}

/// How a run of locked work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It came to its end.
    Done,
    /// It panicked.
    Panicked,
    /// It was dropped: its machine died, its process was stopped, or it has lost the lock.
    Dropped,
}

/// The scene of this thread's world, until it is dropped.
#[derive(Debug)]
pub struct Set(());

impl Set {
    /// Begins, by the clock that is never wrong.
    #[must_use]
    pub fn new(truth: Env) -> Self {
        let begun = truth.now();
        let scene = Scene {
            truth,
            begun,
            is_stormy: true,
            runs: Vec::new(),
        };
        SCENE.set(Some(scene));
        Self(())
    }

    /// From now on, no handler panics.
    pub fn calm(&self) {
        with(|scene| scene.is_stormy = false);
    }

    /// All locked work until now.
    #[must_use]
    pub fn runs(&self) -> Vec<Run> {
        with(|scene| scene.runs.clone()).unwrap_or_default()
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        SCENE.set(None);
    }
}

/// How long the world goes on.
#[must_use]
pub fn elapsed() -> Duration {
    with(|scene| scene.truth.now() - scene.begun).unwrap_or_default()
}

/// Panics in `panics` of a hundred cases, while things go wrong; `random` says in which.
///
/// # Panics
/// That is what it is for.
pub fn stumble(panics: u8, random: [u8; 1]) {
    let is_stormy = with(|scene| scene.is_stormy).unwrap_or(false);
    let share = u32::from(random[0]) * 100 / 256;
    if is_stormy && share < u32::from(panics) {
        std::panic::panic_any(Stumbled);
    }
}

/// What a handler panics with.
#[derive(Debug)]
pub struct Stumbled;

/// A run of locked work that goes on. Dropped, it was dropped.
#[derive(Debug)]
pub struct Running(usize);

impl Running {
    /// Begins one.
    #[must_use]
    pub fn new(server: usize, op: Op, fence: u64) -> Self {
        let begun = elapsed();
        let run = Run {
            server,
            op,
            fence,
            begun,
            ended: None,
        };
        let number = with(|scene| {
            scene.runs.push(run);
            scene.runs.len() - 1
        });
        Self(number.unwrap_or(usize::MAX))
    }

    /// It came to its end.
    pub fn done(self) {
        self.end(End::Done);
    }

    fn end(&self, end: End) {
        let at = elapsed();
        with(|scene| {
            if let Some(run) = scene.runs.get_mut(self.0) {
                run.ended.get_or_insert((at, end));
            }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(match std::thread::panicking() {
            true => End::Panicked,
            false => End::Dropped,
        });
    }
}

fn with<T>(f: impl FnOnce(&mut Scene) -> T) -> Option<T> {
    // Where a thread ends, or no world is there, nobody asks.
    SCENE
        .try_with(|scene| scene.try_borrow_mut().ok()?.as_mut().map(f))
        .ok()
        .flatten()
}
