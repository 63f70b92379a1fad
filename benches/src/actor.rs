//! An actor in memory, kameo's: what a call costs when nothing is kept.

use dgen_backend::env::Env;
use kameo::{
    actor::{Actor, ActorRef, Spawn},
    error::Infallible,
    message::{Context, Message},
};

use crate::{
    Outcome,
    case::Case,
    crowd::{self, Caller, Work},
    pace::Pace,
    report::Report,
};

/// What calls of servers are compared with.
pub(crate) struct Reference {
    /// Calls per second of one caller.
    pub(crate) calls_per_s: f64,
    /// Microseconds of processor time a call, at 64 callers.
    pub(crate) cpu_us: f64,
}

struct Counter {
    value: u64,
}

struct Increment(u64);

impl Actor for Counter {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(counter: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        Ok(counter)
    }
}

impl Message<Increment> for Counter {
    type Reply = u64;

    async fn handle(&mut self, by: Increment, _: &mut Context<Self, u64>) -> u64 {
        self.value += by.0;
        self.value
    }
}

struct Asker(ActorRef<Counter>);

impl Caller for Asker {
    async fn once(&mut self) -> Outcome<u64> {
        self.0.ask(Increment(1)).await?;
        Ok(1)
    }
}

/// Runs the cases.
pub(crate) async fn run(env: &Env, pace: &Pace, report: &mut Report) -> Outcome<Reference> {
    let one = measure(env, pace, 1).await?;
    let crowd = measure(env, pace, 64).await?;
    let reference = Reference {
        calls_per_s: one.ops_per_s,
        cpu_us: crowd.cpu_us,
    };
    for (name, work) in [("actor/1x1", one), ("actor/64x1", crowd)] {
        let note = format!("{:.2} us of the processors a call", work.cpu_us);
        report.add(Case::rate(name, work.ops_per_s, work.latency).note(note));
    }
    Ok(reference)
}

async fn measure(env: &Env, pace: &Pace, callers: usize) -> Outcome<Work> {
    let actor = Counter::spawn(Counter { value: 0 });
    let work = crowd::measure(env, pace, (0..callers).map(|_| Asker(actor.clone()))).await?;
    let value = actor.ask(Increment(0)).await?;
    if value != work.ops {
        return Err(format!("the actor counted {value} of {} calls", work.ops).into());
    }
    Ok(work)
}
