//! The environment, on a clock that stands still.

use std::{future::pending, time::Duration};

use dgen_testkit::MockClock;

/// A future that is done at once makes no timer.
#[tokio::test]
async fn timeout_of_a_ready_future_makes_no_timer() {
    let clock = MockClock::new(1);
    let result = clock.env().timeout(Duration::ZERO, async { 7 }).await;
    assert_eq!(result, Ok(7));
    assert_eq!(clock.sleepers(), 0);
}

/// What comes before the time is over is returned, and the timer is freed.
#[tokio::test]
async fn timeout_returns_what_comes_in_time() {
    let clock = MockClock::new(1);
    let env = clock.env();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let (result, sent) = tokio::join!(env.timeout(Duration::from_secs(5), receiver), async {
        clock.until_sleepers(1).await;
        clock.advance(Duration::from_secs(4));
        sender.send(7)
    });
    assert_eq!((result, sent), (Ok(Ok(7)), Ok(())));
    assert_eq!(clock.sleepers(), 0);
}

/// The time is over when the clock says so.
#[tokio::test]
async fn timeout_elapses() {
    let clock = MockClock::new(1);
    let env = clock.env();
    let hangs = env.timeout(Duration::from_secs(5), pending::<()>());
    let (result, ()) = tokio::join!(hangs, async {
        clock.until_sleepers(1).await;
        clock.advance(Duration::from_secs(5));
    });
    assert!(result.is_err());
}

/// Jitter is within its bound, and spreads over it.
#[test]
fn jitter_spreads_within_its_bound() {
    let env = MockClock::new(1).env();
    let max = Duration::from_millis(80);
    let all: Vec<_> = (0..1_000).map(|_| env.jitter(max)).collect();
    assert!(all.iter().all(|jitter| *jitter <= max));
    for eighth in 0..8 {
        let (from, to) = (max * eighth / 8, max * (eighth + 1) / 8);
        let inside = all.iter().filter(|j| (from..to).contains(j)).count();
        assert!(inside > 50, "{inside} of 1000 from {from:?} to {to:?}");
    }
}

/// A task that is spawned runs.
#[tokio::test]
async fn spawned_task_runs() {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let task = async move { sender.send(7).expect("the test waits for it") };
    MockClock::new(1).env().spawn(task).unwrap();
    assert_eq!(receiver.await, Ok(7));
}

/// Where there is no runtime, spawning is an error and no panic.
#[test]
fn spawn_without_a_runtime_is_an_error() {
    assert!(dgen_backend::env::Env::system().spawn(async {}).is_err());
}
