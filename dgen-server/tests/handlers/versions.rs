//! Versions of one server side by side: what an older one does not know, the newer one does.

use std::time::Duration;

use dgen_server::{
    CallError, Context, Failure, Handle, HeldBy, Locked, LockedWork, Never, Reply, Server, Status,
};
use futures_util::future::join;
use serde::{Deserialize, Serialize};

use crate::{probe::Probe, world::*};

/// A log, in its first version.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Old {
    probe: u64,
    log: Vec<String>,
}

/// What it can be called with, and what can be cast to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum OldMessage {
    Log(String),
    Read,
}

/// The same log, in its second version.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct New {
    probe: u64,
    log: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum NewMessage {
    Log(String),
    /// Logs as locked work, once the gate `work` is open.
    Work(String),
    /// Panics.
    Fail,
}

impl Server for Old {
    const NAME: &'static str = "Log";
    type Args = u64;
    type InitError = Never;
    type Call = OldMessage;
    type Cast = OldMessage;
    type Info = Never;

    fn init(probe: u64) -> Result<Self, Never> {
        let log = Vec::new();
        Ok(Self { probe, log })
    }

    fn handle_call(&mut self, call: OldMessage, cx: &mut Context<Self>) -> Reply {
        self.handle_cast(call, cx);
        Reply::ok(&self.log)
    }

    fn handle_cast(&mut self, cast: OldMessage, _cx: &mut Context<Self>) {
        match cast {
            OldMessage::Log(line) => self.log.push(line),
            OldMessage::Read => {}
        }
    }
}

impl Server for New {
    const NAME: &'static str = Old::NAME;
    type Args = u64;
    type InitError = Never;
    type Call = NewMessage;
    type Cast = NewMessage;
    type Info = Never;

    fn init(probe: u64) -> Result<Self, Never> {
        let log = Vec::new();
        Ok(Self { probe, log })
    }

    fn handle_call(&mut self, call: NewMessage, cx: &mut Context<Self>) -> Reply {
        self.handle_cast(call, cx);
        Reply::later()
    }

    fn handle_cast(&mut self, cast: NewMessage, cx: &mut Context<Self>) {
        match cast {
            NewMessage::Log(line) => self.log.push(line),
            NewMessage::Work(_) => cx.lock(),
            NewMessage::Fail => {
                Probe::of(self.probe).note("tried");
                panic!("asked to")
            }
        }
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, _cx: &mut Locked<Self>) -> Reply {
        let (LockedWork::Call(message) | LockedWork::Cast(message)) = work;
        let probe = Probe::of(self.probe);
        probe.note("works");
        probe.passed("work").await;
        if let NewMessage::Work(line) = message {
            self.log.push(line);
        }
        Reply::ok(&self.log)
    }
}

type Lines = Result<Vec<String>, CallError>;

/// How long an unknown message is left for a newer version.
const GRACE: Duration = Duration::from_secs(600);

fn work() -> NewMessage {
    NewMessage::Work("worked".to_owned())
}

fn line(line: &str) -> OldMessage {
    OldMessage::Log(line.to_owned())
}

async fn old(world: &World) -> Handle<Old> {
    let started = Handle::start(&world.tenant, "log", world.probe.number);
    started.await.expect("the log starts")
}

async fn new(world: &World) -> Handle<New> {
    let tenant = elsewhere(&world.tenant);
    let started = Handle::start(&tenant, "log", world.probe.number);
    started.await.expect("the log starts")
}

async fn lines(log: &Handle<Old>) -> Vec<String> {
    let lines: Lines = log.call(OldMessage::Read).timeout(PATIENT).await;
    lines.expect("a read works")
}

/// Starts the new version, has it lock the server, and ends it, so that the lock is left behind: as if
/// its OS process died or, if it `lets_go`, in good order.
async fn leave_a_lock_behind(world: &World, lets_go: bool) {
    let tenant = elsewhere(&world.tenant);
    world.start_on_thread_at::<New>(tenant, "log").await;
    world.probe.noted("works").await;
    if lets_go {
        world.stop_thread().await;
    } else {
        world.kill_thread().await;
    }
}

async fn log_status(world: &World) -> Status {
    let log = Handle::<Old>::client(&world.tenant, "log");
    log.status().await.expect("the store reads")
}

async fn is_locked(world: &World) -> bool {
    matches!(log_status(world).await.hold, Some(HeldBy::Lock { .. }))
}

async fn unknown_attempts(world: &World) -> u32 {
    match log_status(world).await.hold {
        Some(HeldBy::Failing { attempts, .. }) => attempts,
        _ => 0,
    }
}

/// Moves the clock in larger steps than [`World::pass_time_until`].
async fn pass(world: &World, duration: Duration) {
    let until = world.clock.elapsed() + duration;
    while world.clock.elapsed() < until {
        world.clock.advance(Duration::from_secs(5));
        world.settle().await;
    }
}

/// The older version leaves a lock that it does not know for a newer one until its grace is over; then
/// the message is a dead letter, its caller is told, and the queue goes on.
async fn an_unknown_lock_is_left_for_a_while(world: World, lets_go: bool) {
    let caller = Handle::<New>::client(&world.tenant, "log");
    let locked = caller.call::<Vec<String>, Never>(work()).timeout(PATIENT);
    let beside = async {
        leave_a_lock_behind(&world, lets_go).await;
        let began = world.clock.elapsed();
        let old = old(&world).await;
        old.cast(line("behind")).await.unwrap();
        pass(&world, GRACE - Duration::from_secs(60)).await;
        assert!(is_locked(&world).await);
        assert_eq!(lines_past_the_lock(&old).await, [""; 0]);
        let status = log_status(&world).await;
        assert_eq!((status.queue_len, status.dead_letters), (1, 0));
        world
            .pass_time_until(async || log_status(&world).await.dead_letters == 1)
            .await;
        assert!(
            world.clock.elapsed() - began >= GRACE,
            "it was put aside too early"
        );
        old
    };
    let (answer, old) = join(locked.into_future(), beside).await;
    assert!(
        matches!(
            &answer,
            Err(CallError::Failed(Failure::DeadLettered { error, .. })) if error.contains("Work")
        ),
        "{answer:?}"
    );
    assert_eq!(lines(&old).await, ["behind"]);
    assert_eq!(log_status(&world).await.hold, None);
    let letters = old.dead_letters().await.unwrap();
    assert!(letters[0].error.contains("does not know"), "{letters:?}");

    // Replayed, a newer version does it.
    world.probe.open("work");
    old.stop().await;
    let new = new(&world).await;
    assert!(new.replay(letters[0].number).await.unwrap());
    world.probe.noted_times("works", 2).await;
    until(async || !is_locked(&world).await).await;
    new.stop().await;
    assert_eq!(lines(&self::old(&world).await).await, ["behind", "worked"]);
}

async fn lines_past_the_lock(old: &Handle<Old>) -> Vec<String> {
    let lines: Lines = old.call(OldMessage::Read).priority().await;
    lines.expect("a read works")
}

/// A newer version that comes before the older one's grace is over takes the lock over.
async fn a_newer_version_takes_an_unknown_lock_over(world: World, lets_go: bool) {
    let caller = Handle::<New>::client(&world.tenant, "log");
    let locked = caller.call::<Vec<String>, Never>(work()).timeout(PATIENT);
    let beside = async {
        leave_a_lock_behind(&world, lets_go).await;
        let old = old(&world).await;
        old.cast(line("behind")).await.unwrap();
        pass(&world, GRACE / 2).await;
        assert!(is_locked(&world).await);
        world.probe.open("work");
        let began = world.clock.elapsed();
        let new = new(&world).await;
        world
            .pass_time_until(async || world.probe.count("works") == 2)
            .await;
        let took = world.clock.elapsed() - began;
        assert!(lets_go || took >= LEASE, "it was taken over too early");
        (old, new)
    };
    let (answer, (old, _new)) = join(locked.into_future(), beside).await;
    assert_eq!(answer.unwrap(), ["worked"]);
    assert_eq!(lines(&old).await, ["worked", "behind"]);
    let status = log_status(&world).await;
    assert_eq!((status.hold, status.dead_letters), (None, 0));
}

on_each_store! {
    /// SPEC S7, S9: the holder died.
    async fn the_unknown_lock_of_a_dead_holder_is_left_for_a_while(world: World) {
        an_unknown_lock_is_left_for_a_while(world, false).await;
    }

    /// SPEC S7, S9: the holder has let the lock go, so that anyone could take it over at once.
    async fn an_unknown_lock_that_was_let_go_is_left_for_a_while(world: World) {
        an_unknown_lock_is_left_for_a_while(world, true).await;
    }

    /// SPEC S7, M4: the same, for a newer version that comes in time.
    async fn a_newer_version_takes_the_lock_of_a_dead_holder_over(world: World) {
        a_newer_version_takes_an_unknown_lock_over(world, false).await;
    }

    /// SPEC S7, M4: and for one that was let go.
    async fn a_newer_version_takes_a_lock_over_that_was_let_go(world: World) {
        a_newer_version_takes_an_unknown_lock_over(world, true).await;
    }

    /// SPEC M4, S9: however long an older version would wait until it looks again at a message that it
    /// does not know: the newer one handles it as soon as it comes.
    async fn a_newer_version_handles_an_unknown_message_at_once(world: World) {
        let new_client = Handle::<New>::client(&elsewhere(&world.tenant), "log");
        new_client.cast(work()).await.unwrap();
        let old = old(&world).await;
        old.cast(line("behind")).await.unwrap();
        // By now it waits for ten seconds each time.
        world.pass_time_until(async || unknown_attempts(&world).await >= 10).await;
        world.clock.set_auto_advance_max(Duration::ZERO);
        let before = world.clock.elapsed();
        world.probe.open("work");
        let new = new(&world).await;
        world.probe.noted("works").await;
        until(async || log_status(&world).await.queue_len == 0).await;
        assert_eq!(world.clock.elapsed(), before);
        new.stop().await;
        assert_eq!(lines(&old).await, ["worked", "behind"]);
        assert_eq!(log_status(&world).await.dead_letters, 0);
    }

    /// SPEC M4, S9: if it fails there, that is counted, from the beginning: it is tried five times by
    /// the version that knows it, however often the other has looked at it.
    async fn a_newer_version_counts_failures_of_its_own(world: World) {
        let new_client = Handle::<New>::client(&elsewhere(&world.tenant), "log");
        new_client.cast(NewMessage::Fail).await.unwrap();
        let old = old(&world).await;
        old.cast(line("behind")).await.unwrap();
        world.pass_time_until(async || unknown_attempts(&world).await >= 10).await;
        old.stop().await;
        let _new = new(&world).await;
        world.pass_time_until(async || log_status(&world).await.dead_letters == 1).await;
        assert_eq!(world.probe.count("tried"), 5);
        until(async || log_status(&world).await.queue_len == 0).await;
        let letters = new_client.dead_letters().await.unwrap();
        assert_eq!(letters[0].attempts, 5);
        assert!(letters[0].error.contains("asked to"), "{letters:?}");
    }

    /// SPEC M4, S9, S11: so if the older version goes on looking at it meanwhile: what is a failure for
    /// the newer one is a dead letter long before the older one's grace is over.
    async fn a_message_that_fails_for_one_version_is_put_aside_beside_another(world: World) {
        let new_client = Handle::<New>::client(&elsewhere(&world.tenant), "log");
        new_client.cast(NewMessage::Fail).await.unwrap();
        let old = old(&world).await;
        world.pass_time_until(async || unknown_attempts(&world).await >= 10).await;
        let _new = new(&world).await;
        let began = world.clock.elapsed();
        world.pass_time_until(async || log_status(&world).await.dead_letters == 1).await;
        assert!(world.clock.elapsed() - began < GRACE / 4, "{:?}", world.clock.elapsed() - began);
        let tried = world.probe.count("tried");
        assert!((2..=8).contains(&tried), "{tried}");
        assert_eq!(lines(&old).await, [""; 0]);
    }
}
