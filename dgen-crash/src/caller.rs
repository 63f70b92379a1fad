//! Those who send: each awaits its messages one by one, and says what it was told.
//!
//! `at caller n` says that the store has the first `n` messages of a caller, and `ack caller n` that
//! its message `n` was acknowledged. So at most one message of each is not accounted for at a kill.

use std::time::Duration;

use dgen_server::{CallError, CastError};

use crate::{
    child::{Known, say},
    letters,
    lie::Lie,
    own_key, parcel,
    world::{GRAVE, LEFT, LOCKED, RIGHT, VAULT, Way, World},
};

/// Longer than anybody waits here: a slow machine is no loss.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Casts of a batch.
const BATCH: u64 = 3;

/// So many dead letters can be listed at once.
const LETTERS_MAX: u64 = 90;

/// What a caller sends, and to which desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Call {
        to: &'static str,
    },
    Priority {
        to: &'static str,
    },
    Cast {
        to: &'static str,
    },
    /// Several casts at once.
    Batch {
        to: &'static str,
    },
    /// A call that counts, with an id; sent again after a kill.
    CallWithId {
        to: &'static str,
    },
    CastWithId {
        to: &'static str,
    },
    /// A cast that sends one to another desk.
    Relay {
        to: &'static str,
        and: &'static str,
    },
    Transfer {
        to: &'static str,
        and: &'static str,
    },
    Lock {
        to: &'static str,
        and: &'static str,
    },
    /// A cast that sets a timer at another desk.
    Timer {
        to: &'static str,
        and: &'static str,
    },
    /// A call that is answered once another desk has been asked.
    Ask {
        to: &'static str,
        and: &'static str,
    },
    /// Casts to two desks, and a key, in a transaction of the caller's own.
    Transaction {
        to: &'static str,
        and: &'static str,
    },
    /// A call that counts, with an id, whose caller gives up soon and calls again.
    Impatient {
        to: &'static str,
    },
    /// A cast of many bytes.
    Parcel {
        to: &'static str,
    },
    /// A cast that becomes a dead letter.
    Poison,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
    pub(crate) kind: Kind,
}

macro_rules! callers {
    ($($name:literal $way:ident $kind:expr;)*) => {
        /// All callers.
        pub(crate) const CALLERS: &[Caller] = &[
            $(Caller { name: $name, way: Way::$way, kind: $kind },)*
        ];
    };
}

callers! {
    "call-near" Near Kind::Call { to: LEFT };
    "call-far" Far Kind::Call { to: LEFT };
    "call-locked" Far Kind::Call { to: LOCKED };
    "priority-near" Near Kind::Priority { to: LOCKED };
    "priority-far" Far Kind::Priority { to: RIGHT };
    "cast-near" Near Kind::Cast { to: RIGHT };
    "cast-far" Far Kind::Cast { to: LOCKED };
    "batch-near" Near Kind::Batch { to: LEFT };
    "batch-far" Far Kind::Batch { to: RIGHT };
    "id-call-near" Near Kind::CallWithId { to: LEFT };
    "id-call-far" Far Kind::CallWithId { to: RIGHT };
    "id-cast-far" Far Kind::CastWithId { to: LEFT };
    "relay-near" Near Kind::Relay { to: LEFT, and: RIGHT };
    "relay-far" Far Kind::Relay { to: RIGHT, and: LOCKED };
    "transfer-near" Near Kind::Transfer { to: LEFT, and: RIGHT };
    "transfer-far" Far Kind::Transfer { to: RIGHT, and: LEFT };
    "lock-near" Near Kind::Lock { to: LOCKED, and: RIGHT };
    "lock-far" Far Kind::Lock { to: LOCKED, and: LEFT };
    "timer-near" Near Kind::Timer { to: LEFT, and: RIGHT };
    "timer-far" Far Kind::Timer { to: RIGHT, and: LOCKED };
    "ask-near" Near Kind::Ask { to: LEFT, and: RIGHT };
    "ask-far" Far Kind::Ask { to: RIGHT, and: LEFT };
    "transaction" Near Kind::Transaction { to: LEFT, and: RIGHT };
    "impatient-near" Near Kind::Impatient { to: LOCKED };
    "impatient-far" Far Kind::Impatient { to: LOCKED };
    "parcel-near" Near Kind::Parcel { to: VAULT };
    "parcel-far" Far Kind::Parcel { to: VAULT };
    "poison" Far Kind::Poison;
}

/// A caller could not do what it should: what it says.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl<E: std::fmt::Debug> From<CallError<E>> for Wrong {
    fn from(error: CallError<E>) -> Self {
        Self(format!("a call failed: {error:?}"))
    }
}

impl From<CastError> for Wrong {
    fn from(error: CastError) -> Self {
        Self(format!("a cast failed: {error:?}"))
    }
}

impl Caller {
    /// Sends so many messages; returns when it has, or if something is wrong.
    pub(crate) async fn run(
        &self,
        world: &World,
        known: &Known,
        messages: u64,
        lie: Option<Lie>,
    ) -> Result<(), Wrong> {
        let mut number = self.begin(world, known, lie).await?;
        for _ in 0..messages {
            if self.kind == Kind::Poison && number >= LETTERS_MAX {
                break;
            }
            number += 1;
            if lie == Some(Lie::AcknowledgesEarly) {
                say(&format!("ack {} {number}", self.name));
            }
            self.send(world, number, &self.id(number)).await?;
            if lie != Some(Lie::AcknowledgesEarly) {
                say(&format!("ack {} {number}", self.name));
            }
        }
        Ok(())
    }

    /// The last of its messages that the store has.
    async fn begin(&self, world: &World, known: &Known, lie: Option<Lie>) -> Result<u64, Wrong> {
        if let Kind::CallWithId { to } | Kind::CastWithId { to } | Kind::Impatient { to } =
            self.kind
        {
            // It does not ask: it sends again what it does not know of.
            let number = known.of(self.name) + 1;
            let id = match lie {
                Some(Lie::RetriesUnderAnotherId) => format!("{} again", self.id(number)),
                _ => self.id(number),
            };
            self.send(world, number, &id).await?;
            let counted = self.last(world, to).await?;
            if counted != number {
                return Err(Wrong(format!(
                    "{} sent {number} messages with ids, and {counted} took effect",
                    self.name
                )));
            }
            say(&format!("ack {} {number}", self.name));
            return Ok(number);
        }
        let number = self.position(world).await?;
        say(&format!("at {} {number}", self.name));
        Ok(number)
    }

    async fn position(&self, world: &World) -> Result<u64, Wrong> {
        match self.kind {
            Kind::Batch { to } => {
                let last = self.last(world, to).await?;
                if last.is_multiple_of(BATCH) {
                    return Ok(last / BATCH);
                }
                Err(Wrong(format!(
                    "a part of a batch of {} took effect: {last}",
                    self.name
                )))
            }
            Kind::Transaction { .. } => own_key::read(world.tenant(), self.name).await,
            Kind::Poison => letters::settled(world).await,
            Kind::Call { to }
            | Kind::Priority { to }
            | Kind::Cast { to }
            | Kind::Impatient { to }
            | Kind::Parcel { to }
            | Kind::CallWithId { to }
            | Kind::CastWithId { to }
            | Kind::Relay { to, .. }
            | Kind::Transfer { to, .. }
            | Kind::Lock { to, .. }
            | Kind::Timer { to, .. }
            | Kind::Ask { to, .. } => self.last(world, to).await,
        }
    }

    /// The last of its messages that took effect; waits behind those that have not yet.
    async fn last(&self, world: &World, to: &str) -> Result<u64, Wrong> {
        let desk = world.desk(self.way, to);
        Ok(desk.last(self.name.to_owned()).timeout(TIMEOUT).await?)
    }

    fn id(&self, number: u64) -> String {
        format!("{} {number}", self.name)
    }

    async fn send(&self, world: &World, number: u64, id: &str) -> Result<(), Wrong> {
        let desk = |to| world.desk(self.way, to);
        let name = || self.name.to_owned();
        let answer = match self.kind {
            Kind::Call { to } => desk(to).step(name(), number).timeout(TIMEOUT).await?,
            Kind::Impatient { to } => {
                let soon = Duration::from_millis(number % 8);
                match desk(to).count(name()).id(id).timeout(soon).await {
                    Err(CallError::Timeout { .. }) => {
                        desk(to).count(name()).id(id).timeout(TIMEOUT).await?
                    }
                    answer => answer?,
                }
            }
            Kind::Priority { to } => {
                let call = desk(to).step(name(), number).priority();
                call.timeout(TIMEOUT).await?
            }
            Kind::CallWithId { to } => desk(to).count(name()).id(id).timeout(TIMEOUT).await?,
            Kind::Transfer { to, and } => {
                // Money goes to and fro.
                let amount = (number % 7) as i64 - 3;
                let call = desk(to).transfer(name(), number, amount, and.to_owned());
                call.timeout(TIMEOUT).await?
            }
            Kind::Lock { to, and } => {
                let call = desk(to).work(name(), number, and.to_owned());
                call.timeout(TIMEOUT).await?
            }
            Kind::Ask { to, and } => {
                let call = desk(to).ask(name(), number, to.to_owned(), and.to_owned());
                call.timeout(TIMEOUT).await?
            }
            Kind::Cast { to } => {
                desk(to).note(name(), number).timeout(TIMEOUT).await?;
                number
            }
            Kind::CastWithId { to } => {
                desk(to).count_on(name()).id(id).timeout(TIMEOUT).await?;
                number
            }
            Kind::Batch { to } => {
                let last = number * BATCH;
                let first = last + 1 - BATCH;
                let batch = (first..=last)
                    .fold(desk(to).batch(), |batch, number| batch.note(name(), number));
                batch.cast().timeout(TIMEOUT).await?;
                number
            }
            Kind::Relay { to, and } => {
                let cast = desk(to).relay(name(), number, and.to_owned());
                cast.timeout(TIMEOUT).await?;
                number
            }
            Kind::Timer { to, and } => {
                let cast = desk(to).later(name(), number, number % 6, and.to_owned());
                cast.timeout(TIMEOUT).await?;
                number
            }
            Kind::Transaction { to, and } => {
                own_key::write(world.tenant(), self.name, number, [desk(to), desk(and)]).await?;
                number
            }
            Kind::Parcel { to } => {
                let cast = desk(to).keep(name(), number, parcel::of(number));
                cast.timeout(TIMEOUT).await?;
                number
            }
            Kind::Poison => {
                desk(GRAVE).poison(number).timeout(TIMEOUT).await?;
                number
            }
        };
        if answer == number {
            return Ok(());
        }
        Err(Wrong(format!(
            "{} sent {number}, and was answered {answer}",
            self.name
        )))
    }
}
