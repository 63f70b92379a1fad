//! Where a server's keys are. docs/keyspace.md describes each.

use dgen_backend::{
    Tenant,
    tuple::{Element, Subspace},
};
use dgen_queue::Queue;

use crate::Tuid;

/// The keys of one server: below `(name, (id..))` in its tenant.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    server: Subspace,
    state: Subspace,
    queue: Queue,
    replies: Subspace,
}

impl Keys {
    pub(crate) fn new(tenant: &Tenant, name: &str, id: &Tuid) -> Self {
        let name = Element::String(name.into());
        let server = tenant.subspace().subspace(&vec![name, id.element()]);
        Self {
            state: server.subspace(&"s"),
            queue: Queue::new(&server.subspace(&"q")),
            replies: server.subspace(&"r"),
            server,
        }
    }

    /// What tells this server from all others of its database.
    pub(crate) fn prefix(&self) -> &[u8] {
        self.server.bytes()
    }

    pub(crate) fn state(&self) -> &Subspace {
        &self.state
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Where the reply to call `call` of OS process `process` is waited for.
    pub(crate) fn reply(&self, process: &[u8; 16], call: u64) -> Subspace {
        self.replies.subspace(&(process.as_slice(), call))
    }
}
