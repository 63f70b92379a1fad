//! Processes that are asked to end at an awkward moment.
#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{cell::RefCell, time::Duration};

use dgen_server::{Context, Handle, Never, Reply, Server, shutdown};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};

use crate::support::{
    mocked::{Mocked, on_each_mocked_store, woken_only},
    patience::until,
};

/// Does, once a ring is committed, what its test says.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Bell {
    rings: u64,
}

thread_local! {
    static AFTER_RING: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

impl Server for Bell {
    const NAME: &'static str = "Bell";
    type Args = ();
    type InitError = Never;
    type Call = ();
    type Cast = Never;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, (): (), cx: &mut Context<Self>) -> Reply {
        self.rings += 1;
        cx.after_commit(|_: &Self| {
            if let Some(action) = AFTER_RING.take() {
                action();
            }
        });
        Reply::ok(&self.rings)
    }

    fn handle_cast(&mut self, cast: Never, _cx: &mut Context<Self>) {
        match cast {}
    }
}

async fn start(store: &Mocked) -> Handle<Bell> {
    let bell = Handle::start_with(&store.tenant, "bell", (), woken_only());
    bell.await.unwrap()
}

async fn ring(bell: &Handle<Bell>) -> u64 {
    bell.call::<u64, Never>(()).await.unwrap()
}

/// Waits without moving the clock: so no poll helps.
async fn until_stopped(bell: &Handle<Bell>) {
    until("stopped", async || bell.stopped().now_or_never().is_some()).await;
}

on_each_mocked_store! {
    /// SPEC S10: a process that is asked to stop while it carries out what it committed stops then, and
    /// not at its next poll.
    async fn a_stop_just_after_a_commit_is_not_overlooked(store: Mocked) {
        let bell = start(&store).await;
        let stopping = bell.clone();
        AFTER_RING.set(Some(Box::new(move || {
            let _ = stopping.stop().now_or_never();
        })));
        assert_eq!(ring(&bell).await, 1);
        until_stopped(&bell).await;
        assert_eq!(ring(&start(&store).await).await, 2);
    }

    /// SPEC S10: the same of a shutdown.
    async fn a_shutdown_just_after_a_commit_is_not_overlooked(store: Mocked) {
        let bell = start(&store).await;
        let tenant = store.tenant.clone();
        AFTER_RING.set(Some(Box::new(move || {
            let _ = shutdown(&tenant, Duration::MAX).now_or_never();
        })));
        assert_eq!(ring(&bell).await, 1);
        until_stopped(&bell).await;
        assert_eq!(ring(&start(&store).await).await, 2);
    }
}
