//! Servers on a disk that is full, and on one that is slow.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::{
    ops::Deref,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use dgen_backend::{Error, Tenant, tuple::Subspace};
use dgen_local::{
    Options,
    disk::{CountingDisk, Disk, MemoryDisk, SlowDisk},
};
use dgen_server::{CallError, CastError, Failure, Never, StopReason};
use dgen_testkit::MockClock;
use futures_util::{FutureExt as _, future::join_all};

use crate::support::{
    patience::{until, yield_times},
    *,
};

fn tenant(options: &Options, disk: Arc<dyn Disk>) -> Tenant {
    let db = options.open_on(disk).unwrap();
    Tenant::new(db, Subspace::from("test"))
}

/// SPEC L2, S2, S10: the disk is full in the middle of calls and casts, wherever that is: their
/// senders are told by an error that says what to do, the process ends and says why, and with room
/// again everything that was answered is there.
#[tokio::test]
async fn a_full_disk_loses_no_answered_message() {
    let options = Options::default().segment_size_bytes(1 << 15);
    let mut refusals = 0;
    for room in (0..30).map(|step| 40_000 + step * 1_977) {
        let disk = MemoryDisk::new();
        let store = tenant(&options, Arc::new(disk.clone()));
        let counter = CounterHandle::start(&store, "demo", 0).await.unwrap();
        disk.fill_after_bytes(room);
        let (mut answered, mut accepted, mut maybe) = (0, 0, 0);
        let mut failed = 0;
        // So many that the disk is full before they are through, and the last ones find it closed.
        for number in 0..400 {
            let (failure, count) = if number % 2 == 0 {
                let increment = counter.call::<i64, Never>(CounterCall::Increment { by: 1 });
                match increment.await {
                    Ok(_) => (None, &mut answered),
                    Err(CallError::Failed(failure)) => (Some(failure), &mut answered),
                    Err(error) => panic!("room {room}: {error}"),
                }
            } else {
                match counter.cast(CounterCast::Add { by: 1 }).await {
                    Ok(()) => (None, &mut accepted),
                    Err(CastError::Failed(failure)) => (Some(failure), &mut accepted),
                    Err(error) => panic!("room {room}: {error}"),
                }
            };
            let Some(failure) = failure else {
                assert_eq!(failed, 0, "room {room}: a closed store takes nothing");
                *count += 1;
                continue;
            };
            let said = failure.to_string();
            assert!(said.contains("no space left"), "room {room}: {said}");
            assert!(!failure.is_retryable(), "room {room}: {said}");
            let Failure::Transaction(error) = failure else {
                panic!("room {room}: {said}");
            };
            match error {
                error if error.maybe_executed() => maybe += 1,
                Error::Closed { .. } => failed += 1,
                error => panic!("room {room}: {error:?}"),
            }
        }
        assert!(maybe <= 1, "room {room}: the rest was refused");
        refusals += failed;
        let StopReason::Failed(reason) = counter.stopped().await else {
            panic!("room {room}: it goes on");
        };
        assert!(reason.contains("no space left"), "room {room}: {reason}");
        drop((counter, store));

        disk.clear_faults();
        for image in [disk.kill_image(), disk.crash_image(|| 0)] {
            let store = tenant(&options, Arc::new(image));
            let counter = CounterHandle::start(&store, "demo", 0).await.unwrap();
            let value = value(&counter).await;
            let least = answered + accepted;
            assert!(
                (least..=least + maybe).contains(&value),
                "room {room}: {value}, {answered} answered, {accepted} accepted, {maybe} unknown"
            );
            increment(&counter, 1).await;
        }
    }
    assert!(refusals > 1_000, "{refusals}");
}

/// A gate that flushes pass only while it is open.
#[derive(Debug, Default)]
struct Gate {
    /// Whether it is shut, and how many wait at it.
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn set_shut(&self, is_shut: bool) {
        self.state.lock().unwrap().0 = is_shut;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        let state = self.changed.wait_while(state, |(is_shut, _)| *is_shut);
        state.unwrap().1 -= 1;
    }

    async fn until_waited_at(&self) {
        until("somebody waits", async || self.state.lock().unwrap().1 > 0).await;
    }
}

/// Opens the gate however the test ends: closing the store waits for the flush.
struct OpenAtEnd(Arc<Gate>);

impl Drop for OpenAtEnd {
    fn drop(&mut self) {
        self.0.set_shut(false);
    }
}

impl Deref for OpenAtEnd {
    type Target = Gate;

    fn deref(&self) -> &Gate {
        &self.0
    }
}

/// A store whose flushes wait for the test's hand, on a clock that does too.
fn slow_store() -> (Tenant, Arc<CountingDisk>, MockClock, OpenAtEnd) {
    let gate = Arc::<Gate>::default();
    let wait = {
        let gate = Arc::clone(&gate);
        move |_| gate.pass()
    };
    let slow = SlowDisk::with_wait(Arc::new(MemoryDisk::new()), Duration::ZERO, wait);
    let disk = Arc::new(CountingDisk::new(Arc::new(slow)));
    let clock = MockClock::new(1).auto_advance_max(Duration::from_millis(40));
    let store = tenant(&Options::default().env(clock.env()), disk.clone());
    (store, disk, clock, OpenAtEnd(gate))
}

/// SPEC S2, L3: a flush takes twenty seconds. Callers who have that long wait and are answered; those who
/// come meanwhile share what comes next; one who has less time is told.
#[tokio::test]
async fn callers_wait_for_a_slow_flush() {
    let (store, disk, clock, gate) = slow_store();
    let counter = CounterHandle::start(&store, "demo", 0).await.unwrap();
    increment(&counter, 1).await;
    let before = disk.counts().syncs;
    gate.set_shut(true);
    let call = || {
        let call = counter.call::<i64, Never>(CounterCall::Increment { by: 1 });
        call.timeout(Duration::MAX).into_future()
    };
    let mut calls = vec![call()];
    assert!((&mut calls[0]).now_or_never().is_none());
    gate.until_waited_at().await;
    calls.extend((0..100).map(|_| call()));
    let mut hasty = counter
        .call::<i64, Never>(CounterCall::Increment { by: 1 })
        .timeout(Duration::from_secs(5))
        .into_future();
    for call in calls.iter_mut().chain([&mut hasty]) {
        assert!(call.now_or_never().is_none(), "answered before the flush");
    }
    yield_times(100).await;
    clock.advance(Duration::from_secs(20));
    yield_times(100).await;
    for call in &mut calls {
        assert!(call.now_or_never().is_none(), "answered before the flush");
    }
    let told = hasty.await.unwrap_err();
    assert!(matches!(told, CallError::Timeout { .. }), "{told}");
    assert!(told.maybe_executed());
    gate.set_shut(false);
    for answer in join_all(calls).await {
        answer.unwrap();
    }
    let value = value(&counter).await;
    // What the hasty one sent may be handled, or taken back.
    assert!((102..=103).contains(&value), "{value}");
    let flushes = disk.counts().syncs - before;
    assert!(flushes <= 10, "102 calls took {flushes} flushes");
}

/// SPEC S2, B5: a flush takes an hour: after half a minute the caller is told that its call may have
/// been handled. It is, once, and the process goes on.
#[tokio::test]
async fn a_caller_is_told_of_a_flush_that_takes_too_long() {
    let (store, _, clock, gate) = slow_store();
    let counter = CounterHandle::start(&store, "demo", 0).await.unwrap();
    increment(&counter, 1).await;
    gate.set_shut(true);
    let mut call = counter
        .call::<i64, Never>(CounterCall::Increment { by: 1 })
        .timeout(Duration::MAX)
        .into_future();
    assert!((&mut call).now_or_never().is_none());
    gate.until_waited_at().await;
    clock.advance(Duration::from_secs(3_600));
    let told = call.await.unwrap_err();
    assert!(matches!(told, CallError::Failed(_)), "{told}");
    assert!(told.maybe_executed(), "{told}");
    gate.set_shut(false);
    // Behind it, whenever that was.
    assert_eq!(increment(&counter, 1).await, 3);
}

/// SPEC S10: a stop waits for the flush of the transaction in flight, and its caller is answered.
#[tokio::test]
async fn a_stop_waits_for_a_slow_flush() {
    let (store, _, _, gate) = slow_store();
    let counter = CounterHandle::start(&store, "demo", 0).await.unwrap();
    increment(&counter, 1).await;
    gate.set_shut(true);
    let mut call = counter
        .call::<i64, Never>(CounterCall::Increment { by: 1 })
        .into_future();
    assert!((&mut call).now_or_never().is_none());
    gate.until_waited_at().await;
    let mut stop = std::pin::pin!(counter.stop());
    for _ in 0..10 {
        yield_times(100).await;
        assert!(stop.as_mut().now_or_never().is_none(), "stopped in flight");
        assert!((&mut call).now_or_never().is_none(), "answered before");
    }
    gate.set_shut(false);
    stop.await;
    assert_eq!(call.await.unwrap(), 2);
}
