//! What happens to the programs of one store, from a seed.

use std::{fmt, time::Duration};

use dgen_testkit::Random;

/// What is lost with a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nothing that it wrote; its files are those of the directory, flushed for real.
    Plain,
    /// Nothing that it wrote, yet what was not flushed may go at the next loss of power.
    Cached,
    /// All that was not flushed.
    Forgetful,
    /// Of what was not flushed some, and some of it in part.
    Tearing,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Cached, Self::Forgetful, Self::Tearing];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Cached => "cached",
            Self::Forgetful => "forgetful",
            Self::Tearing => "tearing",
        })
    }
}

/// When a program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// So long after its start.
    After(Duration),
    /// Once so many messages were acknowledged.
    Acknowledged(u64),
    /// At this operation of its disk.
    Operation(u64),
    /// At this operation of its disk that is none of the log's.
    DataOperation(u64),
    /// Once it has opened its store, before it writes anything.
    Opened,
    /// Once so many callers have said what they found.
    Seen(u64),
    /// At this operation of its disk, counted from when it begins to close its store.
    Closing(u64),
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(time) => write!(f, "{time:?} after its start"),
            Self::Acknowledged(count) => write!(f, "after {count} acknowledgements"),
            Self::Operation(number) => write!(f, "at operation {number} of its disk"),
            Self::DataOperation(number) => write!(f, "at operation {number} of its data"),
            Self::Opened => f.write_str("once its store was open"),
            Self::Seen(count) => write!(f, "once {count} callers saw what was left"),
            Self::Closing(number) => write!(f, "at operation {number} of its close"),
        }
    }
}

/// One program, from its start to its death.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
    pub(crate) kill: Kill,
    pub(crate) segment_size_bytes: u64,
    /// How long a flush takes that is not real.
    pub(crate) flush_micros: u64,
    pub(crate) audits: bool,
    /// Its successor is started before it is killed, and waits for the store.
    pub(crate) is_overlapped: bool,
}

impl Life {
    pub(crate) fn draw(random: &mut Random, modes: &[Mode]) -> Self {
        let mode = modes[random.below(modes.len())];
        let kill = Kill::draw(random, mode);
        Self {
            seed: random.next_u64(),
            mode,
            kill,
            // So small that segments are full, and checkpoints made, all the time.
            segment_size_bytes: (16 * 1024) << random.below(4),
            // As on a fast device, or longer: others come while one waits.
            flush_micros: [0, 0, 100, 1_000, 3_000][random.below(5)],
            // What has been seen, and nothing done about it yet, must not vanish either.
            audits: !matches!(kill, Kill::Seen(_)) && random.chance(0.3),
            is_overlapped: random.chance(0.3),
        }
    }

    /// The same, or often a death soon after the start, if `last` has left something in the cache: what
    /// the one shows of what the other wrote must be durable.
    pub(crate) fn after(self, last: &Self, random: &mut Random) -> Self {
        let is_cached = last.mode == Mode::Cached && self.mode != Mode::Plain;
        if !is_cached || random.chance(0.4) {
            return self;
        }
        let kill = match random.below(2) {
            0 => Kill::Opened,
            _ => Kill::Operation(1 + random.below(16) as u64),
        };
        Self {
            kill,
            audits: false,
            ..self
        }
    }
}

impl Kill {
    fn draw(random: &mut Random, mode: Mode) -> Self {
        let kind = random.below(20);
        // Any order of magnitude: the first steps of a recovery, or far into the load.
        let magnitude = 4 << random.below(10);
        let number = 1 + random.below(magnitude) as u64;
        match (mode, kind) {
            (Mode::Plain, 0..8) | (_, 0..2) => Self::After(Duration::from_micros(number * 60)),
            (Mode::Plain, _) | (_, 2..4) => Self::Acknowledged(number.div_ceil(3)),
            (_, 4..6) => Self::Seen(1 + random.below(12) as u64),
            // Most of them behind the opening, where one of three writes a record of the log.
            (Mode::Cached, 9..) => Self::Operation(24 + number),
            (_, 6..9) => Self::Closing(1 + random.below(24) as u64),
            (_, 9..14) => Self::DataOperation(number.div_ceil(4)),
            _ => Self::Operation(number),
        }
    }
}
