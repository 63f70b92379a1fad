//! Where a server's keys are. docs/keyspace.md describes each.

use dgen_backend::{
    KeyRange, Tenant,
    tuple::{Element, Subspace},
};
use dgen_queue::Queue;

use crate::{
    Tuid,
    message::{From, MessageId},
};

/// The keys of one server: below `(name, (id..))` in its tenant. Kept are those that every call needs;
/// there may be very many servers.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    server: Subspace,
    state: Subspace,
    changes: Box<[u8]>,
}

impl Keys {
    pub(crate) fn new(tenant: &Tenant, name: &str, id: &Tuid) -> Self {
        let name = Element::String(name.into());
        Self::of_server(tenant.subspace().subspace(&vec![name, id.element()]))
    }

    /// The keys of the server whose keys begin with `prefix`.
    pub(crate) fn below(prefix: &[u8]) -> Self {
        Self::of_server(Subspace::from_bytes(prefix))
    }

    fn of_server(server: Subspace) -> Self {
        let changes = server.pack(&"n");
        Self {
            state: exact(&server.subspace(&"s")),
            changes: changes.into(),
            server: exact(&server),
        }
    }

    /// What tells this server from all others of its database.
    pub(crate) fn prefix(&self) -> &[u8] {
        self.server.bytes()
    }

    /// Everything that is stored of it.
    pub(crate) fn all(&self) -> KeyRange {
        KeyRange::subspace(&self.server)
    }

    pub(crate) fn state(&self) -> &Subspace {
        &self.state
    }

    /// Its messages. Every push and notification counts as a change.
    pub(crate) fn queue(&self) -> Queue {
        Queue::new(&self.server.subspace(&"q")).counted_at(&self.changes)
    }

    /// Why the first message of the queue waits, if it does.
    pub(crate) fn hold(&self) -> Vec<u8> {
        self.server.pack(&"h")
    }

    /// How many changes there were that a process has to look for.
    pub(crate) fn changes(&self) -> &[u8] {
        &self.changes
    }

    /// The message that locked the server.
    pub(crate) fn locked(&self) -> Subspace {
        self.server.subspace(&"l")
    }

    /// What is to be done at some time.
    pub(crate) fn agenda(&self) -> Subspace {
        self.server.subspace(&"t")
    }

    /// When the timer of this key is due.
    pub(crate) fn timer_key(&self, key: &str) -> Vec<u8> {
        self.server.pack(&("k", key))
    }

    /// Where the reply to a call is waited for.
    pub(crate) fn reply(&self, from: &From) -> Subspace {
        self.server
            .subspace(&("r", from.process.as_slice(), from.call))
    }

    /// What the message of this id was answered.
    pub(crate) fn remembered(&self, id: &MessageId) -> Subspace {
        self.server.subspace(&("i", id.id.as_str(), id.index))
    }

    /// How many dead letters there are.
    pub(crate) fn dead_letter_count(&self) -> Vec<u8> {
        self.server.pack(&"c")
    }

    pub(crate) fn dead_letters(&self) -> Subspace {
        self.server.subspace(&"d")
    }
}

/// The same without the room that packing leaves behind a key: there may be very many servers.
fn exact(subspace: &Subspace) -> Subspace {
    Subspace::from_bytes(subspace.bytes())
}
