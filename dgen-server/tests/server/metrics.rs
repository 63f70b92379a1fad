//! What an operator reads: the counters and histograms say what happened.

use std::time::Duration;

use dgen_backend::Database;
use dgen_server::{Handle, Never, StartOptions, Tenant};
use dgen_testkit::{
    MockClock,
    faults::{FaultyBackend, Rates},
};

use crate::support::{
    elsewhere::elsewhere,
    ledger::{Ledger, LedgerCall, LedgerCast},
    mortal::{Death, Life},
    patience::{until, while_time_passes},
    recorder::Recorder,
    *,
};

on_each_store! {
    /// Messages are counted once each, inline, through the queue and with priority; so are the
    /// transactions that took them.
    async fn messages_and_their_batches_are_counted(store: Store, faultless = "it counts batches") {
        let (recorder, _guard) = Recorder::install();
        let client = CounterHandle::client(&store.tenant, "demo");
        let casts = vec![CounterCast::Add { by: 1 }; 2_500];
        client.cast_all(casts).await.unwrap();
        let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
        assert_eq!(increment(&counter, 1).await, 2_501);
        let of = |name: &'static str| recorder.of(name, "Counter");
        assert_eq!(of("dgen_messages_total").sum(), 2_501.0);
        let batches = of("dgen_batch_size");
        assert_eq!(batches.sum(), 2_501.0);
        assert_eq!(batches.values()[..2], [1_000.0, 1_000.0]);
        assert_eq!(of("dgen_commit_seconds").len(), batches.len());
        // After the first the process does not know yet how long it is.
        assert_eq!(of("dgen_queue_length").values()[..2], [500.0, 0.0]);
        assert_eq!(of("dgen_conflicts_total").sum(), 0.0);

        counter.cast_all(vec![CounterCast::Add { by: 1 }; 3]).await.unwrap();
        counter.call::<i64, Never>(CounterCall::Value).priority().await.unwrap();
        assert_eq!(of("dgen_messages_total").sum(), 2_505.0);
        assert!(of("dgen_attempts_total").sum() >= of("dgen_batch_size").len() as f64);
        assert_eq!(recorder.of("dgen_messages_total", "Other").len(), 0);
    }

    /// The cache's hits and misses say who alone writes a server, and who does not.
    async fn the_caches_hits_and_misses_are_counted(store: Store, faultless = "it counts attempts") {
        for (name, cache) in [("Cached", true), ("Uncached", false)] {
            let (recorder, _guard) = Recorder::install();
            let options = StartOptions::default().cache(cache).name(name);
            let start = |tenant: &Tenant| {
                let (tenant, options) = (tenant.clone(), options.clone());
                async move { CounterHandle::start_with(&tenant, "demo", 0, options).await.unwrap() }
            };
            let counter = start(&store.tenant).await;
            for _ in 0..10 {
                increment(&counter, 1).await;
            }
            let hits = || recorder.of("dgen_cache_hits_total", name).sum();
            let misses = || recorder.of("dgen_cache_misses_total", name).sum();
            let (hit, missed) = (hits(), misses());
            if cache {
                assert!(hit >= 10.0 && missed == 0.0, "{hit} hits, {missed} misses");
            } else {
                assert!(hit == 0.0 && missed >= 10.0, "{hit} hits, {missed} misses");
            }
            // Another one writes.
            let other = start(&elsewhere(&store.tenant)).await;
            for _ in 0..10 {
                increment(&other, 1).await;
                increment(&counter, 1).await;
            }
            assert!(misses() - missed >= 10.0);
        }
    }

    /// Transactions that are tried again are counted as conflicts.
    async fn conflicts_are_counted(store: Store, faultless = "it counts conflicts") {
        let (recorder, _guard) = Recorder::install();
        // So few that no call loses three races in a row, and goes through the queue.
        let rates = Rates { conflict: 0.1, ..Rates::default() };
        let faulty = FaultyBackend::new(store.tenant.database().clone(), 3, rates);
        let faults = faulty.faults();
        let tenant = Tenant::new(Database::new(faulty), store.tenant.subspace().clone());
        faults.stop();
        let counter = CounterHandle::start(&tenant, "demo", 0).await.unwrap();
        faults.set_rates(rates);
        for _ in 0..30 {
            increment(&counter, 1).await;
        }
        faults.stop();
        let conflicts = recorder.of("dgen_conflicts_total", "Counter").sum();
        let messages = recorder.of("dgen_messages_total", "Counter").sum();
        assert_eq!(messages, 30.0);
        assert!(conflicts > 0.0);
        assert_eq!(conflicts, faults.counts().conflicts as f64);
    }

    /// SPEC S9: failures and dead letters are counted, as is the queue behind them.
    async fn failures_and_dead_letters_are_counted(store: Store, faultless = "it counts what each attempt found") {
        let (recorder, _guard) = Recorder::install();
        let client = CounterHandle::client(&store.tenant, "demo");
        client.cast_all(vec![CounterCast::Panic, CounterCast::Add { by: 1 }]).await.unwrap();
        let options = StartOptions::default().max_attempts(3);
        let counter =
            CounterHandle::start_with(&store.tenant, "demo", 0, options).await.unwrap();
        assert_eq!(value(&counter).await, 1);
        let of = |name: &'static str| recorder.of(name, "Counter");
        assert_eq!(of("dgen_failures_total").sum(), 3.0);
        assert_eq!(of("dgen_dead_letters_total").sum(), 1.0);
        assert_eq!(of("dgen_messages_total").sum(), 2.0, "the poison message was not handled");
        assert!(of("dgen_queue_length").values().contains(&2.0));
    }

    /// SPEC S7: a lock that is taken over is counted, and how long it held others up; so are timers.
    async fn locks_and_timers_are_counted(store: Store) {
        let (recorder, _guard) = Recorder::install();
        let store = &store.tenant;
        let (clock, life, heir) =
            (MockClock::new(1), Life::new(Death::Never), Life::new(Death::Never));
        let options = ledger::options();
        let start = async |life: &Life| {
            let tenant = life.open(store, &clock);
            Handle::<Ledger>::start_with(&tenant, "demo", (), options.clone()).await.unwrap()
        };
        let of = |name: &'static str| recorder.of(name, "Ledger");
        let first = start(&life).await;
        first.cast(LedgerCast::Later(1)).await.unwrap();
        let fired = until("the timer", async || {
            of("dgen_timers_fired_total").sum() > 0.0
        });
        while_time_passes(&clock, store, fired).await;
        let second = start(&heir).await;
        ledger::DIES.set(Some((ledger::Point::LockedWork, life.clone())));
        let to = "other".to_owned();
        let locked = life.run(async {
            first.cast(LedgerCast::Lock(2, to)).await.unwrap();
            std::future::pending::<()>().await;
        });
        assert!(locked.await.is_none());
        let note = second.call::<u32, Never>(LedgerCall::Note(3)).timeout(Duration::MAX);
        let noted = while_time_passes(&clock, store, note.into_future()).await;
        assert_eq!(noted.unwrap(), 3);
        assert_eq!(of("dgen_locks_taken_over_total").sum(), 1.0);
        assert_eq!(of("dgen_timers_fired_total").sum(), 1.0);
        let waits = of("dgen_lock_wait_seconds");
        let longest = waits.values().into_iter().fold(0.0, f64::max);
        assert!(longest >= 1.0, "the lease is a second: {waits:?}");
        heir.end();
    }
}
