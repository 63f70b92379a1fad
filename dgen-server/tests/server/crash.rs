//! The crash contract: a process is killed at every one of its steps, one after the other. A message
//! is never lost and takes effect once, whatever the step.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![expect(clippy::large_futures, reason = "a story is long")]

use std::{cell::Cell, time::Duration};

use dgen_server::{Handle, Never, Tenant};
use dgen_testkit::MockClock;

use crate::support::{
    ledger::*,
    mortal::{Death, Life},
    patience::{until, while_time_passes},
    *,
};

/// More steps than any of the processes here takes.
const STEPS_MAX: usize = 3_000;

/// Runs `story` with a death before and after each step, until the process reaches the story's end
/// alive. The story gets a name of its own for its servers.
async fn at_every_step(store: &Tenant, story: impl AsyncFn(Death, String, MockClock) -> Life) {
    let (mut deaths, mut step, mut stories) = (0, 1, 7);
    while step < STEPS_MAX {
        let mut is_over = true;
        for death in [Death::Before(step), Death::After(step)] {
            let life = {
                // Other randomness each time, so that no process is taken for an earlier one.
                let clock = MockClock::new(stories);
                stories += 1;
                let story = story(death, format!("{death:?}"), clock.clone());
                while_time_passes(&clock, store, story).await
            };
            is_over &= !life.is_dead();
            deaths += usize::from(life.is_dead());
        }
        if is_over {
            assert!(deaths > 20, "only {deaths} processes died");
            return;
        }
        step += 1;
    }
    panic!("the story has no end");
}

/// Longer than any story.
const TIMEOUT: Duration = Duration::from_secs(1_000_000);

async fn start(tenant: &Tenant, id: &str) -> Handle<Ledger> {
    let options = options();
    Handle::start_with(tenant, id, (), options).await.unwrap()
}

/// Waits until nothing waits in the server's queue, under its lock or for a timer.
async fn drained(store: &Tenant, id: &str) {
    let client = Handle::<Ledger>::client(store, id);
    until("an empty queue", async || {
        let status = client.status().await.unwrap();
        status.queue_len == 0 && status.hold.is_none() && status.next_due.is_none()
    })
    .await;
}

/// Pushes one message of each kind to server `a`, which sends to `b`.
async fn push_all_kinds(store: &Tenant, a: &str, b: &str) {
    let client = Handle::<Ledger>::client(store, a);
    let to = || b.to_owned();
    for cast in [
        LedgerCast::Note(0),
        LedgerCast::Forward(1, to()),
        LedgerCast::Note(2),
        LedgerCast::Lock(3, to()),
        LedgerCast::Note(4),
        LedgerCast::Later(5),
        LedgerCast::Act(6),
        LedgerCast::Note(7),
    ] {
        client.cast(cast).await.unwrap();
    }
}

async fn check_all_kinds(store: &Tenant, a: &str, b: &str, name: &str) {
    drained(store, a).await;
    drained(store, b).await;
    let (mut seen, timed): (Vec<_>, Vec<_>) = stored(store, a)
        .await
        .seen
        .into_iter()
        .partition(|number| *number < TIMED);
    assert_eq!(seen, (0..8).collect::<Vec<_>>(), "{name}");
    assert_eq!(timed, [TIMED + 5], "{name}");
    seen = stored(store, b).await.seen;
    assert_eq!(seen, [1, 3], "{name}");
}

on_each_store! {
    /// SPEC S2, S7, T1, T2: a consumer dies at each of its steps; another one starts, and every
    /// queued message, what it sends, its locked work and its timer take effect once, in order.
    async fn what_is_queued_takes_effect_once_whenever_its_consumer_dies(store: Store) {
        let store = &store.tenant;
        at_every_step(store, async |death, name, clock| {
            let (a, b) = (&format!("{name} a"), &format!("{name} b"));
            push_all_kinds(store, a, b).await;
            let life = Life::new(death);
            let mortal = life.open(store, &clock);
            life.run(async {
                let _a = start(&mortal, a).await;
                let _b = start(&mortal, b).await;
                drained(store, a).await;
                drained(store, b).await;
            })
            .await;
            let heir = Life::new(Death::Never);
            let tenant = heir.open(store, &clock);
            let (_a, _b) = (start(&tenant, a).await, start(&tenant, b).await);
            check_all_kinds(store, a, b, &name).await;
            heir.end();
            life
        })
        .await;
    }

    /// SPEC S2, S7, S11: the same while another consumer is alive: it goes on at once.
    async fn a_living_consumer_goes_on_where_another_died(store: Store) {
        let store = &store.tenant;
        at_every_step(store, async |death, name, clock| {
            let (a, b) = (&format!("{name} a"), &format!("{name} b"));
            push_all_kinds(store, a, b).await;
            let (life, other) = (Life::new(death), Life::new(Death::Never));
            let (mortal, tenant) = (life.open(store, &clock), other.open(store, &clock));
            let doomed = life.run(async {
                let _a = start(&mortal, a).await;
                let _b = start(&mortal, b).await;
                drained(store, a).await;
                drained(store, b).await;
            });
            let living = async {
                let _a = start(&tenant, a).await;
                let _b = start(&tenant, b).await;
                check_all_kinds(store, a, b, &name).await;
            };
            tokio::join!(doomed, living);
            other.end();
            life
        })
        .await;
    }

    /// SPEC S2, S3: a process dies with its own callers, who call and cast inline: what was
    /// acknowledged is there, in order, and nothing is there twice.
    async fn what_is_acknowledged_inline_is_there_whenever_the_process_dies(store: Store) {
        let store = &store.tenant;
        at_every_step(store, async |death, name, clock| {
            let (a, b) = (&format!("{name} a"), &format!("{name} b"));
            let life = Life::new(death);
            let mortal = life.open(store, &clock);
            let acknowledged = Cell::new(0);
            life.run(async {
                let ledger = start(&mortal, a).await;
                for number in 0..9 {
                    match number % 3 {
                        0 => note(&ledger, number).await,
                        1 => ledger.cast(LedgerCast::Note(number)).await.unwrap(),
                        _ => lock(&ledger, number, b).await,
                    }
                    acknowledged.set(number + 1);
                }
            })
            .await;
            let heir = Life::new(Death::Never);
            let tenant = heir.open(store, &clock);
            let ledger = start(&tenant, a).await;
            until("an empty queue", async || {
                let status = ledger.status().await.unwrap();
                status.queue_len == 0 && status.hold.is_none()
            })
            .await;
            let seen = stored(store, a).await.seen;
            let count = u32::try_from(seen.len()).unwrap();
            assert_eq!(seen, (0..count).collect::<Vec<_>>(), "{name}");
            let acknowledged = acknowledged.get();
            assert!((acknowledged..=acknowledged + 1).contains(&count), "{name}: {count}, {acknowledged}");
            heir.end();
            life
        })
        .await;
    }

    /// SPEC S2, S4: a caller elsewhere gets its answers, though the process that handles its calls
    /// dies at any step.
    async fn a_caller_elsewhere_is_answered_whenever_the_consumer_dies(store: Store) {
        let store = &store.tenant;
        at_every_step(store, async |death, name, clock| {
            let (a, b) = (&format!("{name} a"), &format!("{name} b"));
            let life = Life::new(death);
            let caller = Life::new(Death::Never);
            let client = Handle::<Ledger>::client(&caller.open(store, &clock), a.as_str());
            let calls = async {
                note(&client, 0).await;
                lock(&client, 1, b).await;
                note(&client, 2).await;
            };
            let mortal = life.open(store, &clock);
            let heir = Life::new(Death::Never);
            let consumers = async {
                life.run(async {
                    let _a = start(&mortal, a).await;
                    until("the last call", async || {
                        let seen = stored(store, a).await.seen;
                        seen.len() == 3
                    })
                    .await;
                })
                .await;
                start(&heir.open(store, &clock), a).await
            };
            let ((), _ledger) = tokio::join!(calls, consumers);
            assert_eq!(stored(store, a).await.seen, [0, 1, 2], "{name}");
            heir.end();
            life
        })
        .await;
    }

    /// SPEC S2, S6, S7: a process dies in the middle of the user's own code: of a handler, of the
    /// actions, of locked work.
    async fn a_message_takes_effect_once_wherever_in_the_users_code_the_process_dies(store: Store) {
        let store = &store.tenant;
        let points = [
            (Point::Handler, vec!["first", "second"]),
            (Point::FirstAction, vec![]),
            (Point::SecondAction, vec!["first"]),
            (Point::LockedWork, vec!["first", "second"]),
            (Point::LockedWorkDone, vec!["first", "second"]),
        ];
        for ((point, actions), seed) in points.into_iter().zip(7..) {
            let name = format!("{point:?}");
            let (a, b) = (&format!("{name} a"), &format!("{name} b"));
            push_all_kinds(store, a, b).await;
            let (clock, life) = (MockClock::new(seed), Life::new(Death::Never));
            ACTIONS.take();
            DIES.set(Some((point, life.clone())));
            let mortal = life.open(store, &clock);
            let doomed = life.run(async {
                let _a = start(&mortal, a).await;
                let _b = start(&mortal, b).await;
                std::future::pending::<()>().await;
            });
            let died = while_time_passes(&clock, store, doomed).await;
            assert!(died.is_none() && life.is_dead(), "{name}");
            DIES.take();
            let heir = Life::new(Death::Never);
            let tenant = heir.open(store, &clock);
            let check = async {
                let (_a, _b) = (start(&tenant, a).await, start(&tenant, b).await);
                check_all_kinds(store, a, b, &name).await;
            };
            while_time_passes(&clock, store, check).await;
            assert_eq!(ACTIONS.take(), actions, "{name}: an action runs at most once");
            heir.end();
        }
    }
}

async fn note(ledger: &Handle<Ledger>, number: u32) {
    let call = ledger
        .call::<u32, Never>(LedgerCall::Note(number))
        .timeout(TIMEOUT);
    assert_eq!(call.await.unwrap(), number);
}

async fn lock(ledger: &Handle<Ledger>, number: u32, to: &str) {
    let call = ledger
        .call::<u32, Never>(LedgerCall::Lock(number, to.to_owned()))
        .timeout(TIMEOUT);
    assert_eq!(call.await.unwrap(), number);
}
