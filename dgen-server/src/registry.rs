//! The processes of servers in this OS process: so that a message to a server next door needs no
//! detour through the store.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dgen_backend::Database;

use crate::{Server, control::Remote, mailbox::Mailbox};

/// One for each opened database.
#[derive(Default)]
pub(crate) struct Registry {
    /// By the prefix of the server's keys, in an order that is always the same. The mailboxes are
    /// `Mailbox<S>`.
    mailboxes: Mutex<BTreeMap<Vec<u8>, Vec<Registered>>>,
    processes_made: AtomicU64,
}

struct Registered {
    number: u64,
    mailbox: Arc<dyn Any + Send + Sync>,
    /// The server's name and id.
    server: String,
    remote: Remote,
}

/// A process's place in the registry. Dropping it takes the process out.
pub(crate) struct Registration {
    registry: Arc<Registry>,
    prefix: Vec<u8>,
    number: u64,
}

impl Registry {
    pub(crate) fn of(db: &Database) -> Arc<Self> {
        db.extension::<Self>()
    }

    pub(crate) fn register<S: Server>(
        self: &Arc<Self>,
        prefix: &[u8],
        server: String,
        mailbox: Mailbox<S>,
        remote: &Remote,
    ) -> Registration {
        let number = self.processes_made.fetch_add(1, Ordering::Relaxed);
        let mut mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        mailboxes
            .entry(prefix.to_vec())
            .or_default()
            .push(Registered {
                number,
                mailbox: mailbox.into_any(),
                server,
                remote: remote.clone(),
            });
        Registration {
            registry: Arc::clone(self),
            prefix: prefix.to_vec(),
            number,
        }
    }

    /// The mailbox of a process here that consumes the server, if there is one: of the one with
    /// number `preferred`, if that is there.
    pub(crate) fn mailbox<S: Server>(
        &self,
        prefix: &[u8],
        preferred: Option<u64>,
    ) -> Option<Mailbox<S>> {
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let registered = mailboxes.get(prefix)?;
        let own = registered
            .iter()
            .filter(|registered| preferred == Some(registered.number));
        own.chain(registered)
            .find_map(|registered| Mailbox::from_any(&registered.mailbox))
    }

    /// The processes here of servers whose keys begin with `prefix`, and the servers' names.
    pub(crate) fn remotes(&self, prefix: &[u8]) -> Vec<(String, Remote)> {
        let mailboxes = self
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let below = mailboxes
            .range(prefix.to_vec()..)
            .take_while(|(server, _)| server.starts_with(prefix));
        below
            .flat_map(|(_, registered)| registered)
            .map(|one| (one.server.clone(), one.remote.clone()))
            .collect()
    }
}

impl Registration {
    /// Which process.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut mailboxes = self
            .registry
            .mailboxes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(registered) = mailboxes.get_mut(&self.prefix) {
            registered.retain(|registered| registered.number != self.number);
            if registered.is_empty() {
                mailboxes.remove(&self.prefix);
            }
        }
    }
}
