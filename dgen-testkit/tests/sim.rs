//! What the simulation promises to those who test with it.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dgen_backend::{Database, Error, KeyRange, Tenant, tuple::Subspace};
use dgen_testkit::{
    faults::Rates,
    sim::{Died, Hazards, Machine, Sim},
};

const SECOND: Duration = Duration::from_secs(1);

/// Adds one to the counter at `key`, reading it.
async fn increment(db: &Database, key: &'static [u8]) -> Result<u64, Error> {
    let tenant = Tenant::new(db.clone(), Subspace::from("t"));
    tenant
        .transact(|tx| async move {
            let value = read(tx.get(key).await?);
            tx.set(key, &(value + 1).to_le_bytes())?;
            Ok(value + 1)
        })
        .await
}

/// Adds one to the counter at `key`, which it does not read.
async fn add_one(db: &Database, key: &'static [u8]) -> Result<u64, Error> {
    let tenant = Tenant::new(db.clone(), Subspace::from("t"));
    tenant
        .transact(|tx| async move {
            tx.add(key, 1)?;
            Ok(1)
        })
        .await
}

fn read(bytes: Option<bytes::Bytes>) -> u64 {
    bytes.map_or(0, |bytes| u64::from_le_bytes(bytes[..].try_into().unwrap()))
}

async fn value(db: &Database, key: &'static [u8]) -> u64 {
    read(
        db.transact(|tx| async move { tx.get(key).await })
            .await
            .unwrap(),
    )
}

/// Three machines that count, die, freeze and come back; each writes down what it was answered.
fn busy_world(seed: u64) -> Sim {
    let sim = Sim::builder(seed)
        .faults(Rates::all_and_slow(0.05))
        .hazards(Hazards {
            death: 0.005,
            freeze: 0.002,
            cut_off: 0.001,
            clock_jump: 0.01,
        })
        .build();
    sim.run(async |sim| {
        let store = sim.new_store();
        let answered = Arc::new(AtomicU64::new(0));
        for name in ["a", "b", "c"] {
            let (store, answered) = (store.clone(), Arc::clone(&answered));
            sim.machine(name).boot(move |machine: Machine| {
                let (store, answered) = (store.clone(), Arc::clone(&answered));
                async move {
                    let (db, env) = (machine.database(&store), machine.env());
                    loop {
                        if increment(&db, b"count").await.is_ok() {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        env.sleep(env.jitter(SECOND)).await;
                    }
                }
            });
        }
        sim.sleep(60 * SECOND).await;
        sim.calm();
        sim.sleep(60 * SECOND).await;
        let (answered, counted) = (
            answered.load(Ordering::Relaxed),
            value(&store, b"count").await,
        );
        assert!(
            counted >= answered,
            "{counted} of {answered} that were answered"
        );
        assert!(answered > 50, "the machines came back: {answered}");
    });
    sim
}

#[test]
fn the_same_seed_is_the_same_run() {
    let mut hashes = Vec::new();
    for seed in 0..10 {
        let (one, other) = (busy_world(seed), busy_world(seed));
        assert_eq!(one.trace_hash(), other.trace_hash(), "seed {seed}");
        assert_eq!(one.steps(), other.steps());
        hashes.push(one.trace_hash());
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 10, "other seeds are other runs");
}

/// Prints hashes; run as a child process by the test below.
#[test]
fn print_hashes() {
    for seed in 20..23 {
        println!("hash {seed} {:x}", busy_world(seed).trace_hash());
    }
}

#[test]
fn the_same_seed_is_the_same_run_in_another_os_process() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "print_hashes"])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    for seed in 20..23 {
        let line = format!("hash {seed} {:x}", busy_world(seed).trace_hash());
        assert!(output.contains(&line), "{line} is not in {output}");
    }
}

#[test]
fn time_jumps_where_nobody_has_anything_to_do() {
    let sim = Sim::new(1);
    let steps = sim.run(async |sim| {
        let begun = sim.now();
        sim.sleep(Duration::from_secs(86_400 * 7)).await;
        assert!(sim.now() - begun >= Duration::from_secs(86_400 * 7));
        sim.steps()
    });
    assert!(steps < 10, "{steps}");
}

#[test]
fn who_looks_again_and_again_sees_time_pass() {
    Sim::new(1).run(async |sim| {
        while sim.elapsed() < Duration::from_millis(10) {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_tokio_offers_for_synchronizing_works() {
    Sim::new(1).run(async |sim| {
        let (send, mut receive) = tokio::sync::mpsc::channel(1);
        let lock = Arc::new(tokio::sync::Mutex::new(0));
        for number in 0..100 {
            let (send, lock) = (send.clone(), Arc::clone(&lock));
            sim.spawn(async move {
                *lock.lock().await += 1;
                send.send(number).await.unwrap();
            });
        }
        drop(send);
        let mut numbers = Vec::new();
        while let Some(number) = receive.recv().await {
            numbers.push(number);
        }
        assert_eq!(*lock.lock().await, 100);
        assert!(!numbers.is_sorted(), "schedules are random");
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    });
}

/// Says when it is dropped.
struct Noted(Arc<AtomicBool>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_killed_machine_runs_nothing_more_and_drops_its_tasks() {
    Sim::new(1).run(async |sim| {
        let machine = sim.machine("a");
        let (turns, dropped) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (counted, noted) = (Arc::clone(&turns), Noted(Arc::clone(&dropped)));
        let env = machine.env();
        machine.spawn(async move {
            let _noted = noted;
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                env.sleep(SECOND).await;
            }
        });
        let waits = machine.run(pending::<()>());
        sim.sleep(10 * SECOND).await;
        machine.kill();
        let turns_then = turns.load(Ordering::Relaxed);
        assert!(turns_then >= 9);
        assert!(dropped.load(Ordering::Relaxed), "at once");
        assert_eq!(waits.await, Err(Died));
        assert_eq!(machine.run(async {}).await, Err(Died), "it stays dead");

        machine.restart();
        sim.sleep(10 * SECOND).await;
        assert_eq!(turns.load(Ordering::Relaxed), turns_then);
        assert_eq!(machine.run(async { 7 }).await, Ok(7));
    });
}

#[test]
fn an_environment_or_a_database_of_a_life_that_is_over_does_nothing() {
    Sim::new(1).run(async |sim| {
        let (machine, store) = (sim.machine("a"), sim.new_store());
        let (env, db) = (machine.env(), machine.database(&store));
        let tx = db.begin().unwrap();
        tx.set(b"key", b"value").unwrap();
        machine.restart();
        assert!(env.spawn(async {}).is_err());
        assert!(matches!(db.begin(), Err(Error::Closed { .. })));
        assert!(matches!(tx.commit().await, Err(Error::Closed { .. })));
        sim.sleep(60 * SECOND).await;
        assert_eq!(
            machine
                .database(&store)
                .begin()
                .unwrap()
                .get(b"key")
                .await
                .unwrap(),
            None
        );
    });
}

#[test]
fn a_machine_that_kills_itself_goes_no_further_than_its_next_await() {
    Sim::new(1).run(async |sim| {
        let machine = sim.machine("a");
        let (itself, is_further) = (machine.clone(), Arc::new(AtomicBool::new(false)));
        let further = Arc::clone(&is_further);
        let work = machine.run(async move {
            itself.kill();
            tokio::task::yield_now().await;
            further.store(true, Ordering::Relaxed);
        });
        assert_eq!(work.await, Err(Died));
        sim.sleep(SECOND).await;
        assert!(!is_further.load(Ordering::Relaxed));
    });
}

/// What a machine had sent when it died happens, happens later, or never does: each of them in some
/// world.
#[test]
fn a_commit_that_was_sent_before_death_may_or_may_not_arrive() {
    let (mut never, mut soon, mut late) = (0, 0, 0);
    for seed in 0..100 {
        Sim::new(seed).run(async |sim| {
            let (machine, store) = (sim.machine("a"), sim.new_store());
            let tx = machine.database(&store).begin().unwrap();
            tx.set(b"key", &1_u64.to_le_bytes()).unwrap();
            let commit = tx.commit();
            machine.kill();
            sim.sleep(SECOND / 10).await;
            let was_soon = value(&store, b"key").await == 1;
            sim.sleep(10 * SECOND).await;
            assert!(commit.await.is_err() || value(&store, b"key").await == 1);
            match (was_soon, value(&store, b"key").await) {
                (true, _) => soon += 1,
                (false, 1) => late += 1,
                (false, _) => never += 1,
            }
        });
    }
    assert!(
        never > 20 && soon > 10 && late > 10,
        "{never} {soon} {late}"
    );
}

/// SPEC B5: a retry never happens twice, whatever the network does to it, also where it reads nothing.
#[test]
fn a_counter_counts_each_success_once_through_faults() {
    for seed in 0..40 {
        let is_blind = seed % 2 == 0;
        let sim = Sim::builder(seed)
            .faults(Rates::all_and_slow(0.2))
            .hazards(Hazards {
                freeze: 0.01,
                ..Hazards::default()
            })
            .build();
        sim.run(async |sim| {
            let store = sim.new_store();
            let machines = ["a", "b"].map(|name| sim.machine(name));
            let runs = machines.map(|machine| {
                let db = machine.database(&store);
                machine.run(async move {
                    let (mut sure, mut unsure) = (0, 0);
                    for _ in 0..10 {
                        let counted = if is_blind {
                            add_one(&db, b"count").await
                        } else {
                            increment(&db, b"count").await
                        };
                        match counted {
                            Ok(_) => sure += 1,
                            Err(error) if error.maybe_executed() => unsure += 1,
                            Err(_) => {}
                        }
                    }
                    (sure, unsure)
                })
            });
            let [one, other] = runs;
            let ((a, b), (c, d)) = (one.await.unwrap(), other.await.unwrap());
            let (sure, unsure) = (a + c, b + d);
            sim.calm();
            sim.sleep(10 * SECOND).await;
            let counted = value(&store, b"count").await;
            assert!(
                (sure..=sure + unsure).contains(&counted),
                "seed {seed}: {sure} {unsure} {counted}"
            );
        });
    }
}

/// SPEC B5: what a commit counts as read is settled when it is sent: what is written while it is on
/// its way, it conflicts with.
#[test]
fn a_commit_conflicts_with_what_overtakes_it() {
    Sim::builder(1)
        .latency_max(SECOND)
        .build()
        .run(async |sim| {
            let store = sim.new_store();
            let tx = sim.machine("a").database(&store).begin().unwrap();
            tx.add_read_conflict(&KeyRange::key(b"read")).unwrap();
            tx.set(b"written", b"").unwrap();
            let sent = tx.commit();
            let overtakes = store.transact(|tx| async move { tx.set(b"read", b"") });
            overtakes.await.unwrap();
            assert!(matches!(sent.await, Err(Error::Conflict)));
        });
}

fn panic_of(sim: &Sim, main: impl AsyncFnOnce(Sim)) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| sim.run(main))).unwrap_err();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
        .unwrap()
}

#[test]
fn a_deadlock_is_reported_with_its_seed() {
    let sim = Sim::new(4_711);
    let text = panic_of(&sim, async |_| pending::<()>().await);
    assert!(text.contains("deadlock with seed 4711"), "{text}");
    let text = panic_of(&sim, async |sim| {
        sim.machine("ice").restart();
        sim.machine("ice").freeze();
        let _never = sim.machine("ice").run(async {}).await;
    });
    assert!(text.contains("\"ice\""), "{text}");
}

#[test]
fn a_run_without_end_is_given_up() {
    let sim = Sim::builder(5).steps_max(1_000).build();
    let text = panic_of(&sim, async |_| {
        loop {
            tokio::task::yield_now().await;
        }
    });
    assert!(text.contains("after 1000 turns with seed 5"), "{text}");

    let sim = Sim::builder(6).time_max(SECOND).build();
    let text = panic_of(&sim, async |sim| sim.sleep(2 * SECOND).await);
    assert!(text.contains("after 1s with seed 6"), "{text}");
}

#[test]
fn a_panic_of_any_task_is_one_of_the_run() {
    let text = panic_of(&Sim::new(1), async |sim| {
        let _never = sim.machine("a").run(async { panic!("of a task") }).await;
    });
    assert_eq!(text, "of a task");
}

#[test]
fn clocks_are_wrong_and_go_wrong_within_bounds() {
    let (mut ahead, mut behind) = (0, 0);
    for seed in 0..50 {
        let sim = Sim::builder(seed).drift_max_ppm(1_000).build();
        sim.run(async |sim| {
            let env = sim.machine("a").env();
            let (world, own) = (sim.wall_clock(), env.wall_clock());
            match own.duration_since(world) {
                Ok(skew) => {
                    assert!(skew <= 3 * SECOND);
                    ahead += 1;
                }
                Err(skew) => {
                    assert!(skew.duration() <= 3 * SECOND);
                    behind += 1;
                }
            }
            let (world, own) = (sim.now(), env.now());
            env.sleep(10_000 * SECOND).await;
            let (world, own) = (
                (sim.now() - world).as_secs_f64(),
                (env.now() - own).as_secs_f64(),
            );
            assert!(own >= 10_000.0);
            assert!((own - world).abs() < 11.0, "{own} {world}");
        });
    }
    assert!(ahead > 10 && behind > 10);
}

#[test]
fn a_calendar_that_is_set_back_moves_no_sleep() {
    Sim::new(3).run(async |sim| {
        let machine = sim.machine("a");
        let env = machine.env();
        let (begun, wall_clock) = (sim.elapsed(), env.wall_clock());
        machine.set_wall_clock(wall_clock - 3_600 * SECOND);
        assert!(env.wall_clock() < wall_clock - 3_599 * SECOND);
        env.sleep(10 * SECOND).await;
        assert!(sim.elapsed() - begun < 11 * SECOND);
    });
}

#[test]
fn a_frozen_machine_does_nothing_while_its_clocks_go_on() {
    Sim::new(1).run(async |sim| {
        let machine = sim.machine("a");
        let (env, turns) = (machine.env(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&turns);
        let own = env.clone();
        machine.spawn(async move {
            loop {
                counted.fetch_add(1, Ordering::Relaxed);
                own.sleep(SECOND).await;
            }
        });
        sim.sleep(5 * SECOND).await;
        machine.freeze();
        let (turns_then, now_then) = (turns.load(Ordering::Relaxed), env.now());
        sim.sleep(100 * SECOND).await;
        assert_eq!(turns.load(Ordering::Relaxed), turns_then);
        assert!(env.now() - now_then > 99 * SECOND);
        machine.thaw();
        sim.sleep(5 * SECOND).await;
        assert!(turns.load(Ordering::Relaxed) > turns_then);
    });
}

#[test]
fn a_machine_that_is_cut_off_waits_for_its_store() {
    Sim::new(1).run(async |sim| {
        let (machine, store) = (sim.machine("a"), sim.new_store());
        let db = machine.database(&store);
        machine.cut_off(3 * SECOND);
        let begun = sim.elapsed();
        assert_eq!(increment(&db, b"count").await.unwrap(), 1);
        assert!(sim.elapsed() - begun >= 3 * SECOND);

        // What reached the store is done, though its answer is long under way.
        let tx = db.begin().unwrap();
        tx.set(b"key", b"").unwrap();
        let commit = tx.commit();
        sim.sleep(SECOND / 2_000).await;
        machine.cut_off(60 * SECOND);
        sim.sleep(SECOND).await;
        let written = store.transact(|tx| async move { tx.get(b"key").await });
        assert!(written.await.unwrap().is_some());
        let timely = sim.env().timeout(50 * SECOND, commit).await;
        assert!(timely.is_err(), "its answer waits");
        let other = sim.machine("b").database(&store);
        assert_eq!(
            increment(&other, b"count").await.unwrap(),
            2,
            "others go on"
        );
    });
}

/// A death at each await point of an operation, one after the other.
#[test]
fn kill_after_goes_through_all_await_points() {
    let mut outcomes = Vec::new();
    for turns in 1.. {
        let outcome = Sim::new(1).run(async |sim| {
            let (machine, store) = (sim.machine("a"), sim.new_store());
            machine.kill_after(Some(turns));
            let db = machine.database(&store);
            machine
                .run(async move { increment(&db, b"count").await.unwrap() })
                .await
        });
        outcomes.push(outcome);
        if outcome.is_ok() {
            break;
        }
    }
    assert!(outcomes.len() >= 3, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .rev()
            .skip(1)
            .all(|outcome| *outcome == Err(Died))
    );
}

#[test]
fn a_machine_with_a_program_comes_back_by_itself() {
    Sim::new(1).run(async |sim| {
        let machine = sim.machine("a");
        let starts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&starts);
        machine.boot(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            pending()
        });
        for _ in 0..5 {
            machine.kill_after(Some(1));
            machine.spawn(async {});
            machine.died().await;
            sim.sleep(11 * SECOND).await;
            assert!(machine.is_alive());
        }
        machine.kill();
        sim.sleep(60 * SECOND).await;
        assert!(!machine.is_alive(), "what was killed by hand stays dead");
        assert_eq!(starts.load(Ordering::Relaxed), 6);
    });
}

/// A lost watch never fires, so whoever waits must look again; an early one fires for nothing.
#[test]
fn watches_are_lost_where_rates_say_so() {
    Sim::builder(1)
        .faults(Rates {
            lost_watch: 1.0,
            ..Rates::default()
        })
        .build()
        .run(async |sim| {
            let (machine, store) = (sim.machine("a"), sim.new_store());
            let tx = machine.database(&store).begin().unwrap();
            let watch = tx.watch(b"key").unwrap();
            tx.commit().await.unwrap();
            store
                .transact(|tx| async move { tx.set(b"key", b"value") })
                .await
                .unwrap();
            assert!(sim.env().timeout(3_600 * SECOND, watch).await.is_err());
            assert_eq!(sim.fault_counts().lost_watches, 1);
        });
}

#[test]
fn threads_are_refused() {
    let sim = Sim::new(1);
    for env in [sim.env(), sim.machine("a").env()] {
        let error = env.spawn_thread("worker", || {}).unwrap_err();
        assert!(
            error.to_string().contains("a simulation has one thread"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_tokio_runtime_around_it_is_refused() {
    let text = panic_of(&Sim::new(1), async |_| {});
    assert!(text.contains("use a plain `#[test]`"), "{text}");
}

#[test]
#[should_panic(expected = "nothing runs outside of `Sim::run`")]
fn what_would_never_run_is_refused() {
    Sim::new(1).machine("a").boot(|_| pending());
}

/// Machines reach any store, one that lives by the system's clock too.
#[test]
fn a_store_of_another_environment_will_do() {
    let store = dgen_testkit::model::in_memory();
    let rates = Rates::all_and_slow(0.3);
    Sim::builder(1).faults(rates).build().run(async |sim| {
        let tenant = sim.machine("a").tenant(&store);
        for number in 1..=20 {
            assert_eq!(
                increment(tenant.database(), b"count").await.unwrap(),
                number
            );
        }
        assert!(sim.fault_counts().late > 0 && sim.fault_counts().delays > 0);
    });
}

#[test]
fn a_second_run_goes_on_where_the_first_ended() {
    let sim = Sim::new(1);
    let store = sim.new_store();
    sim.run(async |sim| {
        let db = sim.machine("a").database(&store);
        increment(&db, b"count").await.unwrap();
        sim.sleep(SECOND).await;
    });
    sim.run(async |sim| {
        assert!(sim.elapsed() > SECOND);
        assert!(!sim.machine("a").is_alive());
        sim.machine("a").restart();
        let db = sim.machine("a").database(&store);
        assert_eq!(increment(&db, b"count").await.unwrap(), 2);
    });
}
