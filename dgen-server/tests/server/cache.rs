//! The state that a consumer keeps in memory: what it saves, and that nobody sees an old one.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;

use dgen_backend::{Transaction, tuple::Element};
use dgen_server::{Context, Handle, Never, Reply, Server, StartOptions, StopReason, Tenant};
use serde::{Deserialize, Serialize};

use crate::support::{elsewhere::elsewhere, patience::found, *};

/// Each of its entries is a row of the store.
const ENTRIES: u64 = 200;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Shelf {
    entries: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum ShelfCall {
    Count(String),
    Get(String),
}

impl Server for Shelf {
    const NAME: &'static str = "Shelf";
    type Args = u64;
    type InitError = Never;
    type Call = ShelfCall;
    type Cast = String;
    type Info = Never;

    fn init(value: u64) -> Result<Self, Never> {
        let entries = (0..ENTRIES).map(|number| (format!("{number:03}"), value));
        Ok(Self {
            entries: entries.collect(),
        })
    }

    fn handle_call(&mut self, call: ShelfCall, _cx: &mut Context<Self>) -> Reply {
        match call {
            ShelfCall::Count(key) => {
                let value = self.entries.entry(key).or_default();
                *value += 1;
                Reply::ok(value)
            }
            ShelfCall::Get(key) => Reply::ok(&self.entries.get(&key)),
        }
    }

    fn handle_cast(&mut self, key: String, _cx: &mut Context<Self>) {
        *self.entries.entry(key).or_default() += 1;
    }
}

type ShelfHandle = Handle<Shelf>;

async fn start(tenant: &Tenant, options: StartOptions) -> ShelfHandle {
    ShelfHandle::start_with(tenant, "demo", 0, options)
        .await
        .unwrap()
}

async fn count(shelf: &ShelfHandle, key: &str) -> u64 {
    shelf
        .call::<u64, Never>(ShelfCall::Count(key.to_owned()))
        .await
        .unwrap()
}

async fn get(shelf: &ShelfHandle, key: &str) -> u64 {
    shelf
        .call::<u64, Never>(ShelfCall::Get(key.to_owned()))
        .await
        .unwrap()
}

/// The version of the server's state.
async fn version(tenant: &Tenant) -> Option<dgen_codec::Version> {
    let id = Element::Tuple(vec![Element::String("demo".into())]);
    let server = vec![Element::String(Shelf::NAME.into()), id];
    let state = tenant.subspace().subspace(&server).subspace(&"s");
    let version = async |tx: Transaction| dgen_codec::version(&tx, &state).await;
    tenant.database().transact(version).await.unwrap()
}

on_each_store! {
    /// SPEC S8: the cache is on by default: a consumer that alone writes a server reads no row of its
    /// state, neither for calls nor for what comes through the queue.
    async fn a_consumer_that_alone_writes_reads_no_state(store: Store, faultless = "it counts what is read or written") {
        let (tenant, counts) = counting(&store);
        let shelf = start(&tenant, StartOptions::default()).await;
        let before = counts.rows_read();
        for number in 1..=50 {
            assert_eq!(count(&shelf, "007").await, number);
            assert_eq!(get(&shelf, "008").await, 0);
        }
        assert_eq!(counts.rows_read(), before);
        let there = ShelfHandle::client(&elsewhere(&store.tenant), "demo");
        for _ in 0..10 {
            there.cast("007".to_owned()).await.unwrap();
        }
        assert_eq!(get(&shelf, "007").await, 60);
        let queued = counts.rows_read() - before;
        assert!(queued < 100, "ten messages took {queued} rows");
    }

    /// SPEC S8: a state that exists is read once, at the start.
    async fn the_cache_begins_with_the_state_that_exists(store: Store, faultless = "it counts what is read or written") {
        let shelf = start(&store.tenant, StartOptions::default()).await;
        count(&shelf, "007").await;
        shelf.stop().await;
        let (tenant, counts) = counting(&store);
        let shelf = start(&tenant, StartOptions::default()).await;
        let at_start = counts.rows_read();
        assert!(at_start >= ENTRIES, "{at_start} rows were read");
        assert_eq!(get(&shelf, "007").await, 1);
        assert_eq!(count(&shelf, "007").await, 2);
        assert_eq!(counts.rows_read(), at_start);
    }

    /// SPEC S1, S8: without the cache everything is the same, and each message reads the state.
    async fn without_the_cache_all_is_the_same(store: Store, faultless = "it counts what is read or written") {
        let (tenant, counts) = counting(&store);
        let shelf = start(&tenant, StartOptions::default().cache(false)).await;
        let before = counts.rows_read();
        for number in 1..=10 {
            assert_eq!(count(&shelf, "007").await, 2 * number - 1);
            shelf.cast("007".to_owned()).await.unwrap();
            assert_eq!(count(&shelf, "008").await, number);
            assert_eq!(get(&shelf, "007").await, 2 * number);
        }
        assert!(counts.rows_read() - before >= 40 * ENTRIES);
    }

    /// SPEC S8, S11: two consumers in two OS processes, each with a cache, write in turn and by
    /// turns: each sees what the other has written.
    async fn two_consumers_see_each_others_writes(store: Store) {
        for (name, cache_here, cache_there) in
            [("both", true, true), ("one", true, false), ("none", false, false)]
        {
            let options = |cache| StartOptions::default().cache(cache).name(name);
            let here = start(&store.tenant, options(cache_here)).await;
            let there = start(&elsewhere(&store.tenant), options(cache_there)).await;
            let mut expected = 0;
            for round in 0..20 {
                let (writer, reader) = if round % 3 == 0 { (&here, &there) } else { (&there, &here) };
                for _ in 0..round % 4 {
                    expected += 1;
                    assert_eq!(count(writer, "007").await, expected);
                }
                assert_eq!(get(reader, "007").await, expected);
                assert_eq!(get(writer, "007").await, expected);
            }
        }
    }

    /// SPEC C4, S8: reads without a change keep the state's version; each change makes a new one.
    async fn reads_keep_the_version_and_changes_do_not(store: Store) {
        for cache in [true, false] {
            let options = StartOptions::default().cache(cache).reset(true);
            let shelf = start(&store.tenant, options).await;
            let mut last = version(&store.tenant).await;
            assert!(last.is_some());
            for number in 1..=5 {
                for _ in 0..20 {
                    get(&shelf, "007").await;
                }
                assert_eq!(version(&store.tenant).await, last);
                assert_eq!(count(&shelf, "007").await, number);
                let now = version(&store.tenant).await;
                assert!(now > last, "{now:?} {last:?}");
                last = now;
            }
            shelf.stop().await;
        }
    }

    /// SPEC S8: a change after many reads is seen by the one that read, wherever it was made.
    async fn a_change_after_many_reads_is_seen(store: Store) {
        let here = start(&store.tenant, StartOptions::default()).await;
        let there = start(&elsewhere(&store.tenant), StartOptions::default()).await;
        for number in 1..=3 {
            for _ in 0..100 {
                assert_eq!(get(&here, "007").await, number - 1);
            }
            assert_eq!(count(&there, "007").await, number);
            assert_eq!(get(&here, "007").await, number);
        }
    }

    /// SPEC S1, S8: a reset elsewhere clears the cache: nobody answers from the state before it.
    async fn a_reset_elsewhere_is_seen(store: Store) {
        let here = start(&store.tenant, StartOptions::default()).await;
        assert_eq!(count(&here, "007").await, 1);
        let there = elsewhere(&store.tenant);
        let options = StartOptions::default().reset(true);
        let reset = ShelfHandle::start_with(&there, "demo", 40, options).await.unwrap();
        assert_eq!(get(&here, "007").await, 40);
        assert_eq!(count(&here, "007").await, 41);
        assert_eq!(get(&reset, "007").await, 41);
    }

    /// SPEC S8, S10: a kill clears the cache: a process that still runs elsewhere writes nothing of
    /// the old state, and the server begins from init.
    async fn a_kill_elsewhere_is_seen(store: Store) {
        let here = start(&store.tenant, StartOptions::default()).await;
        assert_eq!(count(&here, "007").await, 1);
        let there = elsewhere(&store.tenant);
        ShelfHandle::client(&there, "demo").kill().await.unwrap();
        here.cast("007".to_owned()).await.unwrap();
        assert_eq!(here.stopped().await, StopReason::Killed);
        assert_eq!(version(&store.tenant).await, None, "nothing was written back");
        let again = ShelfHandle::start(&there, "demo", 40).await.unwrap();
        // What was sent after the kill waited for it.
        let waited = found("the cast", async || {
            let value = get(&again, "007").await;
            (value != 40).then_some(value)
        });
        assert_eq!(waited.await, 41);

        // Killed and begun anew behind the back of one that runs: it goes on with the new state.
        let here = start(&store.tenant, StartOptions::default()).await;
        assert_eq!(get(&here, "007").await, 41);
        again.kill().await.unwrap();
        let _third = ShelfHandle::start(&there, "demo", 70).await.unwrap();
        assert_eq!(get(&here, "007").await, 70);
    }
}
