//! A server that writes down every message that takes effect, of every kind that there is.

use std::{cell::RefCell, time::Duration};

use dgen_backend::tuple::Element;
use dgen_server::{
    Context, Handle, Locked, LockedWork, Never, Reply, Server, StartOptions, Tenant,
};
use serde::{Deserialize, Serialize};

use super::mortal::Life;

/// What a timer notes is the number of who set it, and this.
pub(crate) const TIMED: u32 = 1_000_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) seen: Vec<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum LedgerCall {
    Note(u32),
    /// Notes in locked work, here and at another server.
    Lock(u32, String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum LedgerCast {
    Note(u32),
    /// Notes here and at another server.
    Forward(u32, String),
    /// The same, in locked work.
    Lock(u32, String),
    /// Notes, and once more by a timer.
    Later(u32),
    /// Notes, and once more by a timer in a year.
    NextYear(u32),
    /// Locks for ever.
    Block,
    /// Notes, and runs two actions.
    Act(u32),
}

/// A place in the user's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Handler,
    FirstAction,
    SecondAction,
    LockedWork,
    LockedWorkDone,
}

thread_local! {
    /// Where which process dies.
    pub(crate) static DIES: RefCell<Option<(Point, Life)>> = const { RefCell::new(None) };
    /// The actions that were run by living processes.
    pub(crate) static ACTIONS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// The process may die here; false once it is dead.
fn pass(point: Point) -> bool {
    DIES.with_borrow(|dies| {
        let Some((dies_at, life)) = dies else {
            return true;
        };
        if *dies_at == point {
            life.end();
        }
        !life.is_dead()
    })
}

fn act(point: Point, name: &'static str) {
    if pass(point) {
        ACTIONS.with_borrow_mut(|actions| actions.push(name));
    }
}

pub(crate) fn options() -> StartOptions {
    StartOptions::default().lock_lease(Duration::from_secs(1))
}

fn send(number: u32, to: &str, cx: &mut Context<Ledger>) {
    let to = Handle::<Ledger>::client(cx.tenant(), to);
    cx.send(to.cast(LedgerCast::Note(number)));
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Ledger {
    fn note_after(&mut self, delay: Duration, number: u32, cx: &mut Context<Self>) {
        self.seen.push(number);
        let me = cx.handle();
        cx.send_after(delay, me.cast(LedgerCast::Note(TIMED + number)));
    }
}

impl Server for Ledger {
    const NAME: &'static str = "Ledger";
    type Args = ();
    type InitError = Never;
    type Call = LedgerCall;
    type Cast = LedgerCast;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: LedgerCall, cx: &mut Context<Self>) -> Reply {
        match call {
            LedgerCall::Note(number) => {
                self.seen.push(number);
                Reply::ok(&number)
            }
            LedgerCall::Lock(..) => {
                cx.lock();
                Reply::later()
            }
        }
    }

    fn handle_cast(&mut self, cast: LedgerCast, cx: &mut Context<Self>) {
        match cast {
            LedgerCast::Note(number) => self.seen.push(number),
            LedgerCast::Forward(number, to) => {
                self.seen.push(number);
                pass(Point::Handler);
                send(number, &to, cx);
            }
            LedgerCast::Lock(..) | LedgerCast::Block => cx.lock(),
            LedgerCast::Later(number) => self.note_after(Duration::from_millis(3), number, cx),
            LedgerCast::NextYear(number) => self.note_after(YEAR, number, cx),
            LedgerCast::Act(number) => {
                self.seen.push(number);
                cx.after_commit(|_| act(Point::FirstAction, "first"));
                cx.after_commit(|_| act(Point::SecondAction, "second"));
            }
        }
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, cx: &mut Locked<Self>) -> Reply {
        let (LockedWork::Call(LedgerCall::Lock(number, to))
        | LockedWork::Cast(LedgerCast::Lock(number, to))) = work
        else {
            return std::future::pending().await;
        };
        for _ in 0..3 {
            tokio::task::yield_now().await;
            pass(Point::LockedWork);
        }
        self.seen.push(number);
        send(number, &to, cx);
        pass(Point::LockedWorkDone);
        Reply::ok(&number)
    }
}

/// The state of a ledger in the store, read without it.
pub(crate) async fn stored(store: &Tenant, id: &str) -> Ledger {
    let id = Element::Tuple(vec![Element::String(id.into())]);
    let server = vec![Element::String(Ledger::NAME.into()), id];
    let state = store.subspace().subspace(&server).subspace(&"s");
    let db = store.database();
    let loaded = db.transact(async |tx| dgen_codec::load::<Ledger>(&tx, &state).await);
    let loaded = loaded.await.expect("the state can be read");
    loaded.map(|loaded| loaded.value).unwrap_or_default()
}
