//! Calls that only read: what they cost, what they see, and whom they wait for.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{cell::Cell, pin::pin};

use dgen_server::{
    CallError, Context, Failure, Handle, Locked, LockedWork, Never, Reply, Server, StartOptions,
    Tenant,
};
use futures_util::{
    FutureExt as _,
    future::{Either, join, join_all, join4, select},
};
use serde::{Deserialize, Serialize, Serializer};

use crate::support::{
    elsewhere::elsewhere, mocked::woken_only, patience::until, witness::Witness, *,
};

thread_local! {
    /// Each test has a thread of its own, and all its tasks are there.
    static CLONED: Cell<u32> = const { Cell::new(0) };
    static ENCODED: Cell<u32> = const { Cell::new(0) };
}

/// Something that is noticed when it is cloned or encoded.
#[derive(Debug, Default, Deserialize)]
struct Heavy(u64);

impl Clone for Heavy {
    fn clone(&self) -> Self {
        CLONED.set(CLONED.get() + 1);
        Self(self.0)
    }
}

impl Serialize for Heavy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ENCODED.set(ENCODED.get() + 1);
        serializer.serialize_u64(self.0)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Shelf {
    value: u64,
    heavy: Heavy,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum ShelfCall {
    Put(u64),
    Value,
    IsAbove(u64),
    Panic,
    Later,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum ShelfCast {
    Add(u64),
    Lock,
}

impl Server for Shelf {
    const NAME: &'static str = "Shelf";
    type Args = ();
    type InitError = Never;
    type Call = ShelfCall;
    type Cast = ShelfCast;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: ShelfCall, _cx: &mut Context<Self>) -> Reply {
        let ShelfCall::Put(value) = call else {
            unreachable!("a read goes to `handle_read`");
        };
        self.value = value;
        Reply::ok(&())
    }

    fn handle_read(&self, call: &ShelfCall) -> Option<Reply> {
        match call {
            ShelfCall::Put(_) => None,
            ShelfCall::Value => Some(Reply::ok(&self.value)),
            ShelfCall::IsAbove(limit) if self.value > *limit => Some(Reply::ok(&())),
            ShelfCall::IsAbove(_) => Some(Reply::err(&self.value)),
            ShelfCall::Panic => panic!("asked to"),
            ShelfCall::Later => Some(Reply::later()),
        }
    }

    fn handle_cast(&mut self, cast: ShelfCast, cx: &mut Context<Self>) {
        match cast {
            ShelfCast::Add(by) => self.value += by,
            ShelfCast::Lock => cx.lock(),
        }
    }

    async fn handle_locked(&mut self, _work: LockedWork<Self>, _cx: &mut Locked<Self>) -> Reply {
        std::future::pending().await
    }
}

type ShelfHandle = Handle<Shelf>;

async fn start(tenant: &Tenant) -> ShelfHandle {
    ShelfHandle::start_with(tenant, "demo", (), woken_only())
        .await
        .unwrap()
}

async fn put(shelf: &ShelfHandle, value: u64) {
    let call = shelf.call::<(), Never>(ShelfCall::Put(value));
    call.await.unwrap();
}

async fn read(shelf: &ShelfHandle) -> u64 {
    let call = shelf.call::<u64, Never>(ShelfCall::Value);
    call.await.unwrap()
}

/// Lets the process look once more, and find nothing.
async fn settle(shelf: &ShelfHandle) {
    put(shelf, 1).await;
    for _ in 0..3 {
        read(shelf).await;
    }
}

on_each_store! {
    /// A read is handled on the state in memory as it is, whoever does that, and alone or in a batch.
    async fn a_read_clones_and_encodes_nothing(store: Store, faultless = "it counts what is done") {
        let shelf = start(&store.tenant).await;
        settle(&shelf).await;
        let (cloned, encoded) = (CLONED.get(), ENCODED.get());
        for _ in 0..5 {
            assert_eq!(read(&shelf).await, 1);
        }
        assert!(join_all((0..5).map(|_| read(&shelf))).await.iter().all(|value| *value == 1));
        // By its process, for the id's sake.
        let remembered = shelf.call::<u64, Never>(ShelfCall::Value).id("a");
        assert_eq!(remembered.await.unwrap(), 1);
        assert_eq!((CLONED.get() - cloned, ENCODED.get() - encoded), (0, 0));

        // Beside a write, that one's copy serves.
        let client = ShelfHandle::client(&store.tenant, "demo");
        let (before, write) = (read(&shelf), put(&client, 2));
        let (before, (), after, behind) = join4(before, write, read(&shelf), read(&client)).await;
        assert_eq!((before, after, behind), (1, 2, 2));
        assert_eq!(CLONED.get() - cloned, 1);
    }

    /// Where a process waits, its callers read by themselves: it does not notice.
    async fn a_read_wakes_no_process(store: Store, faultless = "it counts what is done") {
        let (witness, _guard) = Witness::install();
        let shelf = start(&store.tenant).await;
        settle(&shelf).await;
        let attempts = || witness.count("span attempt");
        let (before, reads) = (attempts(), witness.count(r#"span read server=Shelf("demo")"#));
        for _ in 0..10 {
            assert_eq!(read(&shelf).await, 1);
        }
        assert_eq!(attempts(), before);
        assert_eq!(witness.count(r#"span read server=Shelf("demo")"#), reads + 10);
        let refused = shelf.call::<(), u64>(ShelfCall::IsAbove(3)).await;
        assert!(matches!(refused, Err(CallError::Handler(1))));
        shelf.call::<(), u64>(ShelfCall::IsAbove(0)).await.unwrap();
        assert_eq!(attempts(), before);
    }

    /// SPEC S8, S11: a read sees what was acknowledged before, wherever it was.
    async fn a_read_sees_what_others_have_written(store: Store) {
        let here = start(&store.tenant).await;
        let there = start(&elsewhere(&store.tenant)).await;
        for round in 0..20 {
            put(&there, round).await;
            assert_eq!(read(&here).await, round);
            assert_eq!(read(&there).await, round);
            put(&here, round + 100).await;
            assert_eq!(read(&there).await, round + 100);
            // Once more, and by its caller.
            assert_eq!(read(&here).await, round + 100);
        }
    }

    /// SPEC S2, S3: a read takes its place behind what was queued before it.
    async fn a_read_waits_behind_the_queue(store: Store) {
        let here = start(&store.tenant).await;
        let there = ShelfHandle::client(&elsewhere(&store.tenant), "demo");
        settle(&here).await;
        for round in 1..=20 {
            assert_eq!(read(&here).await, round);
            there.cast(ShelfCast::Add(1)).await.unwrap();
        }
    }

    /// SPEC S3: a read takes its place behind what its caller has just sent.
    async fn a_read_waits_behind_the_mailbox(store: Store) {
        let shelf = start(&store.tenant).await;
        settle(&shelf).await;
        for round in 2..20 {
            let mut write = pin!(put(&shelf, round));
            assert!((&mut write).now_or_never().is_none());
            let ((), value) = join(write, read(&shelf)).await;
            assert_eq!(value, round);
            read(&shelf).await;
        }
    }

    /// SPEC S7: a server that was locked elsewhere answers no read until it is unlocked; one that skips the
    /// queue, it does.
    async fn a_read_waits_for_the_lock(store: Store) {
        let here = start(&store.tenant).await;
        settle(&here).await;
        let there = start(&elsewhere(&store.tenant)).await;
        there.cast(ShelfCast::Lock).await.unwrap();
        let waits = until("it is queued", async || here.queue_len().await.unwrap() > 0);
        match select(pin!(read(&here)), pin!(waits)).await {
            Either::Left((value, _)) => panic!("read in spite of the lock: {value}"),
            Either::Right(((), _)) => {}
        }
        let urgent = here.call::<u64, Never>(ShelfCall::Value).priority();
        assert_eq!(urgent.await.unwrap(), 1);
    }

    /// SPEC S10: what was killed elsewhere is not read any more.
    async fn a_read_finds_no_server_that_was_killed(store: Store) {
        for _ in 0..5 {
            let here = start(&store.tenant).await;
            settle(&here).await;
            let there = ShelfHandle::client(&elsewhere(&store.tenant), "demo");
            there.kill().await.unwrap();
            // Whoever would answer: the call waits in the queue of a server that does not exist.
            let value = here.call::<u64, Never>(ShelfCall::Value);
            let value = pin!(value.into_future());
            match select(value, pin!(here.stopped())).await {
                Either::Left((Ok(value), _)) => panic!("read of a dead server: {value}"),
                Either::Left((Err(_), _)) | Either::Right(_) => {}
            }
            there.kill().await.unwrap();
        }
    }

    /// SPEC S9: a read that panics or gives no answer is like any other message that does.
    async fn a_read_that_fails_harms_nobody_else(store: Store) {
        let options = StartOptions::default().max_attempts(2);
        let shelf = ShelfHandle::start_with(&store.tenant, "demo", (), options).await.unwrap();
        settle(&shelf).await;
        let failed = shelf.call::<u64, Never>(ShelfCall::Panic).await;
        let Err(CallError::Failed(Failure::DeadLettered { error, attempts: 2 })) = failed else {
            panic!("{failed:?}");
        };
        assert!(error.contains("asked to"), "{error}");
        assert_eq!(shelf.dead_letters().await.unwrap().len(), 1);
        let failed = shelf.call::<u64, Never>(ShelfCall::Later).await;
        assert!(matches!(failed, Err(CallError::Failed(Failure::Encode { .. }))), "{failed:?}");
        assert_eq!(read(&shelf).await, 1);
    }

    /// SPEC T3: a read that has an id is answered the same again.
    async fn a_read_with_an_id_has_one_answer(store: Store) {
        let shelf = start(&store.tenant).await;
        settle(&shelf).await;
        let named = || shelf.call::<u64, Never>(ShelfCall::Value).id("report");
        assert_eq!(named().await.unwrap(), 1);
        put(&shelf, 2).await;
        assert_eq!(named().await.unwrap(), 1);
        assert_eq!(read(&shelf).await, 2);
    }

    /// Without a cache there is nothing that a caller could read from.
    async fn without_a_cache_reads_go_through_the_process(store: Store) {
        let options = StartOptions::default().cache(false);
        let shelf = ShelfHandle::start_with(&store.tenant, "demo", (), options).await.unwrap();
        for value in 1..5 {
            put(&shelf, value).await;
            assert_eq!((read(&shelf).await, read(&shelf).await), (value, value));
        }
    }
}
