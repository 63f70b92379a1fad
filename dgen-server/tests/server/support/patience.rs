//! Waiting for what comes, and a clock that goes on while somebody waits.

use std::{future::Future, pin::pin, time::Duration};

use dgen_backend::env::Env;
use dgen_server::{Error, Handle, Server, Tenant};
use dgen_testkit::MockClock;
use futures_util::future::{Either, select};

/// What has not come by then never will. Time decides it, since a commit takes as many looks as the
/// machine has time for.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// Looks again and again, and gives way in between, until `condition` holds; panics with `what` if that
/// never comes.
pub(crate) async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    found(what, async || condition().await.then_some(())).await;
}

/// Looks as [`until`] does, until `look` finds something.
pub(crate) async fn found<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    coming(what, looking).await
}

/// What `future` comes to; panics with `what` if it hangs. Its clock is the system's: a test's own may
/// stand still for ever.
pub(crate) async fn coming<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = Env::system().timeout(HANGS_AFTER, future).await;
    in_time.unwrap_or_else(|_| panic!("never came: {what}"))
}

/// Goes on with `future` until `condition` holds, which has to be before it is done.
pub(crate) async fn go_on_until<F: Future + Unpin>(
    future: &mut F,
    what: &str,
    condition: impl AsyncFn() -> bool,
) {
    let holds = pin!(until(what, condition));
    let ended = select(future, holds).await;
    assert!(
        matches!(ended, Either::Right(_)),
        "not before it is done: {what}"
    );
}

/// Waits until `server` has nothing to do: its queue is empty, and nothing is due. Wakes nobody.
pub(crate) async fn until_quiet<S: Server>(server: &Handle<S>, env: &Env) {
    until("the server is quiet", async || {
        let status = server.status().await.expect("the store reads");
        let is_due = status.next_due.is_some_and(|due| due <= env.wall_clock());
        status.queue_len == 0 && status.hold.is_none() && !is_due
    })
    .await;
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
            yield_times(20).await;
            clock.advance(Duration::from_millis(300));
        }
    };
    match select(pin!(work), pin!(passing)).await {
        Either::Left((output, _)) => output,
        Either::Right((never, _)) => never,
    }
}
