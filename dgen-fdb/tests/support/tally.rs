//! A server that counts, and callers who know what it has to answer.

use std::{collections::BTreeMap, time::Duration};

use dgen_server::{Context, Handle, Locked, LockedWork, Never, Reply, Server};
use serde::{Deserialize, Serialize};

/// The messages of each sender, by its number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) counts: BTreeMap<u32, u64>,
}

/// Counts a message of this sender.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Count(pub(crate) u32);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum TallyCall {
    /// Answers with the new count.
    Count(u32),
    /// The same, under the lock.
    CountLocked(u32),
    Read,
}

impl Tally {
    fn count(&mut self, sender: u32) -> u64 {
        let count = self.counts.entry(sender).or_default();
        *count += 1;
        *count
    }
}

impl Server for Tally {
    const NAME: &'static str = "Tally";
    type Args = ();
    type InitError = Never;
    type Call = TallyCall;
    type Cast = Count;
    type Info = Never;

    fn init((): ()) -> Result<Self, Never> {
        Ok(Self::default())
    }

    fn handle_call(&mut self, call: TallyCall, cx: &mut Context<Self>) -> Reply {
        match call {
            TallyCall::Count(sender) => Reply::ok(&self.count(sender)),
            TallyCall::CountLocked(_) => {
                cx.lock();
                Reply::later()
            }
            TallyCall::Read => Reply::ok(&*self),
        }
    }

    fn handle_cast(&mut self, Count(sender): Count, _cx: &mut Context<Self>) {
        self.count(sender);
    }

    async fn handle_locked(&mut self, work: LockedWork<Self>, _cx: &mut Locked<Self>) -> Reply {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        match work {
            LockedWork::Call(TallyCall::CountLocked(sender)) => Reply::ok(&self.count(sender)),
            other => panic!("only one call locks: {other:?}"),
        }
    }
}

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Cast,
    /// Twice with one id.
    CallWithId,
    CastWithId,
    Locked,
}

/// Sends messages one after the other, and knows how many have taken effect.
#[derive(Debug)]
pub(crate) struct Sender {
    number: u32,
    tally: Handle<Tally>,
    sent: u64,
    /// How long each message may take.
    patience: Duration,
}

impl Sender {
    pub(crate) fn new(number: u32, tally: Handle<Tally>, patience: Duration) -> Self {
        Self {
            number,
            tally,
            sent: 0,
            patience,
        }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// How many messages were acknowledged.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends one message.
    ///
    /// # Panics
    /// If it is not acknowledged in time, or the answer is another than the count of all that this
    /// sender has sent: something was lost, or took effect twice.
    pub(crate) async fn send(&mut self, kind: Kind) {
        let number = self.number;
        let id = format!("{number}/{}", self.sent);
        match kind {
            Kind::Call => self.call(TallyCall::Count(number), None).await,
            Kind::Locked => self.call(TallyCall::CountLocked(number), None).await,
            Kind::CallWithId => {
                self.call(TallyCall::Count(number), Some(&id)).await;
                self.call(TallyCall::Count(number), Some(&id)).await;
            }
            Kind::Cast => self.cast(None).await,
            Kind::CastWithId => {
                self.cast(Some(&id)).await;
                self.cast(Some(&id)).await;
            }
        }
        self.sent += 1;
    }

    async fn call(&self, call: TallyCall, id: Option<&str>) {
        let text = format!("{call:?}, {} behind it", self.sent);
        let mut call = self.tally.call::<u64, Never>(call).timeout(self.patience);
        if let Some(id) = id {
            call = call.id(id);
        }
        match call.await {
            Ok(count) => assert_eq!(count, self.sent + 1, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    async fn cast(&self, id: Option<&str>) {
        let mut cast = self.tally.cast(Count(self.number)).timeout(self.patience);
        if let Some(id) = id {
            cast = cast.id(id);
        }
        let cast = cast.await;
        cast.unwrap_or_else(|error| panic!("cast {} of {}: {error}", self.sent, self.number));
    }
}

/// The counts, behind all that was sent before.
pub(crate) async fn read(tally: &Handle<Tally>, patience: Duration) -> BTreeMap<u32, u64> {
    let read = tally.call::<Tally, Never>(TallyCall::Read);
    let read = read.timeout(patience).await;
    read.expect("it is answered").counts
}
