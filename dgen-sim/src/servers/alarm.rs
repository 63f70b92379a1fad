//! Timers: what was set, cancelled, and has rung.

use std::time::{Duration, SystemTime};

use dgen_macros::dgen_server;
use dgen_server::Context;
use serde::{Deserialize, Serialize};

use crate::{history::Op, scene};

/// All that happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// In order.
    pub entries: Vec<Entry>,
}

/// Something that happened, and when by the clock that is never wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A timer was set.
    Set {
        /// By which message.
        op: Op,
        /// Its key.
        key: Option<u8>,
        /// When it is to ring, and how often from then on.
        after: Duration,
        /// Whether it rings again.
        is_periodic: bool,
        /// When.
        at: Duration,
    },
    /// The timer of that key was cancelled.
    Cancelled {
        /// By which message.
        op: Op,
        /// Its key.
        key: u8,
        /// When.
        at: Duration,
    },
    /// A timer rang.
    Rang {
        /// The message that has set it.
        op: Op,
        /// When it was due, from 1970.
        due: Duration,
        /// When.
        at: Duration,
    },
}

#[dgen_server]
impl Alarm {
    /// Rings once.
    #[call]
    pub fn set(&mut self, op: Op, after: Duration, key: Option<u8>, cx: &mut Context<Self>) -> i64 {
        let me = AlarmHandle::from(cx.handle());
        let timer = cx.send_after(after, me.ring(op));
        if let Some(key) = key {
            timer.key(key.to_string());
        }
        self.note(Entry::Set {
            op,
            key,
            after,
            is_periodic: false,
            at: scene::elapsed(),
        })
    }

    /// Rings every so often.
    #[call]
    pub fn every(&mut self, op: Op, period: Duration, key: u8, cx: &mut Context<Self>) -> i64 {
        let me = AlarmHandle::from(cx.handle());
        cx.send_every(key.to_string(), period, me.ring(op));
        self.note(Entry::Set {
            op,
            key: Some(key),
            after: period,
            is_periodic: true,
            at: scene::elapsed(),
        })
    }

    /// Cancels.
    #[call]
    pub fn cancel(&mut self, op: Op, key: u8, panics: u8, cx: &mut Context<Self>) -> i64 {
        scene::stumble(panics, cx.random());
        cx.cancel(key.to_string());
        let at = scene::elapsed();
        self.note(Entry::Cancelled { op, key, at })
    }

    /// It rings.
    #[cast]
    fn ring(&mut self, op: Op, cx: &mut Context<Self>) {
        let due = cx
            .due()
            .map(|due| due.at.duration_since(SystemTime::UNIX_EPOCH));
        let due = due.and_then(Result::ok).unwrap_or_default();
        let at = scene::elapsed();
        self.note(Entry::Rang { op, due, at });
    }

    /// All of it.
    #[call]
    pub fn state(&self) -> Self {
        self.clone()
    }

    fn note(&mut self, entry: Entry) -> i64 {
        self.entries.push(entry);
        self.entries.len() as i64
    }

    /// The messages of clients that took effect, in order.
    #[must_use]
    pub fn done(&self) -> Vec<Op> {
        self.entries.iter().filter_map(Entry::message).collect()
    }
}

impl Entry {
    /// The client's message that it is of; none if a timer did it.
    #[must_use]
    pub fn message(&self) -> Option<Op> {
        match self {
            Self::Set { op, .. } | Self::Cancelled { op, .. } => Some(*op),
            Self::Rang { .. } => None,
        }
    }
}
