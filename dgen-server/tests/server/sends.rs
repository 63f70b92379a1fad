//! Sends: both ends or neither, in order.

use dgen_server::{CallError, CastError, Error, Failure, Never};

use crate::support::{
    desk::{
        DeskCall, DeskCast, DeskHandle, Step, act, desk, desk_with, runs, send, set_away, texts,
    },
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{until, until_quiet},
};

fn note(text: impl ToString) -> DeskCast {
    DeskCast::Note(text.to_string())
}

on_each_mocked_store! {
    /// SPEC T1: what a handler sends arrives, whether somebody consumes the receiver or not yet.
    async fn a_send_arrives_at_a_server_without_consumer(store: Mocked) {
        let one = desk(&store.tenant, "one").await;
        let two = desk(&store.tenant, "two").await;
        act(&one, [send("two", &["tea"]), send("three", &["milk"])]).await;
        assert_eq!(texts(&two, &store.tenant).await, ["tea"]);
        assert!(texts(&one, &store.tenant).await.is_empty());
        one.stop().await;
        two.stop().await;
        drop((one, two));
        let store = store.reopen();
        let three = desk(&store.tenant, "three").await;
        assert_eq!(texts(&three, &store.tenant).await, ["milk"]);
    }

    /// SPEC T1: several sends of a handler, and those of several handlers of one batch, keep their
    /// order; a batch stays together.
    async fn sends_keep_their_order(store: Mocked) {
        let client = DeskHandle::client(&store.tenant, "one");
        let mut expected = Vec::new();
        let mut casts = Vec::new();
        for number in 0..200 {
            let names = [0, 1, 2, 3].map(|part| format!("{number}.{part}"));
            let names = names.each_ref().map(String::as_str);
            casts.push(DeskCast::Do(vec![
                send("two", &names[..1]),
                send("two", &names[1..3]),
                send("two", &names[3..]),
            ]));
            expected.extend(names.map(str::to_owned));
        }
        client.cast_all(casts).await.unwrap();
        let _one = desk(&store.tenant, "one").await;
        let two = desk(&store.tenant, "two").await;
        until_quiet(&client, store.tenant.env()).await;
        assert_eq!(texts(&two, &store.tenant).await, expected);
    }

    /// SPEC T1: to itself: behind what waits already, and handled after the sender is done.
    async fn a_server_sends_to_itself(store: Mocked) {
        let client = DeskHandle::client(&store.tenant, "one");
        let steps = vec![send("one", &["sent"]), Step::Note("handler".to_owned())];
        client.cast_all(vec![DeskCast::Do(steps), note("waits")]).await.unwrap();
        let one = desk(&store.tenant, "one").await;
        assert_eq!(texts(&one, &store.tenant).await, ["handler", "waits", "sent"]);
    }

    /// SPEC T1, S9: a handler that returns an error has sent nothing; nor has one that panics, however
    /// often it is tried.
    async fn a_handler_that_fails_has_sent_nothing(store: Mocked) {
        let options = woken_only().max_attempts(1);
        let one = desk_with(&store.tenant, "one", options).await;
        let two = desk(&store.tenant, "two").await;
        let failed = one.call::<u32, String>(DeskCall::DoAndFail(vec![send("two", &["no"])])).await;
        assert!(matches!(failed, Err(CallError::Handler(_))), "{failed:?}");
        let steps = || vec![send("two", &["no"]), Step::Panic];
        let panicked = one.call::<u32, Never>(DeskCall::Do(steps())).await;
        assert!(matches!(panicked, Err(CallError::Failed(Failure::DeadLettered { .. }))), "{panicked:?}");
        // In a batch, with one before and one behind it that count.
        let casts = [vec![send("two", &["before"])], steps(), vec![send("two", &["behind"])]];
        let client = DeskHandle::client(&store.elsewhere(), "one");
        client.cast_all(casts.map(DeskCast::Do).to_vec()).await.unwrap();
        texts(&one, &store.tenant).await;
        assert_eq!(texts(&two, &store.tenant).await, ["before", "behind"]);
    }

    /// SPEC T1, S12: what can't be sent is an error of the handler, and sends nothing of the rest:
    /// to a server of another database, or too many casts at once, or to an id that makes no key.
    async fn what_can_not_be_sent_is_an_error_of_the_handler(store: Mocked) {
        let options = woken_only().max_attempts(1);
        let one = desk_with(&store.tenant, "one", options).await;
        let two = desk(&store.tenant, "two").await;
        set_away(&Mocked::in_memory().tenant);
        let many = Step::Send { to: "two".to_owned(), texts: vec![String::new(); 10_001] };
        let nowhere = send(&"x".repeat(20_000), &["lost"]);
        for (step, what) in [
            (Step::SendAway, "another database"),
            (many, "over the limit"),
            (nowhere, "over the limit"),
        ] {
            let steps = vec![send("two", &["no"]), step, send("two", &["no"])];
            let failed = one.call::<u32, Never>(DeskCall::Do(steps)).await;
            assert!(
                matches!(
                    &failed,
                    Err(CallError::Failed(Failure::DeadLettered { error, .. })) if error.contains(what)
                ),
                "{failed:?}"
            );
        }
        assert!(texts(&two, &store.tenant).await.is_empty());
        assert!(texts(&one, &store.tenant).await.is_empty());
    }

    /// SPEC T1, S12: more than a transaction holds: it fails as a whole, and holds nobody up.
    async fn more_than_a_transaction_holds_is_an_error_of_the_handler(store: Mocked) {
        let options = woken_only().max_attempts(2);
        let one = desk_with(&store.tenant, "one", options).await;
        let two = desk(&store.tenant, "two").await;
        let large = |count| {
            let to = "two".to_owned();
            DeskCast::Do(vec![send("two", &["note"]), Step::SendLarge { to, size_bytes: 2_000_000, count }])
        };
        one.cast(large(4)).await.unwrap();
        assert_eq!(texts(&two, &store.tenant).await.len(), 5);
        let client = DeskHandle::client(&store.elsewhere(), "one");
        client.cast_all(vec![large(5), large(4), large(4), note("behind")]).await.unwrap();
        let is_tried = async || one.status().await.unwrap().hold.is_some();
        until("it is tried once", is_tried).await;
        store.advance(std::time::Duration::from_millis(50)).await;
        assert_eq!(texts(&one, &store.tenant).await, ["behind"]);
        assert_eq!(texts(&two, &store.tenant).await.len(), 15);
        let letters = one.dead_letters().await.unwrap();
        assert_eq!((letters.len(), letters[0].attempts), (1, 2));
        assert!(letters[0].error.contains("over the limit"), "{letters:?}");
    }

    /// SPEC T1: outside of a handler, in a transaction of the caller's: all of it or nothing, with
    /// what the caller writes itself.
    async fn enqueue_joins_the_callers_transaction(store: Mocked) {
        let (one, two) = (&desk(&store.tenant, "one").await, &desk(&store.elsewhere(), "two").await);
        let key = &store.tenant.subspace().pack(&("mine",));
        let enqueue = |fails: bool| {
            store.tenant.transact(move |tx| async move {
                one.cast(note("a")).enqueue(&tx)?;
                // A handle of another database object of the same store does too: it is the
                // transaction that counts.
                two.cast_all(vec![note("b"), note("c")]).id("id").enqueue(&tx)?;
                one.cast(note("d")).enqueue(&tx)?;
                tx.set(key, b"written")?;
                if fails {
                    return Err(CastError::Failed(Failure::NotStarted { server: "mine".to_owned() }));
                }
                Ok::<_, CastError>(())
            })
        };
        assert!(matches!(enqueue(true).await, Err(CastError::Failed(Failure::NotStarted { .. }))));
        assert!(texts(one, &store.tenant).await.is_empty());
        assert!(texts(two, &store.tenant).await.is_empty());
        enqueue(false).await.unwrap();
        assert_eq!(texts(one, &store.tenant).await, ["a", "d"]);
        assert_eq!(texts(two, &store.tenant).await, ["b", "c"]);
        let read = store.tenant.transact(|tx| async move { tx.get(key).await });
        assert_eq!(read.await.unwrap().as_deref(), Some(&b"written"[..]));
        // The id counts here too.
        enqueue(false).await.unwrap();
        assert_eq!(texts(one, &store.tenant).await, ["a", "d", "a", "d"]);
        assert_eq!(texts(two, &store.tenant).await, ["b", "c"]);
    }

    /// SPEC T1: a caller's transaction that conflicts with another enqueues once.
    async fn enqueue_counts_once_under_conflicts(store: Mocked) {
        let one = &desk(&store.tenant, "one").await;
        let key = &store.tenant.subspace().pack(&("mine",));
        let (tenant, attempts) = (&store.tenant, &std::cell::Cell::new(0));
        let enqueued = tenant.transact(|tx| async move {
            tx.get(key).await?;
            one.cast(note("a")).enqueue(&tx)?;
            attempts.set(attempts.get() + 1);
            if attempts.get() < 4 {
                tenant.transact(|other| async move { other.set(key, b"") }).await?;
            }
            Ok::<_, CastError>(())
        });
        enqueued.await.unwrap();
        assert!(attempts.get() >= 4);
        assert_eq!(texts(one, &store.tenant).await, ["a"]);
    }

    /// SPEC T1, S12: what can't be enqueued is an error, and fails the transaction it was for.
    async fn what_can_not_be_enqueued_is_an_error(store: Mocked) {
        let one = &desk(&store.tenant, "one").await;
        let enqueue = |casts: Vec<DeskCast>, id: &'static str| {
            store.tenant.transact(move |tx| {
                let casts = casts.clone();
                async move {
                    one.cast(note("no")).enqueue(&tx)?;
                    one.cast_all(casts).id(id).enqueue(&tx)
                }
            })
        };
        let many = enqueue(vec![note(""); 10_001], "id").await;
        assert!(matches!(many, Err(CastError::Failed(Failure::TooManyCasts { .. }))), "{many:?}");
        let bad_id = enqueue(vec![note("")], "").await;
        assert!(matches!(bad_id, Err(CastError::Failed(Failure::BadId { .. }))), "{bad_id:?}");
        let large = enqueue(vec![note("x".repeat(9_500_000))], "id").await;
        assert!(matches!(large, Err(CastError::Failed(Failure::TooLarge { .. }))), "{large:?}");
        let together = enqueue(vec![note("x".repeat(5_500_000)); 2], "id").await;
        assert!(
            matches!(
                together,
                Err(CastError::Failed(Failure::Transaction(Error::TransactionTooLarge { .. })))
            ),
            "{together:?}"
        );
        assert!(texts(one, &store.tenant).await.is_empty());
        assert_eq!(runs(), 0);
    }
}
