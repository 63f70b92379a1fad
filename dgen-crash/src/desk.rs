//! The server that the load acts on.
//!
//! Each caller numbers its messages from 1. A desk keeps the last number of each and what came out
//! of order: so what was lost and what came twice shows, and the state stays small. What comes by a
//! timer keeps no order, and is kept as a set.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use dgen_macros::dgen_server;
use dgen_server::{Context, Deferred, Locked, ReplyTo};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{lie::Lie, numbers::Numbers};

/// How often a desk that ticks does.
const TICK: Duration = Duration::from_millis(5);

const TICKING: &str = "tick";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Desk {
    /// The last message of each caller.
    pub(crate) last: BTreeMap<String, u64>,
    /// What was not the next message of its caller.
    pub(crate) out_of_order: Vec<(String, u64)>,
    /// What came by a timer.
    pub(crate) rung: BTreeMap<String, Numbers>,
    /// Calls whose answer another desk knows.
    pub(crate) asking: Vec<Asking>,
    pub(crate) balance: i64,
    /// The last parcel of each caller.
    pub(crate) parcels: BTreeMap<String, ByteBuf>,
    /// Poison is harmless.
    pub(crate) is_immune: bool,
    pub(crate) survived: Numbers,
    /// When the last tick was due.
    pub(crate) ticked: Option<SystemTime>,
    pub(crate) ticks_twice: u32,
    pub(crate) is_ticking: bool,
}

/// A call that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asking {
    /// A list is stored item by item where items have one.
    id: String,
    to: ReplyTo<u64>,
}

/// The lie of this program, if it is one of a handler's.
static LIE: std::sync::OnceLock<Lie> = std::sync::OnceLock::new();

/// Has handlers of this program lie.
pub(crate) fn plant(lie: Lie) {
    LIE.get_or_init(|| lie);
}

fn is_planted(lie: Lie) -> bool {
    LIE.get() == Some(&lie)
}

impl Desk {
    fn take(&mut self, caller: String, number: u64) {
        let last = self.last.entry(caller.clone()).or_default();
        if number != *last + 1 {
            self.out_of_order.push((caller, number));
        }
        *last = number;
    }

    fn other(cx: &Context<Self>, id: &str) -> DeskHandle {
        DeskHandle::client(cx.tenant(), id)
    }
}

#[dgen_server]
impl Desk {
    /// Takes the next message of `caller`.
    #[call]
    pub(crate) fn step(&mut self, caller: String, number: u64) -> u64 {
        self.take(caller, number);
        number
    }

    /// The same, not answered.
    #[cast]
    pub(crate) fn note(&mut self, caller: String, number: u64) {
        self.take(caller, number);
    }

    /// Counts: told twice, it counts twice.
    #[call]
    pub(crate) fn count(&mut self, caller: String) -> u64 {
        let last = self.last.entry(caller).or_default();
        *last += 1;
        *last
    }

    /// The same, not answered.
    #[cast]
    pub(crate) fn count_on(&mut self, caller: String) {
        *self.last.entry(caller).or_default() += 1;
    }

    /// The last message of `caller`, behind all that it has sent before.
    #[call]
    pub(crate) fn last(&self, caller: String) -> u64 {
        self.last.get(&caller).copied().unwrap_or_default()
    }

    /// Takes a message here, and has another desk take it.
    #[cast]
    pub(crate) fn relay(
        &mut self,
        caller: String,
        number: u64,
        to: String,
        cx: &mut Context<Self>,
    ) {
        self.take(caller.clone(), number);
        let other = Self::other(cx, &to);
        cx.send(other.note(caller.clone(), number));
        if is_planted(Lie::SendsTwice) {
            cx.send(other.note(caller, number));
        }
    }

    /// Moves money.
    #[call]
    pub(crate) fn transfer(
        &mut self,
        caller: String,
        number: u64,
        amount: i64,
        to: String,
        cx: &mut Context<Self>,
    ) -> u64 {
        self.take(caller.clone(), number);
        self.balance -= amount;
        if !(is_planted(Lie::KeepsTheMoney) && number.is_multiple_of(10)) {
            let other = Self::other(cx, &to);
            cx.send(other.deposit(caller, number, amount));
        }
        number
    }

    #[cast]
    pub(crate) fn deposit(&mut self, caller: String, number: u64, amount: i64) {
        self.take(caller, number);
        self.balance += amount;
    }

    /// Takes a message in locked work, and has another desk take it.
    #[call(locked)]
    pub(crate) async fn work(
        &mut self,
        caller: String,
        number: u64,
        to: String,
        cx: &mut Locked<Self>,
    ) -> u64 {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        self.take(caller.clone(), number);
        let other = Self::other(cx, &to);
        cx.send(other.note(caller, number));
        number
    }

    /// Takes a message, and has another desk ring.
    #[cast]
    pub(crate) fn later(
        &mut self,
        caller: String,
        number: u64,
        millis: u64,
        to: String,
        cx: &mut Context<Self>,
    ) {
        self.take(caller.clone(), number);
        let ring = Self::other(cx, &to);
        let key = format!("{caller} {number}");
        let timer = cx.send_after(Duration::from_millis(millis), ring.ring(caller, number));
        if number.is_multiple_of(2) {
            timer.key(key);
        }
    }

    #[cast]
    pub(crate) fn ring(&mut self, caller: String, number: u64) {
        self.rung.entry(caller).or_default().insert(number);
    }

    /// Takes a message, and answers once another desk has.
    #[call]
    pub(crate) fn ask(
        &mut self,
        caller: String,
        number: u64,
        me: String,
        via: String,
        cx: &mut Context<Self>,
    ) -> Deferred<u64> {
        self.take(caller.clone(), number);
        let (to, deferred) = cx.defer();
        let id = format!("{caller} {number}");
        self.asking.push(Asking { id, to });
        let other = Self::other(cx, &via);
        cx.send(other.pass_on(caller, number, me));
        deferred
    }

    #[cast]
    pub(crate) fn pass_on(
        &mut self,
        caller: String,
        number: u64,
        back: String,
        cx: &mut Context<Self>,
    ) {
        self.take(caller.clone(), number);
        let other = Self::other(cx, &back);
        cx.send(other.answer(caller, number));
    }

    #[cast]
    pub(crate) fn answer(&mut self, caller: String, number: u64, cx: &mut Context<Self>) {
        let id = format!("{caller} {number}");
        match self.asking.iter().position(|asking| asking.id == id) {
            Some(place) => cx.reply(self.asking.remove(place).to, &number),
            None => self.out_of_order.push((caller, number)),
        }
    }

    /// Takes a message, and keeps what is in it.
    #[cast]
    pub(crate) fn keep(&mut self, caller: String, number: u64, parcel: ByteBuf) {
        self.take(caller.clone(), number);
        self.parcels.insert(caller, parcel);
    }

    /// Panics, unless the desk is immune.
    #[cast]
    pub(crate) fn poison(&mut self, number: u64) {
        assert!(self.is_immune, "{}", crate::child::POISONED);
        self.survived.insert(number);
    }

    /// Makes the desk immune.
    #[call]
    pub(crate) fn cure(&mut self) {
        self.is_immune = true;
    }

    /// Has the desk tick, if it does not.
    #[call]
    pub(crate) fn wind_up(&mut self, cx: &mut Context<Self>) {
        if !self.is_ticking {
            self.is_ticking = true;
            let me = DeskHandle::from(cx.handle());
            cx.send_every(TICKING, TICK, me.tick());
        }
    }

    /// Stops that.
    #[call]
    pub(crate) fn run_down(&mut self, cx: &mut Context<Self>) {
        self.is_ticking = false;
        cx.cancel(TICKING);
    }

    #[cast]
    pub(crate) fn tick(&mut self, cx: &mut Context<Self>) {
        let due = cx.due().map(|due| due.at);
        if due.is_none() || due <= self.ticked {
            self.ticks_twice += 1;
        }
        self.ticked = due;
    }

    /// All of it.
    #[call]
    pub(crate) fn read(&self) -> Desk {
        self.clone()
    }
}
