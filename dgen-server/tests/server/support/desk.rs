//! A server that does what its messages say, so that a test is written where it is read.

use std::{cell::Cell, cell::RefCell, time::Duration};

use dgen_server::{
    Context, Handle, Locked, LockedWork, Never, Reply, ReplyTo, Server, StartOptions, Tenant,
};
use serde::{Deserialize, Serialize};

use super::{mocked::woken_only, patience::until_quiet};

/// Keeps notes, and calls that wait for an answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Desk {
    notes: Vec<Note>,
    asking: Vec<ReplyTo<String, String>>,
}

/// A text, and how late it came if a timer sent it, in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) late_millis: Option<u64>,
}

/// What a handler is told to do. `to` is the id of another desk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Step {
    Note(String),
    Send {
        to: String,
        texts: Vec<String>,
    },
    /// So many casts of so many bytes each.
    SendLarge {
        to: String,
        size_bytes: usize,
        count: usize,
    },
    /// To a server of another database.
    SendAway,
    Timer(Timing),
    /// So many timers, a second apart, the first after `millis`.
    Timers {
        count: u64,
        millis: u64,
    },
    Cancel {
        key: String,
    },
    CancelOf {
        to: String,
        key: String,
    },
    /// Answers all who ask.
    Answer(String),
    /// Works so long under the lock, and does there what comes behind this.
    Lock {
        seconds: u64,
    },
    Panic,
    PanicWith(String),
    /// Panics in this test's first so many runs of steps.
    PanicInFirst {
        runs: u32,
    },
}

/// When a timer sends what.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// To itself, if there is none.
    pub(crate) to: Option<String>,
    pub(crate) millis: u64,
    /// Every so often; else once.
    pub(crate) is_periodic: bool,
    /// At this time after 1970, and not after one from now.
    pub(crate) is_absolute: bool,
    pub(crate) key: Option<String>,
    pub(crate) texts: Vec<String>,
    /// Sent behind the texts, if there are any.
    pub(crate) steps: Vec<Step>,
    pub(crate) id: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum DeskCall {
    Notes,
    Do(Vec<Step>),
    /// Does it, and returns an error.
    DoAndFail(Vec<Step>),
    /// Answered later.
    Ask,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum DeskCast {
    Note(String),
    Do(Vec<Step>),
}

pub(crate) type DeskHandle = Handle<Desk>;

thread_local! {
    static RUNS: Cell<u32> = const { Cell::new(0) };
    static AWAY: RefCell<Option<Tenant>> = const { RefCell::new(None) };
}

/// How often handlers of steps ran in this test.
pub(crate) fn runs() -> u32 {
    RUNS.get()
}

/// Where [`Step::SendAway`] sends to.
pub(crate) fn set_away(tenant: &Tenant) {
    AWAY.set(Some(tenant.clone()));
}

impl Desk {
    fn act(&mut self, steps: Vec<Step>, cx: &mut Context<Self>) {
        RUNS.set(RUNS.get() + 1);
        for step in steps {
            let is_lock = matches!(step, Step::Lock { .. });
            self.step(step, cx);
            if is_lock {
                return;
            }
        }
    }

    fn step(&mut self, step: Step, cx: &mut Context<Self>) {
        let desk = |cx: &Context<Self>, to: &str| DeskHandle::client(cx.tenant(), to);
        match step {
            Step::Note(text) => self.note(text, cx),
            Step::Send { to, texts } => {
                let to = desk(cx, &to);
                cx.send(to.cast_all(notes_of(texts)));
            }
            Step::SendLarge {
                to,
                size_bytes,
                count,
            } => {
                let to = desk(cx, &to);
                for _ in 0..count {
                    cx.send(to.cast(DeskCast::Note("x".repeat(size_bytes))));
                }
            }
            Step::SendAway => {
                let away = AWAY.with_borrow(|away| away.clone()).expect("it was set");
                cx.send(DeskHandle::client(&away, "desk").cast(DeskCast::Note("away".to_owned())));
            }
            Step::Timer(timing) => set(timing, cx),
            Step::Timers { count, millis } => {
                for number in 0..count {
                    let delay = Duration::from_millis(millis) + Duration::from_secs(number);
                    let handle = cx.handle();
                    cx.send_after(delay, handle.cast(DeskCast::Note("one of many".to_owned())));
                }
            }
            Step::Cancel { key } => cx.cancel(key),
            Step::CancelOf { to, key } => {
                let to = desk(cx, &to);
                cx.cancel_of(&to, key);
            }
            Step::Answer(text) => {
                for to in self.asking.drain(..) {
                    cx.reply(to, &text);
                }
            }
            Step::Lock { .. } => cx.lock(),
            Step::Panic => panic!("asked to"),
            Step::PanicWith(text) => panic!("{text}"),
            Step::PanicInFirst { runs: first } => assert!(runs() > first, "asked to"),
        }
    }

    fn note(&mut self, text: String, cx: &Context<Self>) {
        let late = cx.due().map(|due| due.late.as_millis());
        self.notes.push(Note {
            text,
            late_millis: late.map(|late| u64::try_from(late).expect("a test's duration")),
        });
    }
}

fn notes_of(texts: Vec<String>) -> Vec<DeskCast> {
    texts.into_iter().map(DeskCast::Note).collect()
}

fn set(timing: Timing, cx: &mut Context<Desk>) {
    let to = match &timing.to {
        Some(to) => DeskHandle::client(cx.tenant(), to.as_str()),
        None => cx.handle(),
    };
    let mut casts = notes_of(timing.texts);
    if !timing.steps.is_empty() {
        casts.push(DeskCast::Do(timing.steps));
    }
    let mut casts = to.cast_all(casts);
    if let Some(id) = timing.id {
        casts = casts.id(id);
    }
    let duration = Duration::from_millis(timing.millis);
    if timing.is_periodic {
        return cx.send_every(timing.key.unwrap_or_default(), duration, casts);
    }
    let timer = if timing.is_absolute {
        cx.send_at(std::time::SystemTime::UNIX_EPOCH + duration, casts)
    } else {
        cx.send_after(duration, casts)
    };
    if let Some(key) = timing.key {
        timer.key(key);
    }
}

impl Server for Desk {
    const NAME: &'static str = "Desk";
    type Args = ();
    type InitError = Never;
    type Call = DeskCall;
    type Cast = DeskCast;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: DeskCall, cx: &mut Context<Self>) -> Reply {
        match call {
            DeskCall::Notes => Reply::ok(&self.notes),
            DeskCall::Do(steps) => {
                let is_locking = steps.iter().any(|step| matches!(step, Step::Lock { .. }));
                self.act(steps, cx);
                if is_locking {
                    return Reply::later();
                }
                Reply::ok(&runs())
            }
            DeskCall::DoAndFail(steps) => {
                self.act(steps, cx);
                Reply::err("no")
            }
            DeskCall::Ask => {
                RUNS.set(RUNS.get() + 1);
                let (to, deferred) = cx.defer();
                self.asking.push(to);
                Reply::deferred(deferred)
            }
        }
    }

    fn handle_cast(&mut self, cast: DeskCast, cx: &mut Context<Self>) {
        match cast {
            DeskCast::Note(text) => self.note(text, cx),
            DeskCast::Do(steps) => self.act(steps, cx),
        }
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, cx: &mut Locked<Self>) -> Reply {
        let (LockedWork::Call(DeskCall::Do(steps)) | LockedWork::Cast(DeskCast::Do(steps))) = work
        else {
            return Reply::later();
        };
        let mut is_after_lock = false;
        for step in steps {
            match step {
                Step::Lock { seconds } => {
                    let env = cx.tenant().env().clone();
                    env.sleep(Duration::from_secs(seconds)).await;
                    is_after_lock = true;
                }
                step if is_after_lock => self.step(step, cx),
                _ => {}
            }
        }
        Reply::ok(&runs())
    }
}

/// A desk that looks again only when it is woken.
pub(crate) async fn desk(tenant: &Tenant, id: &str) -> DeskHandle {
    desk_with(tenant, id, woken_only()).await
}

pub(crate) async fn desk_with(tenant: &Tenant, id: &str, options: StartOptions) -> DeskHandle {
    DeskHandle::start_with(tenant, id, (), options)
        .await
        .expect("a desk starts")
}

/// Has `desk` do `steps`, all or none.
pub(crate) async fn act(desk: &DeskHandle, steps: impl IntoIterator<Item = Step>) {
    desk.call::<u32, Never>(DeskCall::Do(steps.into_iter().collect()))
        .await
        .expect("the steps can be done");
}

/// A timer of one text, to the desk itself.
pub(crate) fn after(seconds: u64, text: &str) -> Timing {
    Timing {
        millis: seconds * 1_000,
        texts: vec![text.to_owned()],
        ..Timing::default()
    }
}

/// The same, again and again.
pub(crate) fn every(seconds: u64, text: &str) -> Timing {
    Timing {
        is_periodic: true,
        ..after(seconds, text)
    }
}

impl Timing {
    pub(crate) fn key(self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self
        }
    }

    pub(crate) fn to(self, to: &str) -> Self {
        Self {
            to: Some(to.to_owned()),
            ..self
        }
    }
}

pub(crate) fn send(to: &str, texts: &[&str]) -> Step {
    Step::Send {
        to: to.to_owned(),
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
    }
}

/// The desk's notes, once it has done by itself all that there is to do.
pub(crate) async fn notes(desk: &DeskHandle, tenant: &Tenant) -> Vec<Note> {
    // Asked once more: what should not have been due would have come by now.
    let mut notes = Vec::new();
    for _ in 0..2 {
        until_quiet(desk, tenant.env()).await;
        notes = desk
            .call::<_, Never>(DeskCall::Notes)
            .await
            .expect("a read works");
    }
    notes
}

pub(crate) async fn texts(desk: &DeskHandle, tenant: &Tenant) -> Vec<String> {
    let notes = notes(desk, tenant).await;
    notes.into_iter().map(|note| note.text).collect()
}
