//! What goes wrong in a simulated world, and its bounds.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dgen_backend::env::Env;

use super::{Executor, Inner, Limits, Phase, Ready, Sim, State, Timers, trace::Trace};
use crate::{Random, faults::Rates};

/// What befalls machines by itself: how probable it is at each await point, that is behind each turn
/// of each task of a machine. 0.0 for never. Default: never.
///
/// A server that does something takes some ten turns a message; one that has nothing to do, a few
/// each second. So 0.001 is often.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hazards {
    /// The machine dies.
    pub death: f64,
    /// The machine freezes for up to 15 seconds: its clocks go on, and nothing of it runs.
    pub freeze: f64,
    /// The machine's stores are out of reach for up to 15 seconds.
    pub cut_off: f64,
    /// The machine's calendar jumps, to where it is wrong by up to [`Builder::skew_max`].
    pub clock_jump: f64,
}

/// A world to be. Made by [`Sim::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    seed: u64,
    rates: Rates,
    hazards: Hazards,
    limits: Limits,
}

impl Builder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            rates: Rates::default(),
            hazards: Hazards::default(),
            limits: Limits {
                steps_max: 5_000_000,
                time_max: Duration::from_secs(366 * 86_400),
                latency_max: Duration::from_millis(2),
                skew_max: Duration::from_secs(3),
                drift_max_ppm: 200,
            },
        }
    }

    /// How often the stores of machines fail. Default: never.
    pub fn faults(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// What befalls machines. Default: nothing.
    pub fn hazards(mut self, hazards: Hazards) -> Self {
        self.hazards = hazards;
        self
    }

    /// How long a request to the store takes at most, and as long an answer. Default: 2 milliseconds.
    pub fn latency_max(mut self, max: Duration) -> Self {
        self.limits.latency_max = max;
        self
    }

    /// By how much the calendar of a machine is wrong at most, to either side. Default: 3 seconds.
    pub fn skew_max(mut self, max: Duration) -> Self {
        self.limits.skew_max = max;
        self
    }

    /// By how many millionths a machine's clocks are too fast or too slow at most. Default: 200.
    ///
    /// # Panics
    /// If it is more than half.
    pub fn drift_max_ppm(mut self, max: u32) -> Self {
        assert!(max <= 500_000, "a clock goes on");
        self.limits.drift_max_ppm = max;
        self
    }

    /// After how many turns a run is given up. Default: 5,000,000.
    pub fn steps_max(mut self, max: u64) -> Self {
        self.limits.steps_max = max;
        self
    }

    /// After how much virtual time a run is given up. Default: 366 days.
    pub fn time_max(mut self, max: Duration) -> Self {
        self.limits.time_max = max;
        self
    }

    /// The world.
    #[must_use]
    pub fn build(self) -> Sim {
        let state = State {
            elapsed: Duration::ZERO,
            steps: 0,
            phase: Phase::Idle,
            random: Random::new(self.seed),
            rates: self.rates,
            hazards: self.hazards,
            executor: Executor::default(),
            timers: Timers::default(),
            machines: Vec::new(),
            faults: Vec::new(),
            trace: Trace::default(),
        };
        Sim {
            inner: Arc::new(Inner {
                seed: self.seed,
                started: Env::system().now(),
                limits: self.limits,
                ready: Arc::new(Ready::default()),
                state: Mutex::new(state),
            }),
        }
    }
}
