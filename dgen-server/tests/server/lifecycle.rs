//! How a server begins, ends, and begins again.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use dgen_backend::KeyRange;
use dgen_server::{
    CallError, Context, Failure, Handle, Never, Reply, Server, StartError, StartOptions,
    StopReason, Tenant, Tuid,
};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

use crate::support::{
    elsewhere::elsewhere,
    ledger::{Ledger, LedgerCall, LedgerCast},
    patience::until,
    *,
};

/// A server whose start can fail, and which knows its own id.
#[derive(Clone, Serialize, Deserialize)]
struct Account {
    owner: String,
}

#[derive(Debug, thiserror::Error)]
#[error("an account has an owner")]
struct NoOwner;

impl Server for Account {
    const NAME: &'static str = "Account";
    type Args = String;
    type InitError = NoOwner;
    type Call = ();
    type Cast = Never;
    type Info = Never;

    fn init(owner: String) -> Result<Self, NoOwner> {
        if owner.is_empty() {
            return Err(NoOwner);
        }
        Ok(Self { owner })
    }

    fn id(owner: &String) -> Tuid {
        owner.as_str().into()
    }

    fn handle_call(&mut self, (): (), _cx: &mut Context<Self>) -> Reply {
        Reply::ok(&self.owner)
    }

    fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
        match cast {}
    }
}

/// How many keys the servers of one name have.
async fn keys(tenant: &Tenant, name: &str) -> usize {
    let range = KeyRange::subspace(&tenant.subspace().subspace(&name));
    let rows = tenant.transact(async |tx| tx.collect_range(range.clone()).await);
    rows.await.unwrap().len()
}

on_each_store! {
    /// SPEC S1: an init that fails fails the start, and stores nothing.
    async fn a_failing_init_stores_nothing(store: Store) {
        let started = Handle::<Account>::start(&store.tenant, "ada", String::new()).await;
        assert!(matches!(started, Err(StartError::Init(NoOwner))), "{started:?}");
        assert_eq!(keys(&store.tenant, Account::NAME).await, 0);
    }

    /// SPEC S1: init's arguments give the id, unless the caller gives one.
    async fn init_gives_the_id_unless_the_caller_does(store: Store) {
        let start = |id: Tuid| Handle::<Account>::start(&store.tenant, id, "ada".to_owned());
        let own = start(().into()).await.unwrap();
        assert_eq!(own.id(), &Tuid::from("ada"));
        let other = start("first".into()).await.unwrap();
        assert_eq!(other.id(), &Tuid::from("first"));
        let client = Handle::<Account>::client(&store.tenant, "ada");
        assert_eq!(client.call::<String, Never>(()).await.unwrap(), "ada");
    }

    /// SPEC S1: one that does not consume stores the first state, and leaves the messages to others.
    async fn a_start_that_does_not_consume_only_sends(store: Store) {
        let options = StartOptions::default().consume(false);
        let sender = CounterHandle::start_with(&store.tenant, "demo", 5, options).await.unwrap();
        sender.cast(CounterCast::Add { by: 1 }).await.unwrap();
        assert_eq!(sender.queue_len().await.unwrap(), 1);
        assert!(sender.status().await.unwrap().is_started);
        let consumer = CounterHandle::start(&store.tenant, "demo", 100).await.unwrap();
        assert_eq!(value(&consumer).await, 6);
        sender.stop().await;
        assert_eq!(value(&sender).await, 6, "there was no process to stop");
    }

    /// SPEC S10: kill, then start again begins from init.
    async fn a_killed_server_begins_from_init(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 5).await.unwrap();
        increment(&counter, 1).await;
        counter.kill().await.unwrap();
        assert_eq!(counter.stopped().await, StopReason::Killed);
        assert!(!counter.status().await.unwrap().is_started);
        let again = CounterHandle::start(&store.tenant, "demo", 100).await.unwrap();
        assert_eq!(value(&again).await, 100);
    }

    /// SPEC S10: kill deletes state, queue, lock, timers, ids, waiting calls and dead letters, and
    /// nothing of any other server.
    async fn kill_leaves_nothing_behind(store: Store) {
        let neighbour = CounterHandle::start(&store.tenant, "dem", 7).await.unwrap();
        let options = || StartOptions::default().max_attempts(1);
        let start = || Handle::<Ledger>::start_with(&store.tenant, "demo", (), options());
        let ledger = start().await.unwrap();
        ledger.cast(LedgerCast::Note(1)).id("one").await.unwrap();
        ledger.cast(LedgerCast::NextYear(2)).await.unwrap();
        assert!(ledger.status().await.unwrap().next_due.is_some());
        ledger.stop().await;
        // Of another version, which sends what this one does not know.
        let newer = Handle::<Newer>::client(&store.tenant, "demo");
        newer.cast(NewerCast::Unheard).await.unwrap();
        let options = options().unknown_message_grace(Duration::ZERO);
        let ledger =
            Handle::<Ledger>::start_with(&store.tenant, "demo", (), options).await.unwrap();
        until("a dead letter", async || {
            ledger.status().await.unwrap().dead_letters == 1
        })
        .await;
        ledger.cast(LedgerCast::Block).await.unwrap();
        ledger.cast(LedgerCast::Note(3)).await.unwrap();
        assert!(keys(&store.tenant, Ledger::NAME).await > 10, "there is one of each");
        let status = ledger.status().await.unwrap();
        assert!(status.hold.is_some() && status.queue_len == 1, "{status:?}");

        let here = ledger.call::<u32, Never>(LedgerCall::Note(4)).into_future();
        let client = Handle::<Ledger>::client(&elsewhere(&store.tenant), "demo");
        let there = client.call::<u32, Never>(LedgerCall::Note(5)).into_future();
        let kill = async {
            until("two waiting calls", async || {
                ledger.status().await.unwrap().queue_len == 3
            })
            .await;
            ledger.kill().await.unwrap();
        };
        let (here, there, ()) = tokio::join!(here, there, kill);
        for answer in [here, there] {
            assert!(matches!(answer, Err(CallError::Failed(Failure::Killed))), "{answer:?}");
        }
        assert_eq!(keys(&store.tenant, Ledger::NAME).await, 0);
        assert_eq!(value(&neighbour).await, 7);
    }

    /// SPEC S10: a server that is killed elsewhere ends its processes here when they look next, and
    /// what came for it waits for the next start.
    async fn a_process_ends_when_its_server_is_killed_elsewhere(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 5).await.unwrap();
        increment(&counter, 1).await;
        let there = CounterHandle::client(&elsewhere(&store.tenant), "demo");
        there.kill().await.unwrap();
        let call = counter.call::<i64, Never>(CounterCall::Increment { by: 1 }).into_future();
        let restart = async {
            assert_eq!(counter.stopped().await, StopReason::Killed);
            CounterHandle::start(&store.tenant, "demo", 100).await.unwrap()
        };
        let (answer, _again) = tokio::join!(call, restart);
        match answer {
            // It was handed over to the next one, or saw that its server was gone.
            Ok(value) => assert_eq!(value, 101),
            Err(error) => {
                assert!(matches!(error, CallError::Failed(Failure::Killed)), "{error:?}");
            }
        }
    }

    /// SPEC S10: dropping the last handle of a process does not stop it.
    async fn a_process_outlives_its_handles(store: Store) {
        let counter = CounterHandle::start(&store.tenant, "demo", 5).await.unwrap();
        drop(counter);
        let client = CounterHandle::client(&elsewhere(&store.tenant), "demo");
        assert_eq!(value(&client).await, 5, "somebody consumes its queue");
    }

    /// SPEC S10: a supervisor sees why a process ended, and starts it again.
    async fn a_supervisor_restarts_what_has_stopped(store: Store) {
        let client = CounterHandle::client(&store.tenant, "demo");
        let supervise = async {
            let mut starts = 0;
            loop {
                let counter = CounterHandle::start(&store.tenant, "demo", 0).await.unwrap();
                starts += 1;
                match counter.stopped().await {
                    StopReason::Handler(reason) => assert_eq!(reason, "asked to"),
                    StopReason::Requested => return starts,
                    reason => panic!("{reason}"),
                }
                if starts == 4 {
                    return starts;
                }
            }
        };
        let callers = async {
            for stop in 1..=4 {
                let call = client.call::<i64, Never>(CounterCall::Stop);
                assert_eq!(call.await.unwrap(), stop);
            }
        };
        assert_eq!(tokio::join!(supervise, callers), (4, ()));
    }

    /// SPEC S10: stop waits for the transaction in flight; what it did not come to is handled by the
    /// next process, once.
    async fn stop_loses_no_call_that_is_under_way(store: Store) {
        // Nothing but the stop wakes a process.
        let options = StartOptions::default().poll_interval(Duration::from_secs(1_000_000));
        let start = || CounterHandle::start_with(&store.tenant, "demo", 0, options.clone());
        for round in 1..=20 {
            let counter = start().await.unwrap();
            let calls = join_all((0..8).map(|_| increment(&counter, 1)));
            let restart = async {
                for _ in 0..round {
                    tokio::task::yield_now().await;
                }
                counter.stop().await;
                start().await.unwrap()
            };
            let (mut answers, again) = tokio::join!(calls, restart);
            answers.sort_unstable();
            let first = (round - 1) * 8 + 1;
            assert_eq!(answers, (first..first + 8).collect::<Vec<_>>());
            again.stop().await;
        }
    }
}

/// A later version of the ledger, which knows a message more.
#[derive(Clone, Serialize, Deserialize)]
struct Newer;

#[derive(Clone, Serialize, Deserialize)]
enum NewerCast {
    Unheard,
}

impl Server for Newer {
    const NAME: &'static str = "Ledger";
    type Args = ();
    type InitError = Never;
    type Call = Never;
    type Cast = NewerCast;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self)
    }

    fn handle_call(&mut self, call: Never, _cx: &mut Context<Self>) -> Reply {
        match call {}
    }

    fn handle_cast(&mut self, _cast: NewerCast, _cx: &mut Context<Self>) {}
}
