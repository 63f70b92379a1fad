//! A server whose messages say, step by step, what their handler does.

use std::{ops::ControlFlow, time::Duration};

use dgen_backend::tuple::Subspace;
use dgen_server::{
    Call, Cast, Context, Deferred, Handle, Locked, LockedWork, Never, Reply, ReplyTo, Server,
    Tenant,
};
use serde::{Deserialize, Serialize};

use crate::{probe::Probe, world::look_from_outside};

/// Its messages are scripts, whether they are called, cast or handed over as an info.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Actor {
    probe: u64,
    pub(crate) value: i64,
    pub(crate) other: i64,
    pub(crate) log: Vec<String>,
    /// Whose reply was deferred.
    pub(crate) waiting: Vec<ReplyTo<i64, String>>,
}

pub(crate) type Script = Vec<Step>;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Adds to the state's value, or to its other one.
    Add(i64),
    AddOther(i64),
    /// Appends to the state's log.
    Log(String),
    /// Tells the test, whatever becomes of the transaction.
    Note(String),
    /// After the commit: notes a name, and the value of the state it is given.
    Act(String),
    /// The same, and skips what is behind it.
    ActAndBreak(String),
    /// After the commit: notes `acted`.
    ActPlain,
    ActAndPanic,
    /// After the commit: notes `at` the gate, and blocks the thread until the test opens it.
    ActAndWait(String),
    /// After the commit: notes what another transaction reads now.
    ActAndLook,
    Stop(String),
    Panic(String),
    /// Panics so often, and notes that.
    PanicTimes(usize),
    /// The handler's error. Counts in a call.
    Fail(String),
    /// Goes on as locked work that does these.
    Lock(Script),
    /// Locks, and is answered all the same if it is called.
    LockAndAnswer,
    /// In locked work: notes `at` the gate, and waits until the test opens it.
    Wait(String),
    /// The same, and the first that comes there blocks its whole thread. Others wait for gate
    /// `again`.
    Freeze(String),
    /// In locked work: notes `dropped` when the work ends or is dropped.
    Guard,
    /// In locked work: notes the fence, as `fence 7`.
    Fence,
    Send(String, Script),
    SendAfter(Duration, Script),
    /// Adds to the value after that time, under a key perhaps.
    SetTimer(Option<String>, Duration),
    /// Keeps the caller waiting, for an [`Answer`](Self::Answer).
    Defer,
    /// Answers the first caller kept waiting, who stays kept; or tells it an error.
    Answer(i64),
    AnswerErr(String),
    /// Forgets the first caller kept waiting.
    Forget,
    /// Sends the first caller kept waiting to another actor, who keeps it.
    HandOver(String),
    Keep(ReplyTo<i64, String>),
    /// The same, to an actor of another tenant of this database.
    HandOverTo {
        tenant: String,
        id: String,
    },
    /// The call's answer is the whole state.
    Read,
    /// The call's answer is a text of so many bytes, also if locked work gives it.
    Echo(usize),
    /// Makes the message larger.
    Pad(String),
    /// Can be stored, and not be read again.
    Odd(Odd),
    /// So many timers that come again after every period, of so many bytes each, and add to the value.
    SetLarge {
        count: usize,
        size_bytes: usize,
        period: Duration,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub(crate) struct Odd;

impl From<Odd> for u8 {
    fn from(_: Odd) -> Self {
        7
    }
}

impl TryFrom<u8> for Odd {
    type Error = &'static str;

    fn try_from(_: u8) -> Result<Self, &'static str> {
        Err("an odd number")
    }
}

impl Server for Actor {
    const NAME: &'static str = "Actor";
    /// The number of the test's [`Probe`].
    type Args = u64;
    type InitError = Never;
    type Call = Script;
    type Cast = Script;
    type Info = Script;

    fn init(probe: u64) -> Result<Self, Never> {
        Ok(Self {
            probe,
            value: 0,
            other: 0,
            log: Vec::new(),
            waiting: Vec::new(),
        })
    }

    fn handle_call(&mut self, script: Script, cx: &mut Context<Self>) -> Reply {
        if let [Step::Read] = script[..] {
            return Reply::ok(self);
        }
        let is_locking = script.iter().any(|step| matches!(step, Step::Lock(_)));
        let echo = script.iter().find_map(Step::echo);
        match self.play(script, cx) {
            Err(error) => Reply::err(&error),
            Ok(_) if is_locking => Reply::later(),
            Ok(Some(deferred)) => Reply::deferred(deferred),
            Ok(None) => self.reply(echo),
        }
    }

    fn handle_cast(&mut self, script: Script, cx: &mut Context<Self>) {
        let _ = self.play(script, cx);
    }

    fn handle_info(&mut self, script: Script, cx: &mut Context<Self>) {
        let _ = self.play(script, cx);
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, cx: &mut Locked<Self>) -> Reply {
        let (LockedWork::Call(script) | LockedWork::Cast(script)) = work;
        let probe = Probe::of(self.probe);
        let script: Script = script.into_iter().flat_map(Step::into_locked).collect();
        let echo = script.iter().find_map(Step::echo);
        let mut deferred = None;
        let mut guards = Vec::new();
        for step in script {
            match step {
                Step::Wait(gate) => {
                    probe.note(format!("at {gate}"));
                    probe.passed(&gate).await;
                }
                Step::Freeze(gate) => {
                    let note = format!("at {gate}");
                    let is_first = probe.count(&note) == 0;
                    probe.note(note);
                    if is_first {
                        probe.passed_blocking(&gate);
                    } else {
                        probe.passed("again").await;
                    }
                }
                Step::Guard => guards.push(Guard(probe.clone())),
                Step::Fence => probe.note(format!("fence {}", cx.fence())),
                Step::Lock(_) => cx.lock(),
                step => match self.take(step, cx) {
                    Ok(more) => deferred = more.or(deferred),
                    Err(error) => return Reply::err(&error),
                },
            }
        }
        deferred.map_or_else(|| self.reply(echo), Reply::deferred)
    }
}

/// Dropped, it says so.
struct Guard(Probe);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.note("dropped");
    }
}

type MaybeDeferred = Option<Deferred<i64, String>>;

impl Actor {
    fn play(&mut self, script: Script, cx: &mut Context<Self>) -> Result<MaybeDeferred, String> {
        let mut deferred = None;
        for step in script {
            deferred = self.take(step, cx)?.or(deferred);
        }
        Ok(deferred)
    }

    fn reply(&self, echo: Option<usize>) -> Reply {
        match echo {
            Some(size_bytes) => Reply::ok(&"x".repeat(size_bytes)),
            None => Reply::ok(&self.value),
        }
    }

    fn take(&mut self, step: Step, cx: &mut Context<Self>) -> Result<MaybeDeferred, String> {
        let probe = Probe::of(self.probe);
        match step {
            Step::Add(by) => self.value += by,
            Step::AddOther(by) => self.other += by,
            Step::Log(line) => self.log.push(line),
            Step::Note(note) => probe.note(note),
            Step::Act(name) => {
                cx.after_commit(move |state: &Self| probe.note(format!("{name} {}", state.value)));
            }
            Step::ActPlain => cx.after_commit(move |_: &Self| probe.note("acted")),
            Step::ActAndBreak(name) => cx.after_commit(move |state: &Self| {
                probe.note(format!("{name} {}", state.value));
                ControlFlow::Break(())
            }),
            Step::ActAndPanic => cx.after_commit(|_: &Self| -> () { panic!("asked to, after") }),
            Step::ActAndWait(gate) => cx.after_commit(move |_: &Self| {
                probe.note(format!("at {gate}"));
                probe.passed_blocking(&gate);
            }),
            Step::ActAndLook => {
                let look = look_from_outside(cx.tenant(), cx.id().clone());
                cx.after_commit(move |_: &Self| probe.note(format!("stored {}", look())));
            }
            Step::Stop(reason) => cx.stop(reason),
            Step::Panic(text) => {
                self.value = -1_000;
                panic!("{text}")
            }
            Step::PanicTimes(times) => {
                if probe.count("panics") < times {
                    probe.note("panics");
                    panic!("not often enough yet");
                }
            }
            Step::Fail(error) => {
                self.value = -1_000;
                return Err(error);
            }
            Step::Lock(_) | Step::LockAndAnswer => cx.lock(),
            Step::Send(to, script) => {
                let to = Handle::<Self>::client(cx.tenant(), to);
                cx.send(to.cast(script));
            }
            Step::SendAfter(delay, script) => {
                let to = cx.handle();
                cx.send_after(delay, to.cast(script));
            }
            Step::SetTimer(key, delay) => {
                let to = cx.handle();
                let timer = cx.send_after(delay, to.cast(vec![add(1)]));
                if let Some(key) = key {
                    timer.key(key);
                }
            }
            Step::Defer => {
                let (to, deferred) = cx.defer();
                self.waiting.push(to);
                return Ok(Some(deferred));
            }
            Step::Answer(value) => cx.reply(self.waiting[0].clone(), &value),
            Step::AnswerErr(error) => cx.reply_err(self.waiting[0].clone(), &error),
            Step::Forget => drop(self.waiting.remove(0)),
            Step::HandOver(to) => {
                let to = Handle::client(cx.tenant(), to);
                self.hand_over(&to, cx);
            }
            Step::HandOverTo { tenant, id } => {
                let subspace = Subspace::from(tenant.as_str());
                let tenant = Tenant::new(cx.tenant().database().clone(), subspace);
                self.hand_over(&Handle::client(&tenant, id), cx);
            }
            Step::Keep(to) => self.waiting.push(to),
            Step::SetLarge {
                count,
                size_bytes,
                period,
            } => {
                let to = cx.handle();
                for number in 0..count {
                    let script = vec![add(1), pad(size_bytes)];
                    cx.send_every(number.to_string(), period, to.cast(script));
                }
            }
            Step::Echo(_) | Step::Pad(_) | Step::Odd(_) => {}
            Step::Wait(_) | Step::Freeze(_) | Step::Guard | Step::Fence | Step::Read => {
                panic!("not here")
            }
        }
        Ok(None)
    }

    /// Sends the first caller kept waiting to `to`.
    fn hand_over(&mut self, to: &Handle<Self>, cx: &mut Context<Self>) {
        let script = vec![Step::Keep(self.waiting.remove(0)), note("kept")];
        cx.send(to.cast(script));
    }
}

impl Step {
    fn echo(&self) -> Option<usize> {
        match self {
            Self::Echo(size_bytes) => Some(*size_bytes),
            _ => None,
        }
    }

    /// What it is for locked work to do; nothing, if the handler has done it.
    fn into_locked(self) -> Script {
        match self {
            Self::Lock(script) => script,
            _ => Vec::new(),
        }
    }
}

/// Calls with a script; the answer is the value of the state then.
pub(crate) fn call(
    actor: &Handle<Actor>,
    script: impl Into<Script>,
) -> Call<'_, Actor, i64, String> {
    actor.call(script.into())
}

pub(crate) fn cast(actor: &Handle<Actor>, script: impl Into<Script>) -> Cast<'_, Actor> {
    actor.cast(script.into())
}

pub(crate) fn add(by: i64) -> Step {
    Step::Add(by)
}

pub(crate) fn add_other(by: i64) -> Step {
    Step::AddOther(by)
}

pub(crate) fn log(line: &str) -> Step {
    Step::Log(line.to_owned())
}

pub(crate) fn note(note: &str) -> Step {
    Step::Note(note.to_owned())
}

pub(crate) fn act(name: &str) -> Step {
    Step::Act(name.to_owned())
}

pub(crate) fn act_and_break(name: &str) -> Step {
    Step::ActAndBreak(name.to_owned())
}

pub(crate) fn stop(reason: &str) -> Step {
    Step::Stop(reason.to_owned())
}

pub(crate) fn panic(text: &str) -> Step {
    Step::Panic(text.to_owned())
}

pub(crate) fn fail(error: &str) -> Step {
    Step::Fail(error.to_owned())
}

pub(crate) fn lock(script: impl Into<Script>) -> Step {
    Step::Lock(script.into())
}

pub(crate) fn wait(gate: &str) -> Step {
    Step::Wait(gate.to_owned())
}

pub(crate) fn freeze(gate: &str) -> Step {
    Step::Freeze(gate.to_owned())
}

pub(crate) fn send(to: &str, script: impl Into<Script>) -> Step {
    Step::Send(to.to_owned(), script.into())
}

pub(crate) fn pad(size_bytes: usize) -> Step {
    Step::Pad("x".repeat(size_bytes))
}

pub(crate) fn hand_over(to: &str) -> Step {
    Step::HandOver(to.to_owned())
}

/// How a script is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Info,
    Cast,
    Call,
    PriorityCall,
    PriorityCast,
}

impl Way {
    /// Sends `script`, and waits until it is accepted: handled, but for an info.
    pub(crate) async fn send(self, actor: &Handle<Actor>, script: impl Into<Script>) {
        match self {
            Self::Info => actor.info(script.into()).expect("a process is here"),
            Self::Cast => cast(actor, script).await.expect("the cast is accepted"),
            Self::Call => drop(call(actor, script).await.expect("the call works")),
            Self::PriorityCall => {
                let answer = call(actor, script).priority().await;
                answer.expect("the call works");
            }
            Self::PriorityCast => {
                let handled = cast(actor, script).priority().await;
                handled.expect("the cast works");
            }
        }
    }
}
