//! Messages that a version of a server does not know, while versions change.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use dgen_server::{CallError, Context, Failure, Handle, HeldBy, Never, Reply, Server};
use futures_util::future::join;
use serde::{Deserialize, Serialize};

use crate::support::{
    desk::{Desk, DeskCast, DeskHandle, desk, desk_with, texts},
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::{until, until_quiet},
};

/// A later version of the desk, which knows a cast and a call more.
#[derive(Clone, Default, Serialize, Deserialize)]
struct NewDesk {
    notes: Vec<NewNote>,
    asking: Vec<()>,
}

#[derive(Clone, Serialize, Deserialize)]
struct NewNote {
    text: String,
    late_millis: Option<u64>,
}

#[derive(Clone, Serialize, Deserialize)]
enum NewCast {
    Note(String),
    Stamp { text: String },
}

#[derive(Clone, Serialize, Deserialize)]
enum NewCall {
    Stamp { text: String },
}

impl NewDesk {
    fn note(&mut self, text: String) {
        let late_millis = None;
        self.notes.push(NewNote { text, late_millis });
    }
}

impl Server for NewDesk {
    const NAME: &'static str = Desk::NAME;
    type Args = ();
    type InitError = Never;
    type Call = NewCall;
    type Cast = NewCast;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: NewCall, _cx: &mut Context<Self>) -> Reply {
        let NewCall::Stamp { text } = call;
        self.note(format!("stamped {text}"));
        Reply::ok(&self.notes.len())
    }

    fn handle_cast(&mut self, cast: NewCast, _cx: &mut Context<Self>) {
        match cast {
            NewCast::Note(text) => self.note(text),
            NewCast::Stamp { text } => self.note(format!("stamped {text}")),
        }
    }
}

fn stamp() -> NewCast {
    NewCast::Stamp {
        text: "tea".to_owned(),
    }
}

fn note(text: &str) -> DeskCast {
    DeskCast::Note(text.to_owned())
}

async fn is_held(desk: &DeskHandle) -> bool {
    let hold = desk.status().await.unwrap().hold;
    matches!(hold, Some(HeldBy::Failing { error, .. }) if error.contains("Stamp"))
}

const MINUTE: Duration = Duration::from_secs(60);

on_each_mocked_store! {
    /// SPEC S9, M4: it is kept for ten minutes, however often it is looked at, and is a dead letter
    /// then; what is behind it waits so long.
    async fn an_unknown_message_is_kept_for_its_grace(store: Mocked) {
        let new = Handle::<NewDesk>::client(&store.tenant, "desk");
        new.cast(stamp()).await.unwrap();
        let old = desk_with(&store.tenant, "desk", Default::default()).await;
        old.cast(note("behind")).await.unwrap();
        until("it is held", async || is_held(&old).await).await;
        for _ in 0..9 {
            store.advance(MINUTE).await;
            assert!(is_held(&old).await);
            assert_eq!(old.queue_len().await.unwrap(), 2);
        }
        store.advance_until("it is put aside", Duration::from_secs(1), async || {
            !old.dead_letters().await.unwrap().is_empty()
        })
        .await;
        assert!(store.clock.elapsed() >= 10 * MINUTE);
        assert_eq!(texts(&old, &store.tenant).await, ["behind"]);
        let letters = old.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].message, r#"{"Stamp": {"text": "tea"}}"#);
        assert!(letters[0].error.contains("does not know"), "{letters:?}");
    }

    /// SPEC S9, M4: the newer version that is started instead handles it, and what is behind it.
    async fn a_newer_version_handles_what_an_older_one_kept(store: Mocked) {
        let new = Handle::<NewDesk>::client(&store.tenant, "desk");
        new.cast(stamp()).await.unwrap();
        let old = desk(&store.tenant, "desk").await;
        old.cast(note("behind")).await.unwrap();
        until("it is held", async || is_held(&old).await).await;
        store.advance(5 * MINUTE).await;
        old.stop().await;
        let newer = Handle::<NewDesk>::start_with(&store.tenant, "desk", (), woken_only());
        let newer = newer.await.unwrap();
        store.advance(MINUTE).await;
        until_quiet(&newer, store.tenant.env()).await;
        newer.stop().await;
        let old = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&old, &store.tenant).await, ["stamped tea", "behind"]);
        assert!(old.dead_letters().await.unwrap().is_empty());
    }

    /// SPEC S9, M4, S11: versions side by side: while an older one looks at it again and again, a
    /// newer one handles it, long before its time is over.
    async fn a_newer_version_beside_an_older_one_handles_it(store: Mocked) {
        let new = Handle::<NewDesk>::client(&store.tenant, "desk");
        new.cast(stamp()).await.unwrap();
        let old = desk_with(&store.tenant, "desk", Default::default()).await;
        until("it is held", async || is_held(&old).await).await;
        // The older one waits as long as it does between two looks.
        for _ in 0..30 {
            store.advance(Duration::from_secs(5)).await;
        }
        assert!(is_held(&old).await);
        let newer = Handle::<NewDesk>::start(&store.elsewhere(), "desk", ()).await.unwrap();
        store.advance_until("it is handled", Duration::from_secs(1), async || {
            newer.queue_len().await.unwrap() == 0
        })
        .await;
        newer.stop().await;
        assert_eq!(texts(&old, &store.tenant).await, ["stamped tea"]);
        assert!(old.dead_letters().await.unwrap().is_empty());
    }

    /// SPEC S9, M4: a call is kept as well: answered by the newer version, or its caller is told.
    async fn an_unknown_call_waits_too(store: Mocked) {
        let client = Handle::<NewDesk>::client(&store.elsewhere(), "desk");
        let call = || {
            let call = NewCall::Stamp { text: "tea".to_owned() };
            client.call::<usize, Never>(call).timeout(60 * MINUTE)
        };
        let old = desk(&store.tenant, "desk").await;
        let (answer, newer) = join(call().into_future(), async {
            until("it is held", async || is_held(&old).await).await;
            old.stop().await;
            let newer = Handle::<NewDesk>::start_with(&store.tenant, "desk", (), woken_only());
            let newer = newer.await.unwrap();
            store.advance(MINUTE).await;
            newer
        })
        .await;
        assert_eq!(answer.unwrap(), 1);
        newer.stop().await;
        let options = woken_only().unknown_message_grace(MINUTE);
        let old = desk_with(&store.tenant, "desk", options).await;
        let (answer, ()) = join(call().into_future(), async {
            until("it is held", async || is_held(&old).await).await;
            store.advance(MINUTE).await;
        })
        .await;
        assert!(
            matches!(&answer, Err(CallError::Failed(Failure::DeadLettered { error, .. })) if error.contains("Stamp")),
            "{answer:?}"
        );
    }

    /// SPEC S9, M4: put aside, it can be replayed by the newer version.
    async fn an_unknown_dead_letter_is_replayed_by_a_newer_version(store: Mocked) {
        let new = Handle::<NewDesk>::client(&store.tenant, "desk");
        new.cast(stamp()).await.unwrap();
        let options = woken_only().unknown_message_grace(Duration::ZERO);
        let old = desk_with(&store.tenant, "desk", options).await;
        assert!(texts(&old, &store.tenant).await.is_empty());
        old.stop().await;
        let newer = Handle::<NewDesk>::start_with(&store.tenant, "desk", (), woken_only());
        let newer = newer.await.unwrap();
        let letter = newer.dead_letters().await.unwrap().remove(0);
        assert!(newer.replay(letter.number).await.unwrap());
        until_quiet(&newer, store.tenant.env()).await;
        newer.stop().await;
        let old = desk(&store.tenant, "desk").await;
        assert_eq!(texts(&old, &store.tenant).await, ["stamped tea"]);
    }

    /// SPEC S9, S12: what is no message at all is kept and put aside the same way.
    async fn rubbish_in_the_queue_is_put_aside(store: Mocked) {
        let options = woken_only().unknown_message_grace(Duration::ZERO);
        let desk = desk_with(&store.tenant, "desk", options).await;
        let queue = dgen_queue::Queue::new(
            &store.tenant.subspace().subspace(&("Desk", ("desk",), "q")),
        );
        let push = store.tenant.transact(|tx| {
            let pushed = queue.push_k(&tx, [&b"\xc1 rubbish"[..], b""]);
            async move { pushed }
        });
        push.await.unwrap();
        desk.cast(note("behind")).await.unwrap();
        assert_eq!(texts(&desk, &store.tenant).await, ["behind"]);
        let letters = desk.dead_letters().await.unwrap();
        assert_eq!(letters.len(), 2);
        for letter in letters {
            assert!(desk.replay(letter.number).await.unwrap());
        }
        assert_eq!(texts(&desk, &store.tenant).await, ["behind"]);
        assert_eq!(desk.dead_letters().await.unwrap().len(), 2, "it says as little as before");
    }
}
