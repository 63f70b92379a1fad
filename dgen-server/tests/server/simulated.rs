//! Servers in a simulated world: machines that die and freeze, wrong clocks, a network that fails.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use dgen_backend::Database;
use dgen_macros::dgen_server;
use dgen_server::{Context, Locked};
use dgen_testkit::{
    faults::Rates,
    sim::{Hazards, Machine, Sim, for_each_seed},
};
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
    slow: i64,
}

#[dgen_server]
impl Counter {
    /// Adds `by` and returns the new value.
    #[call]
    fn increment(&mut self, by: i64) -> i64 {
        self.value += by;
        self.value
    }

    /// Adds one.
    #[cast]
    fn add(&mut self, by: i64) {
        self.value += by;
    }

    /// Adds `by` in an hour.
    #[call]
    fn increment_later(&mut self, cx: &mut Context<Self>, by: i64) {
        let me = CounterHandle::from(cx.handle());
        cx.send_after(HOUR, me.add(by));
    }

    /// Adds `by`, taking its time.
    #[call(locked)]
    async fn increment_slowly(&mut self, cx: &mut Locked<Self>, by: i64) -> i64 {
        let env = cx.tenant().env().clone();
        env.sleep(env.jitter(7 * SECOND)).await;
        self.slow += by;
        self.slow
    }

    /// Both counts.
    #[call]
    fn values(&self) -> (i64, i64) {
        (self.value, self.slow)
    }
}

/// A machine that consumes the counter, whenever it lives.
fn serve(machine: &Machine, store: &Database) {
    let store = store.clone();
    machine.boot(move |machine| {
        let tenant = machine.tenant(&store);
        async move {
            // Under faults a start may fail: then it is tried again.
            while CounterHandle::start(&tenant, "demo", ()).await.is_err() {
                tenant.env().sleep(SECOND).await;
            }
        }
    });
}

#[derive(Default)]
struct Tally {
    sure: AtomicI64,
    maybe: AtomicI64,
}

impl Tally {
    fn range(&self) -> std::ops::RangeInclusive<i64> {
        let sure = self.sure.load(Ordering::Relaxed);
        sure..=sure + self.maybe.load(Ordering::Relaxed)
    }
}

fn harsh(seed: u64) -> Sim {
    Sim::builder(seed)
        .faults(Rates::all_and_slow(0.03))
        .hazards(Hazards {
            death: 0.003,
            freeze: 0.001,
            cut_off: 0.001,
            clock_jump: 0.003,
        })
        .build()
}

/// Two machines serve, two others call; when it is over, the counts are right.
fn counting_world(seed: u64) -> Sim {
    let sim = harsh(seed);
    sim.run(async |sim| {
        let options = dgen_local::Options::default().env(sim.env());
        let store = options.in_memory().unwrap();
        serve(&sim.machine("a"), &store);
        serve(&sim.machine("b"), &store);
        let (quick, slow) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
        let calls = Arc::new(AtomicU64::new(0));
        for name in ["c", "d"] {
            let (store, quick, slow) = (store.clone(), Arc::clone(&quick), Arc::clone(&slow));
            let calls = Arc::clone(&calls);
            sim.machine(name).boot(move |machine| {
                let (quick, slow) = (Arc::clone(&quick), Arc::clone(&slow));
                let (store, calls) = (store.clone(), Arc::clone(&calls));
                async move {
                    let tenant = machine.tenant(&store);
                    let counter = CounterHandle::client(&tenant, "demo");
                    while calls.fetch_add(1, Ordering::Relaxed) < 60 {
                        let is_slow = tenant.env().random::<1>()[0] < 25;
                        let tally = if is_slow { &slow } else { &quick };
                        // Counted before, since this machine may die any time.
                        tally.maybe.fetch_add(1, Ordering::Relaxed);
                        let called = if is_slow {
                            counter.increment_slowly(1).await
                        } else {
                            counter.increment(1).await
                        };
                        match called {
                            Ok(_) => {
                                tally.sure.fetch_add(1, Ordering::Relaxed);
                                tally.maybe.fetch_sub(1, Ordering::Relaxed);
                            }
                            Err(error) if !error.maybe_executed() => {
                                tally.maybe.fetch_sub(1, Ordering::Relaxed);
                            }
                            Err(_) => {}
                        }
                        tenant.env().sleep(tenant.env().jitter(SECOND)).await;
                    }
                }
            });
        }
        while calls.load(Ordering::Relaxed) < 60 {
            sim.sleep(SECOND).await;
        }
        sim.calm();
        sim.sleep(120 * SECOND).await;
        let counter = CounterHandle::client(&sim.tenant(&store), "demo");
        let (value, slow_value) = counter.values().await.unwrap();
        assert!(
            quick.range().contains(&value),
            "{value} {:?}",
            quick.range()
        );
        assert!(
            slow.range().contains(&slow_value),
            "{slow_value} {:?}",
            slow.range()
        );
        assert!(value + slow_value > 20, "something went through");
    });
    sim
}

/// SPEC S2, S8, L: what was answered took effect once, what failed for sure did not, through
/// deaths, freezes, lost answers and wrong clocks.
#[test]
fn calls_take_effect_once_whatever_befalls_machines() {
    for_each_seed(30, |seed| {
        counting_world(seed);
    });
}

/// All that servers do follows from the seed: nothing asks the system.
#[test]
fn servers_do_the_same_with_the_same_seed() {
    for seed in 0..3 {
        let (one, other) = (counting_world(seed), counting_world(seed));
        assert_eq!(one.trace_hash(), other.trace_hash(), "seed {seed}");
    }
}

/// SPEC Q: a consumer whose every watch is lost finds its messages all the same.
#[test]
fn lost_watches_delay_messages_and_lose_none() {
    for_each_seed(10, |seed| {
        let rates = Rates {
            lost_watch: 1.0,
            ..Rates::default()
        };
        Sim::builder(seed).faults(rates).build().run(async |sim| {
            let store = sim.new_store();
            serve(&sim.machine("a"), &store);
            let counter = CounterHandle::client(&sim.machine("c").tenant(&store), "demo");
            sim.sleep(SECOND).await;
            for number in 1..=5 {
                // Both look again every five seconds: the consumer, and who waits for the answer.
                let call = counter.increment(1).timeout(60 * SECOND);
                assert_eq!(call.await.unwrap(), number);
                sim.sleep(3 * SECOND).await;
            }
            assert!(sim.fault_counts().lost_watches > 5);
        });
    });
}

/// SPEC S2, S7, T3: a machine dies at each await point, one after the other, from a cast to the end of
/// a locked call: what was sent takes effect once, whoever dies.
#[test]
fn a_death_at_any_await_point_loses_nothing_and_repeats_nothing() {
    for_each_seed(5, |seed| {
        for victim in ["server", "client"] {
            let mut deaths = 0;
            while dies_after(seed, victim, deaths + 1) {
                deaths += 1;
            }
            assert!(deaths > 10, "{victim}: {deaths} await points");
        }
    });
}

/// Whether `victim` died, after so many turns of its tasks, before its client was done.
fn dies_after(seed: u64, victim: &str, turns: u64) -> bool {
    // A store that answers, and nothing that befalls anybody: all that happens is the death.
    Sim::new(seed).run(async |sim| {
        let store = sim.new_store();
        serve(&sim.machine("server"), &store);
        sim.sleep(SECOND).await;

        let is_done = Arc::new(AtomicBool::new(false));
        let (done, disk) = (Arc::clone(&is_done), store.clone());
        sim.machine("client").boot(move |machine| {
            let (tenant, done) = (machine.tenant(&disk), Arc::clone(&done));
            async move {
                let counter = CounterHandle::client(&tenant, "demo");
                while counter.add(1).id("cast").await.is_err() {}
                while counter.increment(1).id("call").await.is_err() {}
                while counter.increment_slowly(1).id("work").await.is_err() {}
                done.store(true, Ordering::Relaxed);
            }
        });
        sim.machine(victim).kill_after(Some(turns));
        let first_life = sim.machine(victim).died();
        while !is_done.load(Ordering::Relaxed) {
            sim.sleep(SECOND).await;
        }
        let died = sim.env().timeout(Duration::ZERO, first_life).await.is_ok();
        sim.machine(victim).kill_after(None);
        sim.sleep(60 * SECOND).await;
        let counter = CounterHandle::client(&sim.tenant(&store), "demo");
        let values = counter.values().timeout(60 * SECOND).await;
        assert_eq!(values.unwrap(), (2, 1), "{victim} dies after {turns} turns");
        died
    })
}

/// SPEC T2: a timer fires once, when it is due by the calendar of who serves then, whoever set it.
#[test]
fn a_timer_fires_once_by_the_calendar_of_who_is_there() {
    for_each_seed(5, |seed| {
        Sim::builder(seed)
            .drift_max_ppm(0)
            .build()
            .run(async |sim| {
                let store = sim.new_store();
                let (one, other) = (sim.machine("one"), sim.machine("other"));
                serve(&one, &store);
                let counter = CounterHandle::client(&sim.tenant(&store), "demo");
                let value = async || counter.values().timeout(60 * SECOND).await.unwrap().0;
                one.set_wall_clock(sim.wall_clock());
                counter.increment_later(1).await.unwrap();

                // Whose calendar is ten minutes behind.
                sim.sleep(20 * MINUTE).await;
                one.kill();
                other.set_wall_clock(sim.wall_clock() - 10 * MINUTE);
                serve(&other, &store);
                sim.sleep(45 * MINUTE).await;
                assert_eq!(value().await, 0, "it is not due there");
                sim.sleep(10 * MINUTE).await;
                assert_eq!(value().await, 1);

                // Set back, it is not due again.
                other.set_wall_clock(sim.wall_clock() - HOUR);
                other.restart();
                sim.sleep(HOUR + MINUTE).await;
                assert_eq!(value().await, 1);
            });
    });
}
