//! The keys and bytes of a small store, held to a file: what docs/keyspace.md and
//! docs/wire-format.md describe. After a change that is meant, `DGEN_GOLDEN=write cargo test -p
//! dgen-server --test server golden` writes the file anew; such a change goes into CHANGELOG.md.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{env, fmt::Write as _, fs, path::Path, pin::pin, time::Duration};

use dgen_backend::{
    KeyRange, Tenant,
    tuple::{Element, Subspace, unpack},
};
use dgen_server::{
    Context, Handle, Locked, LockedWork, Never, Reply, ReplyTo, Server, StartOptions,
};
use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use serde::{Deserialize, Serialize};

use crate::support::{CounterCall, CounterCast, CounterHandle, patience::until};

/// A state with each of the three encodings.
#[derive(Clone, Serialize, Deserialize)]
struct Shop {
    name: String,
    open: bool,
    orders: Vec<Order>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Order {
    id: String,
    cents: u64,
}

impl Server for Shop {
    const NAME: &'static str = "Shop";
    type Args = ();
    type InitError = Never;
    type Call = Never;
    type Cast = Never;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        let order = |id: &str, cents| Order {
            id: id.to_owned(),
            cents,
        };
        Ok(Self {
            name: "tea".to_owned(),
            open: true,
            orders: vec![order("o-2", 250), order("o-1", 1_000)],
        })
    }

    fn handle_call(&mut self, call: Never, _cx: &mut Context<Self>) -> Reply {
        match call {}
    }

    fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
        match cast {}
    }
}

/// A server that leaves each kind of key behind.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Ledger {
    waiting: Vec<ReplyTo<u32>>,
}

#[derive(Clone, Serialize, Deserialize)]
enum LedgerCall {
    /// Answers at once.
    Answer,
    /// Answers later.
    Defer,
}

#[derive(Clone, Serialize, Deserialize)]
enum LedgerCast {
    SetTimers,
    Ring,
    Panic,
    Lock,
}

impl Server for Ledger {
    const NAME: &'static str = "Ledger";
    type Args = ();
    type InitError = Never;
    type Call = LedgerCall;
    type Cast = LedgerCast;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: LedgerCall, cx: &mut Context<Self>) -> Reply {
        match call {
            LedgerCall::Answer => Reply::ok(&7),
            LedgerCall::Defer => {
                let (to, deferred) = cx.defer();
                self.waiting.push(to);
                Reply::deferred(deferred)
            }
        }
    }

    fn handle_cast(&mut self, cast: LedgerCast, cx: &mut Context<Self>) {
        match cast {
            LedgerCast::SetTimers => {
                let me = cx.handle();
                cx.send_after(Duration::from_secs(60), me.cast(LedgerCast::Ring));
                let hour = Duration::from_secs(3_600);
                cx.send_every("hourly", hour, me.cast(LedgerCast::Ring));
            }
            LedgerCast::Ring => {}
            LedgerCast::Panic => panic!("asked to"),
            LedgerCast::Lock => cx.lock(),
        }
    }

    async fn handle_locked(&mut self, _work: LockedWork<Self>, _cx: &mut Locked<Self>) -> Reply {
        std::future::pending().await
    }
}

/// Leaves a remembered id, timers, a deferred reply, a dead letter and a lock behind; and at another
/// server a message that failed.
async fn leave_all_kinds_behind(tenant: &Tenant) {
    let options = StartOptions::default().max_attempts(1);
    let ledger = Handle::<Ledger>::start_with(tenant, "one", (), options);
    let ledger = ledger.await.unwrap();
    ledger.cast(LedgerCast::SetTimers).await.unwrap();
    let answer = ledger.call::<u32, Never>(LedgerCall::Answer).id("order-17");
    assert_eq!(answer.await.unwrap(), 7);
    let deferred = ledger.call::<u32, Never>(LedgerCall::Defer).id("order-18");
    let is_deferred = pin!(until("it waits", async || keys_with(tenant, "waiting")
        .await
        > 0));
    match select(deferred.into_future(), is_deferred).await {
        Either::Right(((), deferred)) => std::mem::forget(deferred),
        Either::Left((answer, _)) => panic!("{answer:?}"),
    }
    ledger.cast(LedgerCast::Panic).await.unwrap();
    until("a dead letter", async || {
        !ledger.dead_letters().await.unwrap().is_empty()
    })
    .await;
    ledger.cast(LedgerCast::Lock).await.unwrap();
    until("the lock", async || {
        ledger.status().await.unwrap().hold.is_some()
    })
    .await;

    let failing = Handle::<Ledger>::start(tenant, "two", ()).await.unwrap();
    failing.cast(LedgerCast::Panic).await.unwrap();
    until("it failed", async || {
        failing.status().await.unwrap().hold.is_some()
    })
    .await;
}

/// How many rows hold these bytes.
async fn keys_with(tenant: &Tenant, text: &str) -> usize {
    let tx = tenant.database().begin().unwrap();
    let rows = tx.collect_range(KeyRange::new(b"", b"\xff")).await.unwrap();
    let has_text = |bytes: &[u8]| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    rows.iter().filter(|row| has_text(&row.value)).count()
}

/// SPEC C1, B6, M4: what is stored stays readable; a change of it is seen.
#[tokio::test]
async fn stored_keys_and_bytes_are_golden() {
    let clock = dgen_testkit::MockClock::new(0);
    let db = dgen_local::Options::default()
        .env(clock.env())
        .in_memory()
        .unwrap();
    let tenant = Tenant::new(db, Subspace::from("dgen"));
    Tenant::open(tenant.database(), ["app", "eu"])
        .await
        .unwrap();
    Handle::<Shop>::start(&tenant, ("eu", 7), ()).await.unwrap();
    let client = CounterHandle::client(&tenant, "demo");
    client.cast(CounterCast::Add { by: 2 }).await.unwrap();
    // Polled once, the call is pushed and waits.
    let call = client.call::<i64, Never>(CounterCall::Increment { by: 3 });
    let mut call = call.into_future();
    assert!((&mut call).now_or_never().is_none());
    // Dropped, it would clean up.
    std::mem::forget(call);
    leave_all_kinds_behind(&tenant).await;

    let dump = dump(&tenant).await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/golden/keyspace.txt");
    if env::var("DGEN_GOLDEN").is_ok_and(|value| value == "write") {
        fs::write(&path, &dump).unwrap();
    }
    assert_eq!(dump, fs::read_to_string(&path).unwrap());
}

/// Each key as a tuple, and its value with what is not ASCII escaped. The random name of the OS
/// process is left out.
async fn dump(tenant: &Tenant) -> String {
    let tx = tenant.database().begin().unwrap();
    let rows = tx.collect_range(KeyRange::new(b"", b"\xff")).await.unwrap();
    let mut dump = String::new();
    let mut process = None;
    for row in &rows {
        let (prefix, tuple) = match row.key.strip_prefix(&[0xfe]) {
            Some(tuple) => ("FE ", tuple),
            None => ("", &row.key[..]),
        };
        let elements: Vec<Element<'_>> = unpack(tuple).unwrap();
        let key = elements.iter().map(element).collect::<Vec<_>>().join(", ");
        if let Some(position) = elements
            .iter()
            .position(|element| element.as_str() == Some("r"))
        {
            process = elements[position + 1]
                .as_bytes()
                .map(|bytes| bytes.to_vec());
        }
        writeln!(
            dump,
            "{prefix}({key})\n    \"{}\"",
            row.value.escape_ascii()
        )
        .unwrap();
    }
    let process = process.unwrap();
    dump.replace(&process.escape_ascii().to_string(), "<process>")
}

fn element(element: &Element<'_>) -> String {
    match element {
        Element::String(text) => format!("{text:?}"),
        Element::Int(number) => number.to_string(),
        Element::Bytes(bytes) => format!("b\"{}\"", bytes.escape_ascii()),
        Element::Versionstamp(stamp) => format!("stamp {}", stamp.as_bytes().escape_ascii()),
        Element::Tuple(elements) => {
            let inner: Vec<_> = elements.iter().map(self::element).collect();
            format!("({})", inner.join(", "))
        }
        other => format!("{other:?}"),
    }
}
