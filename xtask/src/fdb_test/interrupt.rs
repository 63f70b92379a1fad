//! Ctrl-C and the other ways to ask this program to end: noted, so that what it started is stopped
//! before it does.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    flag,
};

use crate::outcome::Outcome;

/// The signals that ask for an end.
const SIGNALS: [(i32, &str); 4] = [
    (SIGHUP, "SIGHUP"),
    (SIGINT, "SIGINT"),
    (SIGQUIT, "SIGQUIT"),
    (SIGTERM, "SIGTERM"),
];

/// Notes signals while it lives; afterwards they do what they do by default.
pub(super) struct Interrupt {
    /// The signal that came last, or 0.
    signal: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Interrupt {
    pub(super) fn listen() -> Outcome<Self> {
        let interrupt = Self {
            signal: Arc::default(),
            is_over: Arc::default(),
        };
        for (signal, _) in SIGNALS {
            flag::register_conditional_default(signal, Arc::clone(&interrupt.is_over))?;
            let number = usize::try_from(signal).expect("a signal's number is above 0");
            flag::register_usize(signal, Arc::clone(&interrupt.signal), number)?;
        }
        Ok(interrupt)
    }

    /// An error once one of the signals has come.
    pub(super) fn check(&self) -> Outcome {
        let came = self.signal.load(Ordering::SeqCst);
        let name = SIGNALS
            .iter()
            .find(|(signal, _)| usize::try_from(*signal) == Ok(came));
        match name {
            None => Ok(()),
            Some((_, name)) => Err(format!("stopped by {name}").into()),
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}
