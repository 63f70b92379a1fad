//! Servers on a store that loses answers, conflicts, and commits late.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use dgen_backend::{Database, Tenant, tuple::Subspace};
use dgen_server::{CallError, Context, Handle, Never, Reply, Server};
use dgen_testkit::faults::{FaultyBackend, Rates};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize, Serializer};

use crate::support::*;

fn tenant(db: Database) -> Tenant {
    Tenant::new(db, Subspace::from("test"))
}

/// A handle of `base` as another OS process would have it, over a network that fails.
fn faulty(base: &Database, seed: u64, rates: Rates) -> Tenant {
    tenant(Database::new(FaultyBackend::new(base.clone(), seed, rates)))
}

/// A store in memory whose backoffs pass at once; deadlines don't.
fn impatient() -> Database {
    let clock = dgen_testkit::MockClock::new(0).auto_advance_max(Duration::from_secs(4));
    let options = dgen_local::Options::default().env(clock.env());
    options.in_memory().expect("memory can be had")
}

/// How calls ended.
#[derive(Debug, Default)]
struct Tally {
    answered: Cell<i64>,
    maybe: Cell<i64>,
    refused: Cell<i64>,
}

impl Tally {
    fn count<T>(&self, result: &Result<T, CallError>) {
        let counter = match result {
            Ok(_) => &self.answered,
            Err(error) if error.maybe_executed() => &self.maybe,
            Err(_) => &self.refused,
        };
        counter.set(counter.get() + 1);
    }

    /// Every answered call took effect once, none that was refused did.
    fn check(&self, value: i64, seed: u64) {
        let (least, most) = (self.answered.get(), self.answered.get() + self.maybe.get());
        assert!(
            (least..=most).contains(&value),
            "seed {seed}: value {value}, {self:?}"
        );
    }
}

/// SPEC S2, S8: two consumers and a client, each with faults of its own.
#[tokio::test]
async fn calls_take_effect_once_under_faults() {
    for seed in 0..20 {
        let base = impatient();
        let rates = Rates::all(0.08);
        let start = async |seed| loop {
            let tenant = faulty(&base, seed, rates);
            if let Ok(handle) = CounterHandle::start(&tenant, "demo", 0).await {
                return handle;
            }
        };
        let (one, two) = (start(seed).await, start(seed + 1_000).await);
        let client = CounterHandle::client(&faulty(&base, seed + 2_000, rates), "demo");
        let tally = Tally::default();
        let callers = [&one, &two, &client]
            .into_iter()
            .cycle()
            .take(9)
            .map(async |handle| {
                for _ in 0..8 {
                    let call = handle.call::<i64, Never>(CounterCall::Increment { by: 1 });
                    let call = call.timeout(Duration::from_secs(60));
                    tally.count(&call.await);
                }
            });
        join_all(callers).await;
        one.stop().await;
        two.stop().await;
        let counter = CounterHandle::start(&tenant(base), "demo", 0)
            .await
            .unwrap();
        tally.check(value(&counter).await, seed);
        assert_eq!(
            tally.refused.get(),
            0,
            "seed {seed}: a fault that passes refuses no call"
        );
    }
}

thread_local! {
    static RANDOM: RefCell<Option<dgen_testkit::Random>> = const { RefCell::new(None) };
}

/// A state that sometimes can't be encoded.
#[derive(Clone, Default, Deserialize)]
struct Flaky {
    value: i64,
}

impl Serialize for Flaky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Plain {
            value: i64,
        }
        let fails = RANDOM
            .with_borrow_mut(|random| random.as_mut().is_some_and(|random| random.chance(0.25)));
        if fails {
            return Err(serde::ser::Error::custom("flaky"));
        }
        Plain { value: self.value }.serialize(serializer)
    }
}

impl Server for Flaky {
    const NAME: &'static str = "Flaky";
    type Args = ();
    type InitError = Never;
    type Call = i64;
    type Cast = Never;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, by: i64, _cx: &mut Context<Self>) -> Reply {
        self.value += by;
        Reply::ok(&self.value)
    }

    fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
        match cast {}
    }
}

/// SPEC S2, B5: an attempt fails by itself while an earlier one, whose answer was lost, is on its
/// way: nobody is told that nothing happened, and nothing is done again.
#[tokio::test]
async fn a_failure_after_a_lost_answer_is_no_refusal() {
    let rates = Rates {
        commit_late: 0.4,
        commit_unknown: 0.2,
        ..Rates::default()
    };
    for seed in 0..60 {
        let base = impatient();
        RANDOM.set(None);
        let Ok(flaky) = Handle::<Flaky>::start(&faulty(&base, seed, rates), (), ()).await else {
            continue;
        };
        RANDOM.set(Some(dgen_testkit::Random::new(seed)));
        let tally = Tally::default();
        for _ in 0..20 {
            tally.count(&flaky.call::<i64, Never>(1).await);
        }
        RANDOM.set(None);
        flaky.stop().await;
        let plain = Handle::<Flaky>::start(&tenant(base), (), ()).await.unwrap();
        tally.check(plain.call::<i64, Never>(0).await.unwrap(), seed);
    }
}
