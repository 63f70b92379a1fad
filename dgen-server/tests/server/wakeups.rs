//! What happens at the moment at which a process begins to wait.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use dgen_backend::{
    Database, Error,
    backend::{Backend, BackendTransaction},
    env::Env,
};
use dgen_server::{Never, StopReason, Tenant};
use dgen_testkit::Forward;
use futures_util::FutureExt as _;

use crate::support::{
    desk::{DeskCall, DeskCast, DeskHandle, Step, act, after, desk, texts},
    mocked::Mocked,
    patience::until,
};

type Hook = Box<dyn FnOnce() + Send>;

/// A database, and something that happens just before one of its transactions begins.
struct Interposed {
    db: Database,
    next: Next,
}

/// What happens, and before how many transactions from now.
#[derive(Clone, Default)]
struct Next(Arc<Mutex<Option<(u32, Hook)>>>);

impl Next {
    fn set(&self, transactions: u32, hook: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some((transactions, Box::new(hook)));
    }

    fn is_over(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }

    fn begins(&self) {
        let next = &mut *self.0.lock().unwrap();
        match next {
            Some((0, _)) => {
                let (_, hook) = next.take().unwrap();
                hook();
            }
            Some((left, _)) => *left -= 1,
            None => {}
        }
    }
}

impl fmt::Debug for Interposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interposed")
    }
}

impl Backend for Interposed {
    fn name(&self) -> &'static str {
        "interposed"
    }

    fn begin(&self) -> Result<Box<dyn BackendTransaction>, Error> {
        self.next.begins();
        Ok(Box::new(Forward(self.db.begin()?)))
    }

    fn env(&self) -> &Env {
        self.db.env()
    }

    fn can_lose_commit_answer(&self) -> bool {
        self.db.can_lose_commit_answer()
    }
}

/// The desk of another OS process, and what is to happen between its transactions.
async fn interposed_desk(store: &Mocked) -> (DeskHandle, Next) {
    let next = Next::default();
    let interposed = Interposed {
        db: store.tenant.database().clone(),
        next: next.clone(),
    };
    let db = Database::new(interposed);
    let there = Tenant::new(db, store.tenant.subspace().clone());
    (desk(&there, "desk").await, next)
}

/// SPEC T2: between each two transactions of a process, another OS process sets a timer that is due
/// before all others: it fires when it is due, and not at the next poll. In memory, where what
/// happens between the two is done at once.
#[tokio::test]
async fn a_timer_set_between_two_transactions_fires_in_time() {
    for transactions in 0.. {
        let store = Mocked::in_memory();
        let (desk, next) = interposed_desk(&store).await;
        act(&desk, [Step::Timer(after(1_000_000, "late"))]).await;
        let client = DeskHandle::client(&store.tenant, "desk");
        let setter = client.clone();
        next.set(transactions, move || {
            let steps = vec![Step::Timer(after(10, "soon"))];
            let call = setter.call::<u32, Never>(DeskCall::Do(steps)).priority();
            call.into_future().now_or_never().unwrap().unwrap();
        });
        // Something to begin transactions for.
        client
            .cast(DeskCast::Note("note".to_owned()))
            .await
            .unwrap();
        store.advance(Duration::ZERO).await;
        if !next.is_over() {
            assert!(transactions > 1, "an attempt, and one to watch");
            return;
        }
        store.advance(Duration::from_secs(10)).await;
        assert_eq!(
            texts(&client, &store.tenant).await,
            ["note", "soon"],
            "set before transaction {transactions}"
        );
    }
}

/// SPEC S10: between each two transactions of a process it is told to stop: it does, and not at the
/// next poll.
#[tokio::test]
async fn a_process_stopped_between_two_transactions_ends_at_once() {
    for transactions in 0.. {
        let store = Mocked::in_memory();
        let (desk, next) = interposed_desk(&store).await;
        act(&desk, [Step::Timer(after(1_000_000, "late"))]).await;
        let stopper = desk.clone();
        next.set(transactions, move || {
            assert!(stopper.stop().now_or_never().is_none(), "it runs");
        });
        let client = DeskHandle::client(&store.tenant, "desk");
        client
            .cast(DeskCast::Note("note".to_owned()))
            .await
            .unwrap();
        store.advance(Duration::ZERO).await;
        if !next.is_over() {
            assert!(transactions > 1, "an attempt, and one to watch");
            return;
        }
        until("it has stopped", async || {
            desk.stopped().now_or_never() == Some(StopReason::Requested)
        })
        .await;
    }
}
