//! A world, as data: which servers there are, which machines serve them, what clients send, and what
//! goes wrong meanwhile. All of it follows from a seed, and any part of it can be left out.

mod part;
mod random;
mod show;

use std::time::Duration;

use dgen_testkit::{faults::Rates, sim::Hazards};

pub use self::part::{NoPart, Part};

/// What is to happen. A world says nothing of schedules and delays: those follow from its seed.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// What it was made of, and what schedules and faults are made of.
    pub seed: u64,
    /// A part refers to a server, a machine or a client by its place here: so nothing moves when
    /// another is left out.
    pub servers: Vec<Option<Kind>>,
    /// Who serves and from where is sent.
    pub machines: Vec<Option<Machine>>,
    /// Who sends.
    pub clients: Vec<Option<Client>>,
    /// What goes wrong at a time.
    pub troubles: Vec<Option<Trouble>>,
    /// What goes wrong in the store, all the time.
    pub rates: Rates,
    /// What befalls machines at their await points.
    pub hazards: Hazards,
    /// Where all of it is stored.
    pub store: Store,
    /// Whether processes keep the states that they have read.
    pub has_cache: bool,
    /// At most so far is a machine's calendar from the truth, either way.
    pub skew_max: Duration,
}

/// A store, behind its machines' network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The reference model of the storage contract.
    Model,
    /// The embedded store, in memory.
    Embedded,
}

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Holds a number that is read and changed.
    Register {
        /// Whether some messages skip its queue.
        has_priority: bool,
        /// Whether somebody deletes it now and then.
        is_killed: bool,
    },
    /// Holds money, and sends it to others.
    Account,
    /// Works under its lock.
    Worker,
    /// Sends to itself, later.
    Alarm,
    /// Answers later.
    Desk,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Which servers it runs processes of.
    pub serves: Vec<usize>,
}

/// A client: it sends one message after the other, and awaits each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Where it runs. It goes on there when that machine comes back.
    pub machine: usize,
    /// What it sends.
    pub steps: Vec<Step>,
}

/// What a client does: waits, and then sends a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// No other step of this world has it.
    pub number: u32,
    /// Waits so long before.
    pub pause: Duration,
    /// To whom.
    pub server: usize,
    /// What.
    pub order: Order,
    /// How.
    pub way: Way,
}

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Of a register: its value.
    Read,
    /// Of a register: adds, and returns the new value.
    Add(i64),
    /// Of a register: sets, and returns the old value.
    Swap(i64),
    /// Of a register: casts that add, one or several at once.
    Increase(Vec<i64>),
    /// Of an account: sends money to another.
    Transfer {
        /// The other account.
        to: usize,
        /// How much.
        amount: i64,
    },
    /// Of a worker: works under its lock for so long, and returns how much it has worked.
    Work(Duration),
    /// Of a worker: works at once.
    Count,
    /// Of a worker: notes something that no lock holds up.
    Note,
    /// Of an alarm: rings once, after so long; a key's earlier one is replaced.
    Set {
        /// How long from now.
        after: Duration,
        /// The timer's key.
        key: Option<u8>,
    },
    /// Of an alarm: rings every so often.
    Every {
        /// How often.
        period: Duration,
        /// The timer's key.
        key: u8,
    },
    /// Of an alarm: cancels the timer of that key.
    Cancel(u8),
    /// Of a desk: asks for a number, which somebody else has it give.
    Ask,
    /// Of a desk: has it answer all who ask.
    Serve,
}

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Under an id, so that it can be sent again.
    pub has_id: bool,
    /// Past the queue.
    pub is_priority: bool,
    /// Casts alone: in a transaction of the sender's own.
    pub is_enqueued: bool,
    /// How long its sender waits each time.
    pub timeout: Duration,
    /// So often it is sent at most, until somebody answers.
    pub tries: u32,
    /// In so many of a hundred cases its handler panics, while there are faults.
    pub panics: u8,
}

/// What goes wrong at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When, from the beginning.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A machine dies, and comes back after so long.
    Death(usize, Duration),
    /// Nothing runs on a machine for so long.
    Freeze(usize, Duration),
    /// A machine does not reach the store for so long.
    CutOff(usize, Duration),
    /// A machine's process of a server is stopped in good order, and started again.
    Stop(usize, usize),
    /// All processes of a machine are shut down in good order, for at most so long; they come back.
    Shutdown(usize, Duration),
    /// A machine's calendar jumps: by so many milliseconds, back if negative.
    Jump(usize, i64),
    /// Somebody deletes a server; its machines start it again.
    Kill(usize),
    /// Somebody puts a server's dead letters into its queue again.
    Replay(usize),
}

impl World {
    /// The servers that are there, with their places.
    pub fn servers(&self) -> impl Iterator<Item = (usize, Kind)> + '_ {
        present(&self.servers).map(|(place, kind)| (place, *kind))
    }

    /// The machines that are there, with their places.
    pub fn machines(&self) -> impl Iterator<Item = (usize, &Machine)> {
        present(&self.machines)
    }

    /// The clients that are there, with their places.
    pub fn clients(&self) -> impl Iterator<Item = (usize, &Client)> {
        present(&self.clients)
    }

    /// What goes wrong at a time, with its place.
    pub fn troubles(&self) -> impl Iterator<Item = (usize, &Trouble)> {
        present(&self.troubles)
    }

    /// What is at that place.
    #[must_use]
    pub fn kind(&self, server: usize) -> Option<Kind> {
        self.servers.get(server).copied().flatten()
    }
}

fn present<T>(all: &[Option<T>]) -> impl Iterator<Item = (usize, &T)> {
    let all = all.iter().enumerate();
    all.filter_map(|(place, one)| Some((place, one.as_ref()?)))
}
