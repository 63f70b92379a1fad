//! Many consumers of one server, in one OS process and in several.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    time::Duration,
};

use dgen_server::{Context, Handle, Never, Reply, Server, StartOptions, Tenant};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::support::{elsewhere::elsewhere, patience::until, *};

const CALLERS: u32 = 40;
const MESSAGES_PER_CALLER: u32 = 250;
const MESSAGES: u32 = CALLERS * MESSAGES_PER_CALLER;

/// How long a caller waits for its turn among so many, on a slow machine too.
const PATIENT: Duration = Duration::from_secs(60);

/// Counts, and notices a caller's message that comes out of its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Turnstile {
    total: u32,
    by_caller: BTreeMap<u32, u32>,
    out_of_order: Vec<(u32, u32)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum TurnstileCall {
    Pass { caller: u32, number: u32 },
    Read,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pass {
    caller: u32,
    number: u32,
}

impl Turnstile {
    fn pass(&mut self, caller: u32, number: u32) {
        let last = self.by_caller.entry(caller).or_default();
        if number != *last + 1 {
            self.out_of_order.push((caller, number));
        }
        *last = number;
        self.total += 1;
    }
}

impl Server for Turnstile {
    const NAME: &'static str = "Turnstile";
    type Args = ();
    type InitError = Never;
    type Call = TurnstileCall;
    type Cast = Pass;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: TurnstileCall, _cx: &mut Context<Self>) -> Reply {
        match call {
            TurnstileCall::Pass { caller, number } => {
                self.pass(caller, number);
                Reply::ok(&self.total)
            }
            TurnstileCall::Read => Reply::ok(&*self),
        }
    }

    fn handle_cast(&mut self, Pass { caller, number }: Pass, _cx: &mut Context<Self>) {
        self.pass(caller, number);
    }
}

type TurnstileHandle = Handle<Turnstile>;

/// Nobody polls: whoever is not woken waits for ever.
fn options() -> StartOptions {
    StartOptions::default().poll_interval(Duration::from_secs(1_000_000))
}

async fn start(tenant: &Tenant) -> TurnstileHandle {
    let started = TurnstileHandle::start_with(tenant, "demo", (), options());
    started.await.unwrap()
}

fn client(tenant: &Tenant) -> TurnstileHandle {
    TurnstileHandle::client_with(tenant, "demo", options())
}

/// Sends message `number` of `caller`: every third is a cast.
async fn pass(turnstile: &TurnstileHandle, caller: u32, number: u32) {
    if number.is_multiple_of(3) {
        turnstile.cast(Pass { caller, number }).await.unwrap();
        return;
    }
    let call = TurnstileCall::Pass { caller, number };
    let call = turnstile.call::<u32, Never>(call);
    call.timeout(PATIENT).await.unwrap();
}

/// Each caller sends its messages one after the other, caller by caller to the handles in turn.
/// Returns how many each had sent when the first was done.
async fn pass_all(handles: &[TurnstileHandle]) -> Vec<u32> {
    let sent: Vec<_> = (0..CALLERS).map(|_| Cell::new(0)).collect();
    let at_first = RefCell::new(Vec::new());
    join_all(
        (0..CALLERS)
            .zip(handles.iter().cycle())
            .map(|(caller, turnstile)| {
                let (sent, at_first) = (&sent, &at_first);
                async move {
                    for number in 1..=MESSAGES_PER_CALLER {
                        pass(turnstile, caller, number).await;
                        sent[caller as usize].set(number);
                    }
                    if at_first.borrow().is_empty() {
                        at_first.replace(sent.iter().map(Cell::get).collect());
                    }
                }
            }),
    )
    .await;
    at_first.into_inner()
}

/// Every message took effect once, and each caller's in its order.
async fn check(turnstile: &TurnstileHandle) {
    let read = turnstile.call::<Turnstile, Never>(TurnstileCall::Read);
    let read = read.timeout(PATIENT).await.unwrap();
    assert_eq!(read.total, MESSAGES);
    assert_eq!(read.out_of_order, []);
    assert!(
        read.by_caller
            .values()
            .all(|last| *last == MESSAGES_PER_CALLER),
        "{read:?}"
    );
}

/// Nobody was left behind while all were under way.
fn check_none_starved(at_first: &[u32]) {
    let (least, most) = (
        at_first.iter().min().unwrap(),
        at_first.iter().max().unwrap(),
    );
    println!("when the first caller had sent {most}, the last had sent {least}");
    assert!(*least > most / 4, "{at_first:?}");
}

on_each_store! {
    /// SPEC S11, S2: four OS processes consume one server, each with callers of its own: 10,000
    /// messages take effect once, in the order of each caller, and no caller starves.
    async fn four_os_processes_serve_one_server(store: Store) {
        let tenants: Vec<_> = (0..4).map(|_| elsewhere(&store.tenant)).collect();
        let handles = join_all(tenants.iter().map(start)).await;
        check_none_starved(&pass_all(&handles).await);
        check(&handles[0]).await;
    }

    /// SPEC S11, S2: the same with four processes in one OS process.
    async fn four_processes_next_to_each_other_serve_one_server(store: Store) {
        let handles = join_all((0..4).map(|_| start(&store.tenant))).await;
        check_none_starved(&pass_all(&handles).await);
        check(&handles[0]).await;
    }

    /// SPEC S11, S2: callers that consume nothing, and reach four consumers through the queue.
    async fn callers_elsewhere_are_served_by_four_processes(store: Store) {
        let consumers: Vec<_> = (0..4).map(|_| elsewhere(&store.tenant)).collect();
        let consumers = join_all(consumers.iter().map(start)).await;
        let clients = [0; 4].map(|_| client(&elsewhere(&store.tenant)));
        check_none_starved(&pass_all(&clients).await);
        check(&consumers[0]).await;
    }

    /// SPEC S11, S10: consumers come and go meanwhile, here and elsewhere: nothing is lost, nothing
    /// happens twice, and no caller notices.
    async fn consumers_that_come_and_go_lose_nothing(store: Store) {
        let tenants = [&store.tenant, &elsewhere(&store.tenant), &elsewhere(&store.tenant)];
        let clients: Vec<_> = tenants.iter().map(|tenant| client(tenant)).collect();
        let is_over = Cell::new(false);
        let comings = Cell::new(0);
        let come_and_go = join_all(tenants.iter().map(|tenant| {
            let (is_over, comings) = (&is_over, &comings);
            async move {
                while !is_over.get() {
                    let consumer = start(tenant).await;
                    comings.set(comings.get() + 1);
                    let rounds = consumer.queue_len().await.unwrap();
                    for _ in 0..rounds % 5 + 5 {
                        tokio::task::yield_now().await;
                    }
                    consumer.stop().await;
                }
            }
        }));
        let callers = async {
            pass_all(&clients).await;
            is_over.set(true);
        };
        tokio::join!(come_and_go, callers);
        println!("{} consumers came and went", comings.get());
        assert!(comings.get() > 10);
        check(&start(&store.tenant).await).await;
    }

    /// SPEC S3, S2: one caller sends inline here and through the queue from elsewhere, in turn, while
    /// others push from elsewhere: its messages take effect in its order.
    async fn inline_and_queued_messages_keep_their_callers_order(store: Store) {
        let here = start(&store.tenant).await;
        let there = client(&elsewhere(&store.tenant));
        let is_over = Cell::new(false);
        let own = async {
            for number in 1..=200 {
                // Calls and casts, here and there: each kind after each other.
                let turnstile = if number / 2 % 2 == 0 { &here } else { &there };
                pass(turnstile, 0, number).await;
            }
            is_over.set(true);
        };
        let others = join_all((1..5).map(|caller| {
            let (there, is_over) = (&there, &is_over);
            async move {
                let mut number = 0;
                while !is_over.get() {
                    number += 3;
                    let casts = (number - 2..=number).map(|number| Pass { caller, number });
                    there.cast_all(casts.collect()).await.unwrap();
                    // A push to a store in memory waits for nothing, and with faults they may be faster than
                    // who serves.
                    until("it has caught up", async || there.queue_len().await.unwrap() <= 300).await;
                    tokio::task::yield_now().await;
                }
                number
            }
        }));
        let ((), others) = tokio::join!(own, others);
        let read = here.call::<Turnstile, Never>(TurnstileCall::Read).timeout(PATIENT).await.unwrap();
        assert_eq!(read.out_of_order, []);
        let last: Vec<_> = [200].into_iter().chain(others).collect();
        assert_eq!(read.by_caller.into_values().collect::<Vec<_>>(), last);
        assert_eq!(read.total, last.iter().sum());
    }
}
