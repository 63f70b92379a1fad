//! Waiting without a clock, and a clock that goes on while somebody waits.

use std::{future::Future, time::Duration};

use dgen_server::{Error, Tenant};
use dgen_testkit::MockClock;
use futures_util::{
    future::{Either, select},
    pin_mut,
};

/// Looks again and again, and gives way in between, until `look` finds something; panics with `what`
/// if that never comes.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..100_000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::task::yield_now().await;
    }
    panic!("{what} never came");
}

/// Lets others run so often.
pub(crate) async fn yield_times(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// Runs `work` while time passes: 300 ms with each commit of `store`, so that nobody who waits for a
/// commit is late by the clock.
pub(crate) async fn while_time_passes<T>(
    clock: &MockClock,
    store: &Tenant,
    work: impl Future<Output = T>,
) -> T {
    let passing = async {
        loop {
            let tick = store.transact(async |tx| tx.set(b"tick", &[]));
            let _: Result<(), Error> = tick.await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_millis(300));
        }
    };
    pin_mut!(work, passing);
    match select(work, passing).await {
        Either::Left((output, _)) => output,
        Either::Right((never, _)) => never,
    }
}
