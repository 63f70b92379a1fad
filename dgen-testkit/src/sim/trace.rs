//! What has happened, as a hash, and the last of it as text.

use std::{collections::VecDeque, fmt, time::Duration};

use xxhash_rust::xxh3::Xxh3Default;

/// So many notes are printed.
const NOTES_MAX: usize = 40;

/// A hash over every event, and the last notes.
#[derive(Default)]
pub(super) struct Trace {
    hasher: Xxh3Default,
    notes: VecDeque<(Duration, String)>,
}

/// The kinds of events, in the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Event {
    Turn,
    Read,
    Write,
    Conflict,
    Watch,
    Sent,
    Arrived,
    Note,
}

impl Trace {
    pub(super) fn add(&mut self, event: Event, number: u64, bytes: &[u8]) {
        self.hasher.update(&[event as u8]);
        self.hasher.update(&number.to_le_bytes());
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    pub(super) fn note(&mut self, elapsed: Duration, text: String) {
        self.add(Event::Note, elapsed.as_nanos() as u64, text.as_bytes());
        if self.notes.len() == NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back((elapsed, text));
    }

    pub(super) fn hash(&self) -> u64 {
        self.hasher.digest()
    }
}

/// The last notes, one a line.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (elapsed, text) in &self.notes {
            writeln!(f, "{:>16.6} s  {text}", elapsed.as_secs_f64())?;
        }
        Ok(())
    }
}
