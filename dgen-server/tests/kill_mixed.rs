//! A child process is killed at random moments under load of every kind: calls, casts, locked work,
//! sends to another server, timers. What was acknowledged is there, all of what it led to is there,
//! and nothing is there twice.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "support/patience.rs"]
mod patience;
#[path = "support/victim.rs"]
mod victim;

use std::{collections::BTreeMap, path::Path, time::Duration};

use dgen_server::{
    Context, Handle, Locked, LockedWork, Never, Reply, Server, StartOptions, Tenant,
};
use futures_util::future::join_all;
use patience::until;
use serde::{Deserialize, Serialize};
use victim::{Acknowledged, acknowledge, amounts, kill_after};

const KILLS: usize = 30;
const CALLERS: u32 = 6;

/// What a message does, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Call,
    Cast,
    Lock,
    Send,
    Timer,
}

impl Kind {
    fn of(number: u64) -> Self {
        [Self::Call, Self::Send, Self::Cast, Self::Timer, Self::Lock][(number % 5) as usize]
    }

    /// Whether the other server hears of it.
    fn is_noted(self) -> bool {
        matches!(self, Self::Lock | Self::Send | Self::Timer)
    }
}

/// A caller's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Step {
    caller: u32,
    number: u64,
}

/// Counts the messages of each caller.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Steps {
    by_caller: BTreeMap<u32, u64>,
    out_of_order: Vec<Step>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum StepsCall {
    Step(Step),
    Last(u32),
    Read,
}

impl Steps {
    fn step(&mut self, step: Step, cx: &mut Context<Self>) {
        let last = self.by_caller.entry(step.caller).or_default();
        if step.number != *last + 1 {
            self.out_of_order.push(step);
        }
        *last = step.number;
        let notes = Handle::<Notes>::client(cx.tenant(), ());
        match Kind::of(step.number) {
            Kind::Timer => drop(cx.send_after(Duration::from_millis(1), notes.cast(step))),
            kind if kind.is_noted() => cx.send(notes.cast(step)),
            _ => {}
        }
    }
}

impl Server for Steps {
    const NAME: &'static str = "Steps";
    type Args = ();
    type InitError = Never;
    type Call = StepsCall;
    type Cast = Step;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: StepsCall, cx: &mut Context<Self>) -> Reply {
        match call {
            StepsCall::Step(step) if Kind::of(step.number) == Kind::Lock => {
                cx.lock();
                Reply::later()
            }
            StepsCall::Step(step) => {
                self.step(step, cx);
                Reply::ok(&())
            }
            StepsCall::Last(caller) => {
                Reply::ok(&self.by_caller.get(&caller).copied().unwrap_or_default())
            }
            StepsCall::Read => Reply::ok(&*self),
        }
    }

    fn handle_cast(&mut self, step: Step, cx: &mut Context<Self>) {
        self.step(step, cx);
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, cx: &mut Locked<Self>) -> Reply {
        tokio::task::yield_now().await;
        if let LockedWork::Call(StepsCall::Step(step)) = work {
            self.step(step, cx);
        }
        Reply::ok(&())
    }
}

/// Keeps what it is sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Notes {
    steps: Vec<Step>,
}

impl Server for Notes {
    const NAME: &'static str = "Notes";
    type Args = ();
    type InitError = Never;
    type Call = ();
    type Cast = Step;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, (): (), _cx: &mut Context<Self>) -> Reply {
        Reply::ok(&self.steps)
    }

    fn handle_cast(&mut self, step: Step, _cx: &mut Context<Self>) {
        self.steps.push(step);
    }
}

/// The shortest lease, so that nobody waits long for the lock of one that was killed.
fn options() -> StartOptions {
    StartOptions::default().lock_lease(Duration::from_millis(30))
}

async fn start(tenant: &Tenant) -> (Handle<Steps>, Handle<Notes>) {
    let steps = Handle::start_with(tenant, (), (), options()).await.unwrap();
    let notes = Handle::start_with(tenant, (), (), options()).await.unwrap();
    (steps, notes)
}

/// Not a test of its own: what the killed process does. Each acknowledged message is a line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Some(folder) = victim::folder() else {
        return;
    };
    let tenant = dgen_server::open(&folder).unwrap();
    let (steps, _notes) = start(&tenant).await;
    join_all((0..CALLERS).map(|caller| {
        let steps = steps.clone();
        async move {
            // Behind what this caller has left in the queue.
            let last = steps
                .call::<u64, Never>(StepsCall::Last(caller))
                .await
                .unwrap();
            for number in last + 1.. {
                let step = Step { caller, number };
                match Kind::of(number) {
                    Kind::Cast | Kind::Timer => steps.cast(step).await.unwrap(),
                    Kind::Call | Kind::Lock | Kind::Send => {
                        steps
                            .call::<(), Never>(StepsCall::Step(step))
                            .await
                            .unwrap();
                    }
                }
                acknowledge(caller, number);
            }
        }
    }))
    .await;
}

/// SPEC L2, S2, S7, T1, T2: kills under load of every kind; no acknowledged message is lost, none
/// takes effect twice, and neither does what it sent, its locked work or its timer.
#[test]
fn sigkill_loses_and_repeats_nothing_of_any_kind() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    for (kill, answers) in amounts(60).take(KILLS).enumerate() {
        kill_after(answers, folder.path(), &mut acknowledged);
        let (steps, noted) = read(folder.path());
        assert_eq!(steps.out_of_order, [], "kill {kill}");
        for (caller, count) in &acknowledged {
            let stored = steps.by_caller.get(caller).copied().unwrap_or_default();
            // Each caller has one message under way, which may be committed and not answered.
            assert!(
                stored == *count || stored == count + 1,
                "kill {kill}: caller {caller} was told {count}, {stored} are stored"
            );
        }
        assert_eq!(noted, all_noted(&steps), "kill {kill}");
        acknowledged = steps.by_caller;
    }
    let total: u64 = acknowledged.values().sum();
    assert!(
        total > 5 * KILLS as u64,
        "the children worked: {total} messages"
    );
}

/// What the other server hears of all those messages.
fn all_noted(steps: &Steps) -> Vec<Step> {
    let all = steps.by_caller.iter().flat_map(|(caller, last)| {
        (1..=*last).map(|number| Step {
            caller: *caller,
            number,
        })
    });
    all.filter(|step| Kind::of(step.number).is_noted())
        .collect()
}

/// The states once nothing waits any more, read in this process.
fn read(folder: &Path) -> (Steps, Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let tenant = dgen_server::open(folder).unwrap();
        let (steps, notes) = start(&tenant).await;
        let read = until("the end of what waits", async || {
            let read = steps.call::<Steps, Never>(StepsCall::Read).await.unwrap();
            let mut noted = notes.call::<Vec<Step>, Never>(()).await.unwrap();
            noted.sort_unstable();
            let status = steps.status().await.unwrap();
            let is_idle = status.queue_len == 0 && status.hold.is_none();
            // With more than there should be, the test fails at once.
            (is_idle && noted.len() >= all_noted(&read).len()).then_some((read, noted))
        })
        .await;
        steps.stop().await;
        notes.stop().await;
        read
    })
}
