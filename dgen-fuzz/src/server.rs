//! Servers: whatever rows there are below one: its state, queue, hold, lock, replies, agenda, ids and
//! dead letters.
//!
//! All runs on one thread and on a clock that is moved by hand, so nothing takes time; what is not
//! done after an hour of that clock hangs.

use std::{future::Future, pin::pin, time::Duration};

use dgen_backend::{
    Tenant,
    tuple::{Element, Subspace},
};
use dgen_local::Options;
use dgen_server::{
    Context, Handle, Locked, LockedWork, Never, Reply, ReplyTo, Server, StartOptions,
};
use dgen_testkit::MockClock;
use serde::{Deserialize, Serialize};

use crate::{block_on, hush, rows, types::Everything};

const ID: &str = "demo";

/// How often the clock is moved by [`STEP`] before an operation hangs.
const STEPS_MAX: usize = 1_000;
const STEP: Duration = Duration::from_millis(3_600);
const YIELDS_A_STEP: usize = 20;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Ledger {
    #[serde(default)]
    waiting: Vec<ReplyTo<u32>>,
    #[serde(default)]
    everything: Everything,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum LedgerCall {
    Answer,
    Defer,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum LedgerCast {
    Set(Box<Everything>),
    SetTimers,
    AnswerAll,
    Panic,
    Lock { is_endless: bool },
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
            LedgerCall::Answer => Reply::ok(&7),
            LedgerCall::Defer => {
                let (to, deferred) = cx.defer();
                self.waiting.push(to);
                Reply::deferred(deferred)
            }
        }
    }

    fn handle_cast(&mut self, cast: LedgerCast, cx: &mut Context<Self>) {
        match cast {
            LedgerCast::Set(everything) => self.everything = *everything,
            LedgerCast::SetTimers => {
                let me = cx.handle();
                cx.send_after(Duration::from_secs(60), me.cast(LedgerCast::AnswerAll));
                let hour = Duration::from_secs(3_600);
                cx.send_every("hourly", hour, me.cast(LedgerCast::AnswerAll));
            }
            LedgerCast::AnswerAll => {
                for to in self.waiting.drain(..) {
                    cx.reply(to, &8);
                }
            }
            LedgerCast::Panic => panic!("asked to"),
            LedgerCast::Lock { .. } => cx.lock(),
        }
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, _cx: &mut Locked<Self>) -> Reply {
        if let LockedWork::Cast(LedgerCast::Lock { is_endless: true }) = work {
            std::future::pending::<()>().await;
        }
        Reply::ok(&9)
    }
}

fn subspace() -> Subspace {
    Subspace::from("dgen")
}

/// What all keys of the server begin with.
fn prefix() -> Vec<u8> {
    let id = Element::Tuple(vec![Element::String(ID.into())]);
    let server = vec![Element::String(Ledger::NAME.into()), id];
    subspace().subspace(&server).bytes().to_vec()
}

fn options() -> StartOptions {
    StartOptions::default()
        .max_attempts(2)
        .unknown_message_grace(Duration::from_secs(60))
}

async fn tenant(clock: &MockClock) -> Tenant {
    let db = Options::default().env(clock.env()).in_memory();
    Tenant::new(db.expect("memory can be had"), subspace())
}

/// Runs `operation` while the clock moves.
async fn moving<T>(clock: &MockClock, what: &str, operation: impl Future<Output = T>) -> T {
    let mut operation = pin!(operation);
    for _ in 0..STEPS_MAX {
        for _ in 0..YIELDS_A_STEP {
            let poll = std::future::poll_fn(|cx| {
                std::task::Poll::Ready(match operation.as_mut().poll(cx) {
                    std::task::Poll::Ready(output) => Some(output),
                    std::task::Poll::Pending => None,
                })
            });
            if let Some(output) = poll.await {
                return output;
            }
            tokio::task::yield_now().await;
        }
        clock.advance(STEP);
    }
    panic!("{what} hangs");
}

pub(crate) fn run(data: &[u8]) {
    hush();
    block_on(async {
        let clock = MockClock::new(1).auto_advance_max(Duration::from_millis(40));
        let tenant = tenant(&clock).await;
        let prefix = prefix();
        rows::set_below(tenant.database(), &prefix, data).await;
        let client = Handle::<Ledger>::client_with(&tenant, ID, options());
        let _status = moving(&clock, "status", client.status()).await;
        let _queue = moving(&clock, "queue_len", client.queue_len()).await;
        letters(&clock, &client).await;
        let urgent = client.call::<u32, Never>(LedgerCall::Answer).priority();
        let _urgent = moving(&clock, "a priority call", urgent.into_future()).await;
        let start = Handle::<Ledger>::start_with(&tenant, ID, (), options());
        if let Ok(ledger) = moving(&clock, "start", start).await {
            for call in [LedgerCall::Answer, LedgerCall::Defer] {
                let call = ledger.call::<u32, Never>(call).id("order-17");
                let _answer = moving(&clock, "a call", call.into_future()).await;
            }
            let cast = ledger.cast(LedgerCast::AnswerAll);
            let _cast = moving(&clock, "a cast", cast.into_future()).await;
            letters(&clock, &ledger).await;
            let _broken = moving(&clock, "break_lock", ledger.break_lock()).await;
            let _status = moving(&clock, "status", ledger.status()).await;
            moving(&clock, "stop", ledger.stop()).await;
        }
        let kill = moving(&clock, "kill", client.kill()).await;
        kill.expect("whatever it is, it can be killed");
        let left = rows::dump(tenant.database(), &prefix).await;
        assert_eq!(left, b"", "left by kill");
    });
}

async fn letters(clock: &MockClock, ledger: &Handle<Ledger>) {
    let Ok(letters) = moving(clock, "dead_letters", ledger.dead_letters()).await else {
        return;
    };
    for (place, letter) in letters.into_iter().take(4).enumerate() {
        if place % 2 == 0 {
            let _replayed = moving(clock, "replay", ledger.replay(letter.number)).await;
        } else {
            let dropped = ledger.drop_dead_letter(letter.number);
            let _dropped = moving(clock, "drop_dead_letter", dropped).await;
        }
    }
}

pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    hush();
    let seed = |casts: Vec<LedgerCast>, is_consumed: bool| {
        block_on(async move {
            let clock = MockClock::new(1).auto_advance_max(Duration::from_secs(1));
            let tenant = tenant(&clock).await;
            let client = Handle::<Ledger>::client(&tenant, ID);
            let start = Handle::<Ledger>::start_with(&tenant, ID, (), options());
            let ledger = start.await.expect("a seed starts");
            if !is_consumed {
                ledger.stop().await;
            }
            for (call, id) in [
                (LedgerCall::Answer, "order-17"),
                (LedgerCall::Defer, "order-18"),
            ] {
                let client = client.clone();
                let wait = async move {
                    let call = client
                        .call::<u32, Never>(call)
                        .id(id)
                        .timeout(Duration::MAX);
                    let _answer = call.await;
                };
                clock.env().spawn(wait).expect("there is a runtime");
            }
            for cast in casts {
                client.cast(cast).await.expect("it fits");
            }
            // Until nothing changes any more: who waits and who works waits for ever.
            for _ in 0..2_000 {
                tokio::task::yield_now().await;
            }
            rows::dump(tenant.database(), &prefix()).await
        })
    };
    let set = LedgerCast::Set(Box::new(Everything::sample()));
    let lock = |is_endless| LedgerCast::Lock { is_endless };
    vec![
        (
            "queued",
            seed(vec![set.clone(), lock(false), LedgerCast::Panic], false),
        ),
        (
            "timers",
            seed(vec![set.clone(), LedgerCast::SetTimers], true),
        ),
        (
            "dead",
            seed(vec![LedgerCast::Panic, LedgerCast::Panic], true),
        ),
        (
            "locked",
            seed(
                vec![set, LedgerCast::SetTimers, lock(true), LedgerCast::Panic],
                true,
            ),
        ),
    ]
}
