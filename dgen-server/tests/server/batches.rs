//! Batches: what is too much for one transaction, and who waits for whom.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{cell::RefCell, time::Duration};

use dgen_backend::{Database, Tenant, tuple::Subspace};
use dgen_server::{CallError, Context, Failure, Handle, Never, Reply, Server, StartOptions};
use dgen_testkit::{
    MockClock,
    faults::{FaultyBackend, Rates},
};
use futures_util::{
    future::{Either, join_all, select},
    pin_mut,
};
use serde::{Deserialize, Serialize, Serializer};

use crate::support::{elsewhere::elsewhere, patience::until, *};

fn tenant(db: Database) -> Tenant {
    Tenant::new(db, Subspace::from("test"))
}

thread_local! {
    static CLOCK: RefCell<Option<MockClock>> = const { RefCell::new(None) };
}

/// Its handlers take 300 ms each.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Slow {
    handled: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Step;

impl Server for Slow {
    const NAME: &'static str = "Slow";
    type Args = ();
    type InitError = Never;
    type Call = Step;
    type Cast = Step;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, _call: Step, _cx: &mut Context<Self>) -> Reply {
        Reply::ok(&self.handled)
    }

    fn handle_cast(&mut self, _cast: Step, _cx: &mut Context<Self>) {
        CLOCK.with_borrow(|clock| clock.as_ref().unwrap().advance(Duration::from_millis(300)));
        self.handled += 1;
    }
}

/// SPEC S2: a backlog whose handlers take longer than a transaction may is handled in several.
#[tokio::test]
async fn slow_handlers_share_no_more_than_a_transaction_may_take() {
    let clock = MockClock::new(0);
    CLOCK.set(Some(clock.clone()));
    let db = dgen_local::Options::default()
        .env(clock.env())
        .in_memory()
        .unwrap();
    let tenant = tenant(db);
    let client = Handle::<Slow>::client(&tenant, ());
    client.cast_all(vec![Step; 60]).await.unwrap();
    let server = Handle::<Slow>::start(&tenant, (), ()).await.unwrap();
    let handled: u32 = server
        .call::<_, Never>(Step)
        .timeout(Duration::from_secs(3_600))
        .await
        .unwrap();
    assert_eq!(handled, 60);
}

/// SPEC S4: replies that together are over a transaction's limit arrive, each by itself.
#[tokio::test]
async fn many_large_replies_arrive() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let there = CounterHandle::client(&elsewhere(&here), "demo");
    let echo = |_| {
        there.call::<String, Never>(CounterCall::Echo {
            size_bytes: 1_000_000,
        })
    };
    let replies = join_all((0..20).map(echo).map(IntoFuture::into_future));
    let consumer = async {
        until("all are queued", async || {
            there.queue_len().await.unwrap() >= 20
        })
        .await;
        CounterHandle::start(&here, "demo", 0).await.unwrap()
    };
    let (replies, _consumer) = tokio::join!(replies, consumer);
    for reply in replies {
        assert_eq!(reply.unwrap().len(), 1_000_000);
    }
}

/// SPEC S4, S12: a reply that can't be stored is an error for its caller, and holds nobody up.
#[tokio::test]
async fn a_reply_over_the_limit_is_an_error_for_its_caller_alone() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let counter = CounterHandle::start(&here, "demo", 0).await.unwrap();
    let there = CounterHandle::client(&elsewhere(&here), "demo");
    let echo = CounterCall::Echo {
        size_bytes: 11_000_000,
    };
    let error = there.call::<String, Never>(echo.clone()).await.unwrap_err();
    assert!(
        matches!(
            &error,
            CallError::Failed(Failure::Encode {
                what: "the reply",
                ..
            })
        ),
        "{error:?}"
    );
    assert_eq!(increment(&there, 1).await, 1);
    // Next door it is not stored, and any size will do.
    let inline: String = counter.call::<_, Never>(echo).await.unwrap();
    assert_eq!(inline.len(), 11_000_000);
}

/// SPEC S3: a call does not wait for what is pushed after it, though the queue never gets empty.
#[tokio::test]
async fn a_queue_that_never_gets_empty_holds_no_call_up() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let counter = CounterHandle::start(&here, "demo", 0).await.unwrap();
    let there = CounterHandle::client(&elsewhere(&here), "demo");
    let push = async {
        // More with each turn than the server handles in one.
        for _ in 0..40 {
            let casts = vec![CounterCast::Add { by: 1 }; 1_500];
            there.cast_all(casts).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let calls = async {
        until("one is queued", async || {
            counter.queue_len().await.unwrap() > 0
        })
        .await;
        for _ in 0..3 {
            increment(&counter, 1).await;
        }
    };
    pin_mut!(push, calls);
    match select(push, calls).await {
        Either::Left(_) => panic!("the calls waited for every cast"),
        Either::Right(((), _)) => {
            assert!(counter.queue_len().await.unwrap() > 0, "it was never empty");
        }
    }
}

/// SPEC S2: what one caller sends by the queue and by the mailbox keeps its order.
#[tokio::test]
async fn a_call_is_behind_what_was_pushed_before_it() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let counter = CounterHandle::start(&here, "demo", 0).await.unwrap();
    let there = CounterHandle::client(&elsewhere(&here), "demo");
    for number in 1..=50 {
        there.cast(CounterCast::Add { by: 1 }).await.unwrap();
        assert!(value(&counter).await >= number);
    }
}

/// A state that can't be encoded at 13.
#[derive(Clone, Default, Deserialize)]
struct Touchy {
    value: u32,
}

impl Serialize for Touchy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Plain {
            value: u32,
        }
        assert_ne!(self.value, 13, "thirteen");
        Plain { value: self.value }.serialize(serializer)
    }
}

impl Server for Touchy {
    const NAME: &'static str = "Touchy";
    type Args = ();
    type InitError = Never;
    type Call = u32;
    type Cast = u32;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    /// 0 only reads.
    fn handle_call(&mut self, value: u32, _cx: &mut Context<Self>) -> Reply {
        if value > 0 {
            self.value = value;
        }
        Reply::ok(&self.value)
    }

    fn handle_cast(&mut self, value: u32, _cx: &mut Context<Self>) {
        self.value = value;
    }
}

/// SPEC S12: a state whose encoding panics is its caller's error; those who waited with it get
/// their answers, and the process goes on.
#[tokio::test]
async fn a_state_that_cannot_be_encoded_fails_its_message_alone() {
    let tenant = tenant(dgen_local::in_memory().unwrap());
    let touchy = Handle::<Touchy>::start(&tenant, (), ()).await.unwrap();
    let values = [1, 2, 4, 5, 13];
    let calls = values.map(|value| touchy.call::<u32, Never>(value).into_future());
    for (value, answer) in values.iter().zip(join_all(calls).await) {
        match answer {
            Ok(answer) => assert!(answer == *value && *value != 13),
            Err(CallError::Failed(Failure::DeadLettered { error, .. })) => {
                assert!(*value == 13 && error.contains("thirteen"), "{error}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// SPEC S9, S12: a queued message that makes the state unencodable becomes a dead letter, and those
/// behind it are handled.
#[tokio::test]
async fn a_message_that_spoils_the_state_becomes_a_dead_letter() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let there = Handle::<Touchy>::client(&elsewhere(&here), ());
    there.cast(7).await.unwrap();
    there.cast(13).await.unwrap();
    let touchy = Handle::<Touchy>::start(&here, (), ()).await.unwrap();
    assert_eq!(touchy.call::<u32, Never>(0).await.unwrap(), 7);
    let letters = touchy.dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].error.contains("thirteen"), "{letters:?}");
    assert_eq!(letters[0].message, "13");
    assert_eq!(letters[0].attempts, 5);
}

/// A reply of 7.9 MB and a state of 3 MB: too much for one transaction.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Bulky {
    text: String,
}

impl Server for Bulky {
    const NAME: &'static str = "Bulky";
    type Args = ();
    type InitError = Never;
    type Call = bool;
    type Cast = usize;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, is_bulky: bool, _cx: &mut Context<Self>) -> Reply {
        if !is_bulky {
            return Reply::ok(&self.text.len());
        }
        self.text = "x".repeat(3_000_000);
        Reply::ok(&"y".repeat(7_900_000))
    }

    fn handle_cast(&mut self, size_bytes: usize, _cx: &mut Context<Self>) {
        self.text = "x".repeat(size_bytes);
    }
}

/// SPEC S4: a reply that does not fit beside its state change is an error for its caller, and the
/// message changed nothing.
#[tokio::test]
async fn a_reply_too_large_for_its_transaction_is_an_error_for_its_caller() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let bulky = Handle::<Bulky>::start(&here, (), ()).await.unwrap();
    let there = Handle::<Bulky>::client(&elsewhere(&here), ());
    let error = there.call::<String, Never>(true).await.unwrap_err();
    assert!(
        matches!(
            &error,
            CallError::Failed(Failure::Encode {
                what: "the reply",
                ..
            })
        ),
        "{error:?}"
    );
    assert_eq!(bulky.call::<usize, Never>(false).await.unwrap(), 0);
}

/// SPEC S9, S12: a message that is too much for any transaction becomes a dead letter, and the answers
/// of those behind it are not refused for it.
#[tokio::test]
async fn a_message_that_is_too_much_spoils_no_answer_behind_it() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let there = elsewhere(&here);
    let client = Handle::<Bulky>::client(&there, ());
    client.cast(7).await.unwrap();
    client.cast(11_000_000).id("too much").await.unwrap();
    let call = client.call::<usize, Never>(false).into_future();
    let start = Handle::<Bulky>::start(&here, (), ());
    let (answer, bulky) = futures_util::future::join(call, start).await;
    assert_eq!(answer.unwrap(), 7);
    let letters = bulky.unwrap().dead_letters().await.unwrap();
    assert_eq!(letters[0].message, "11000000");
}

/// SPEC C4, S12: a state that lost its version is an error, and is not overwritten.
#[tokio::test]
async fn a_state_without_its_version_is_not_overwritten() {
    use dgen_backend::tuple::Element;
    let tenant = tenant(dgen_local::in_memory().unwrap());
    let counter = CounterHandle::start(&tenant, "demo", 41).await.unwrap();
    let id = Element::Tuple(vec![Element::String("demo".into())]);
    let server = tenant
        .subspace()
        .subspace(&vec![Element::String("Counter".into()), id]);
    let state = server.subspace(&"s");
    let tx = tenant.database().begin().unwrap();
    let version = tx
        .get(&dgen_codec::version_key(&state))
        .await
        .unwrap()
        .unwrap();
    tx.clear(&dgen_codec::version_key(&state)).unwrap();
    tx.commit().await.unwrap();
    let call = counter.call::<i64, Never>(CounterCall::Increment { by: 1 });
    let error = call.await.unwrap_err();
    assert!(
        matches!(&error, CallError::Failed(Failure::State { .. })),
        "{error:?}"
    );

    // Mended, it is all there.
    let tx = tenant.database().begin().unwrap();
    tx.set(&dgen_codec::version_key(&state), &version).unwrap();
    tx.commit().await.unwrap();
    assert_eq!(increment(&counter, 1).await, 42);
}

/// SPEC S2: a batch whose reads take longer than a transaction may be old is handled in smaller ones,
/// and soon: whether or not the answers to its commits are lost too.
#[tokio::test]
async fn a_batch_that_is_too_old_is_handled_in_smaller_ones() {
    for commit_unknown in [0.0, 0.3] {
        let clock = MockClock::new(0).auto_advance_max(Duration::from_secs(4));
        let options = dgen_local::Options::default().env(clock.env());
        // Each cast costs a read: what is known of its id.
        let (db, refusals) = aging::aging(options.in_memory().unwrap(), 40);
        let rates = Rates {
            commit_unknown,
            ..Rates::default()
        };
        let here = tenant(Database::new(FaultyBackend::new(db, 1, rates)));
        let client = CounterHandle::client(&elsewhere(&here), "demo");
        let casts = (0..300).map(|number| CounterCast::Remember { number });
        client.cast_all(casts.collect()).id("id").await.unwrap();
        let counter = CounterHandle::start(&here, "demo", 0).await.unwrap();
        let seen = counter.call::<Vec<i64>, Never>(CounterCall::Seen);
        assert_eq!(seen.await.unwrap(), (0..300).collect::<Vec<_>>());
        assert!(
            clock.elapsed() < Duration::from_secs(4),
            "{:?}",
            clock.elapsed()
        );
        // From 300 down to 18, and now and then from 36.
        assert!((4..30).contains(&refusals.count()), "{}", refusals.count());
    }
}

/// SPEC S9: dead letters whose reading takes longer than a transaction may be old are listed by several.
#[tokio::test]
async fn dead_letters_that_take_long_to_read_are_listed() {
    let clock = MockClock::new(0).auto_advance_max(Duration::from_secs(4));
    let options = dgen_local::Options::default().env(clock.env());
    let (db, refusals) = aging::aging(options.in_memory().unwrap(), 60);
    let here = tenant(db);
    let client = CounterHandle::client(&here, "demo");
    client
        .cast_all(vec![CounterCast::Panic; 110])
        .await
        .unwrap();
    let options = StartOptions::default().max_attempts(1);
    let counter = CounterHandle::start_with(&here, "demo", 0, options)
        .await
        .unwrap();
    assert_eq!(value(&counter).await, 0);
    let before = refusals.count();
    let letters = counter.dead_letters().await.unwrap();
    let numbers: Vec<_> = letters.iter().map(|letter| letter.number).collect();
    assert_eq!(numbers.len(), 100);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    // Two reads each.
    assert_eq!(refusals.count() - before, 3);
}

/// SPEC Q1, S2: a batch of more casts than a transaction can take is refused whole, wherever it is
/// sent.
#[tokio::test]
async fn a_batch_of_too_many_casts_is_refused() {
    let here = tenant(dgen_local::in_memory().unwrap());
    let counter = CounterHandle::start(&here, "demo", 0).await.unwrap();
    let there = CounterHandle::client(&elsewhere(&here), "demo");
    for handle in [&counter, &there] {
        let casts = vec![CounterCast::Add { by: 1 }; 10_001];
        let error = handle.cast_all(casts).await.unwrap_err();
        assert!(error.to_string().contains("10001"), "{error}");
    }
    assert_eq!(value(&counter).await, 0);
}

/// SPEC S12, L1: once stop returns, the process holds nothing: the store can be opened again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_lets_go_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..=40 {
        let tenant = dgen_server::open(folder.path()).unwrap();
        let counter = CounterHandle::start(&tenant, "demo", 0).await.unwrap();
        assert_eq!(increment(&counter, 1).await, round);
        counter.stop().await;
    }
}
